"""The part of a page that says what the monitor found while the run trained."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from genjax.report import html
from genjax.train.health import TITLES, Finding, Said, still_open


def section(findings: Sequence[Said], options: Mapping[str, Any], reached: int, family: str = "") -> str:
    """The section: what is wrong now, then all that was told; one sentence where there is nothing."""
    if not findings:
        if not options.get("health", False):
            return html.split("Health", "This run was trained without its monitor (--health False).", "")
        text = f"Nothing found in {reached:,} steps. {_looked(family)}"
        return html.split("Health", text, "", 'class="health"')
    now = still_open(findings)
    text = f"{len(now)} of what was found was still so when the log ends." if now else "All that was found is over."
    shown = "".join(_said(s) for s in now)
    table = html.table(
        ((f"{s.step:,}", TITLES[s.finding.code], _where(s.finding), s.finding.severity) for s in findings),
        ("step", "what", "where", ""),
    )
    return html.split("Health", f"{text} {_looked(family)}", f"{shown}<br>{table}", 'class="health"')


WITHIN = {
    "VAE": "the latents and the layers' gradients",
    "GAN": "the discriminator on held-out images and the layers' gradients",
}


def _looked(family: str) -> str:
    within = WITHIN.get(family, "the layers' gradients")
    return (
        f"Looked at are the logged metrics, the sample grids and, as often as 2 % of the time allow, {within}; a run "
        "of seconds has no time for those."
    )


def _where(f: Finding) -> str:
    return f"{f.where}, {_members(f)}" if f.members else f.where


def _members(f: Finding) -> str:
    return f"{'member' if len(f.members) == 1 else 'members'} {', '.join(map(str, f.members))}"


def _said(s: Said) -> str:
    f = s.finding
    who = f" ({_members(f)})" if f.members else ""
    advice = f" Try {f.try_}." if f.try_ else ""
    kind = "note warn" if f.severity == "serious" else "note"
    return f'<p class="{kind}">Step {s.step:,}{escape(who)}: {escape(f.says)}{escape(advice)}</p>'
