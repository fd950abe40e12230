"""The part of a page that says what the monitor found while the run trained."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from genjax.health import TITLES, Finding, Said, still_open, verdict
from genjax.report import html


def section(
    findings: Sequence[Said],
    options: Mapping[str, Any],
    reached: int,
    looked: Mapping[str, Any] | None = None,
    measured: Sequence[Finding] = (),
    ident: str = "health",
) -> str:
    """The section: what is wrong now, by the monitor and by what was measured, then all that was told.

    Args:
        findings: the monitor's.
        options: the run's.
        reached: its steps.
        looked: what of a run's health could be judged, see `health.coverage`.
        measured: findings from what `genjax eval` wrote.
        ident: the section's in the page.
    """
    mark, shown = f'class="health" id="{ident}"', "".join(_measured_finding(f) for f in measured)
    if not options.get("health", False) and not findings:
        text = "This run was trained without its monitor (--health False)."
        return html.split("Health", text, shown, mark)
    now = still_open(findings)
    text = verdict(looked or {}, [s.finding for s in now], reached)
    if findings and not now:
        text = f"all that was found was over when the log ended. {text[0].upper() + text[1:]}"
    if measured:
        n = len(measured)
        text = f"{n} finding{'s' * (n > 1)} from what was measured. From training: {text}"
    shown += "".join(_monitor_finding(s) for s in now)
    if len(now) < len(findings):
        told = ((f"{s.step:,}", _title(s.finding.code), _where(s.finding), s.finding.severity) for s in findings)
        shown += f"<h3>All that was told</h3>{html.table(told, ('step', 'what', 'where', 'severity'))}"
    return html.split("Health", f"{text[0].upper() + text[1:]}.", shown, mark)


def _title(code: str) -> str:
    """What a code stands for; one of a newer genjax stands for itself."""
    return TITLES.get(code, code.replace("_", " ") or "something")


def _where(f: Finding) -> str:
    return f"{f.where}, {_members(f)}" if f.members else f.where


def _members(f: Finding) -> str:
    return f"{'member' if len(f.members) == 1 else 'members'} {', '.join(map(str, f.members))}"


def _monitor_finding(s: Said) -> str:
    """A finding of the monitor: what kind, since when and how bad; what is the matter; what to try."""
    f = s.finding
    return _box(f, _title(f.code), f"since step {s.step:,}", f.severity, _members(f) if f.members else "")


def _measured_finding(f: Finding) -> str:
    """A finding from measured numbers."""
    return _box(f, f"{_title(f.code)} (measured)", f.severity, _members(f) if f.members else "")


def _box(f: Finding, title: str, *about: str) -> str:
    kind = "finding serious" if f.severity == "serious" else "finding"
    since = escape(" · ".join(filter(None, about)))
    head = f'<div class="head"><h3>{escape(title[0].upper() + title[1:])}</h3><span>{since}</span></div>'
    advice = f'<p class="soft">Try {escape(f.try_)}.</p>' if f.try_ else ""
    return f'<div class="{kind}">{head}<p>{escape(f.says)}</p>{advice}</div>'
