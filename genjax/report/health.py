"""The part of a page that says what the monitor found while the run trained."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from genjax.report import html
from genjax.train.health import TITLES, Finding, Said, still_open


def section(
    findings: Sequence[Said], options: Mapping[str, Any], reached: int, family: str = "", ident: str = "health"
) -> str:
    """The section: what is wrong now, then all that was told; one sentence where there is nothing."""
    mark = f'class="health" id="{ident}"'
    if not findings:
        if not options.get("health", False):
            return html.split("Health", "This run was trained without its monitor (--health False).", "", mark)
        text = f"Nothing found in {reached:,} steps. {_looked(family)}"
        return html.split("Health", text, "", mark)
    now = still_open(findings)
    text = (
        f"{len(now)} finding{'s' * (len(now) > 1)} still held when the log ended."
        if now
        else "All that was found was over when the log ended."
    )
    shown = "".join(_said(s) for s in now)
    if len(now) < len(findings):
        told = ((f"{s.step:,}", _title(s.finding.code), _where(s.finding), s.finding.severity) for s in findings)
        shown += f"<h3>All that was told</h3>{html.table(told, ('step', 'what', 'where', 'severity'))}"
    return html.split("Health", f"{text} {_looked(family)}", shown, mark)


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


def _title(code: str) -> str:
    """What a code stands for; one of a newer genjax stands for itself."""
    return TITLES.get(code, code.replace("_", " ") or "something")


def _where(f: Finding) -> str:
    return f"{f.where}, {_members(f)}" if f.members else f.where


def _members(f: Finding) -> str:
    return f"{'member' if len(f.members) == 1 else 'members'} {', '.join(map(str, f.members))}"


def _said(s: Said) -> str:
    """A finding: what kind, since when and how bad; what is the matter; what to try."""
    f = s.finding
    title = _title(f.code)
    since = " · ".join(filter(None, (f"since step {s.step:,}", f.severity, _members(f) if f.members else "")))
    kind = "finding serious" if f.severity == "serious" else "finding"
    head = f'<div class="head"><h3>{escape(title[0].upper() + title[1:])}</h3><span>{escape(since)}</span></div>'
    advice = f'<p class="soft">Try {escape(f.try_)}.</p>' if f.try_ else ""
    return f'<div class="{kind}">{head}<p>{escape(f.says)}</p>{advice}</div>'
