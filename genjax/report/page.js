"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  root.classList.add("js");

  // Light or dark: the system's choice until the button is pressed; remembered where the browser lets a file remember.
  const remember = (value) => { try { value ? localStorage.setItem("genjax-theme", value) : 0; return localStorage.getItem("genjax-theme"); } catch { return null; } };
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const toggle = document.getElementById("theme");
  const name = () => { toggle.textContent = dark() ? "Light" : "Dark"; toggle.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`); };
  const asked = new URLSearchParams(location.search).get("theme") || remember();
  if (asked === "light" || asked === "dark") root.dataset.theme = asked;
  toggle.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; remember(root.dataset.theme); name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();

  // Every image pixel becomes a square of a whole number of screen pixels; pictures of one group share that number.
  const fit = () => {
    const ratio = window.devicePixelRatio || 1, groups = new Map();
    for (const box of all(".scaled")) {
      const width = Number(box.dataset.width), room = Math.min(box.clientWidth, Number(box.dataset.most) || Infinity);
      const scale = room * ratio >= width ? Math.floor(room * ratio / width) / ratio : room / width;
      const group = box.dataset.group || box;
      groups.set(group, Math.min(groups.get(group) ?? Infinity, scale));
    }
    for (const box of all(".scaled")) {
      const width = Number(box.dataset.width) * groups.get(box.dataset.group || box);
      for (const image of all("img", box)) image.style.width = `${width}px`;
      for (const ends of all(".ends", box.parentElement)) if (ends.parentElement === box.parentElement) ends.style.width = `${width}px`;
    }
  };
  let width = 0;
  new ResizeObserver(() => { if (root.clientWidth !== width) { width = root.clientWidth; fit(); } }).observe(root);
  fit();

  // Scrubbers: one slider moves every stack of frames it names, by the share of training done.
  for (const scrub of all(".scrub")) {
    const slider = scrub.querySelector("input"), play = scrub.querySelector("button");
    const stacks = scrub.dataset.frames.split(" ").map((id) => ({ images: all(".frame", document.getElementById(id)), label: document.getElementById(`${id}-at`) }));
    const last = Number(slider.max);
    let timer = null;
    const draw = () => {
      const share = last ? Number(slider.value) / last : 1;
      const said = stacks.map(({ images, label }) => {
        const on = Math.round(share * (images.length - 1));
        images.forEach((image, i) => image.classList.toggle("on", i === on));
        return (label.textContent = images[on].dataset.at);
      });
      slider.setAttribute("aria-valuetext", said.join("; "));
    };
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
    slider.addEventListener("input", () => { stop(); draw(); });
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (Number(slider.value) >= last) { slider.value = 0; draw(); }
      play.textContent = "Pause";
      timer = setInterval(() => { slider.value = Number(slider.value) + 1; draw(); if (Number(slider.value) >= last) stop(); }, 260);
    });
    draw();
  }

  for (const button of all("button.copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try { await navigator.clipboard.writeText(code.textContent); button.textContent = "Copied"; }
      catch { getSelection().selectAllChildren(code); button.textContent = "Selected"; }
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  }
})();
