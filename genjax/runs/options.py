"""The options in force: what the command says, else what the run has had so far, else the defaults."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genjax.errors import UsageError
from genjax.runs.config import Options
from genjax.runs.validation import PREFIX, Validation

OWN = frozenset(
    {"run_dir", "quiet", "compile_cache", "mesh", "coordinator", "num_processes", "process_id", "changed_code"}
)
"""Options of one session only: how this process runs, on which devices and with which others."""


def changed_or_given(options: Options) -> frozenset[str]:
    """The fields that were set: given on the command line, or other than the default."""
    changed = (f.name for f in dataclasses.fields(options) if getattr(options, f.name) != f.default)
    return options.given | frozenset(changed)


def in_force(options: Options, stored: Mapping[str, Any] | None) -> tuple[Options, dict[str, Any]]:
    """The options of a run that is continued: each that is not said holds as `config.json` has it.

    Args:
        options: of this session.
        stored: `options` of the run's `config.json`; None in a new folder.

    Returns:
        The options, and those of them that hold from before and are not the defaults.

    Raises:
        UsageError: a stored value is none that the option takes.

    Example:
        >>> options, held = in_force(Options(save_every=9), {"keep": 5, "save_every": 100, "quiet": True})
        >>> options.keep, options.save_every, options.quiet, held
        (5, 9, False, {'keep': 5})
    """
    here = changed_or_given(options)
    held: dict[str, Any] = {}
    for f in dataclasses.fields(options):
        old = (stored or {}).get(f.name, f.default)
        if f.name in here or f.name in OWN or old == f.default:
            continue
        if f.name == "data_dir" and not (isinstance(old, str) and Path(old).is_dir()):
            continue  # a path of another machine
        held[f.name] = old
    return dataclasses.replace(options, **held), held


def best_by(
    options: Options, checks: Validation | None, held: Mapping[str, Any] | None = None
) -> tuple[Options, str, str]:
    """What the best checkpoint is ranked by (`min:loss`, empty for nothing), and the options with it.

    Args:
        options: in force.
        checks: the evaluations of this session.
        held: those options that hold from before. A `keep_best` among them gives way where it cannot be: where this
            session evaluates on validation and that does not, or the other way round.

    Returns:
        The options; what is ranked by; and a sentence where that gave way.

    Raises:
        UsageError: it is not of that form; or it names a metric of validation without any, or another one with it.
    """
    text, note = options.keep_best or (checks.best if checks else ""), ""
    how, _, metric = text.partition(":")
    if text and (how not in ("min", "max") or not metric):
        raise UsageError(f"keep_best={text!r}: must be min:METRIC or max:METRIC, for example min:loss.")
    may_go = "keep_best" in (held or {})
    if checks is None and metric.startswith(PREFIX):
        if not may_go:
            raise UsageError(f"keep_best={text!r}: nothing is evaluated on validation. Add --eval-every STEPS.")
        text, note = "", f"nothing is evaluated any more: no new best is chosen, and the one by {text} stays."
    elif checks is not None and metric not in checks.names:
        if not may_go:
            names = ", ".join(checks.names)
            raise UsageError(
                f"keep_best={text!r}: with --eval-every the best is chosen on validation, by one of {names}."
            )
        text, note = checks.best, f"the best is chosen by {checks.best} from now on; the best by {text} stays."
    return dataclasses.replace(options, keep_best=text), text, note


def describe_held(held: Mapping[str, Any]) -> str:
    """A line on the options that hold from before; empty where none does."""
    flags = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in held.items())
    return f"options of this run, which hold until a flag says otherwise: {flags}" if held else ""
