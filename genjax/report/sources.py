"""What `genjax compare` compares: runs, members of runs of several, and runs of which only a record was kept.

`RUN` is a run's folder; of a run of several it stands for every member that was measured. `RUN#3` and `RUN#0,2,5` are
members by number, `RUN#beta=4` those at a swept value.
"""

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genjax.checked import checked, number
from genjax.errors import UsageError
from genjax.measure.eval_file import read_eval
from genjax.metrics.protocol import Record, from_json
from genjax.report.members import Member, members
from genjax.runs import run_folder

MARK = "#"
"""Between a run's folder and its members."""


class Source(NamedTuple):
    """A run that was measured."""

    path: str
    """Its folder, or the record that it stands in."""
    name: str
    """Its recipe's, with something that tells it from others of that recipe."""
    records: tuple[Record, ...]
    origin: Mapping[str, Any]
    """How it came to be, as a record has it: command, device, versions, and its own seed, time, code and state."""
    member: int | None = None
    """The member, where the run is a population."""
    point: str = ""
    """Its values of the swept fields: `beta 4`."""

    @property
    def where(self) -> str:
        """Its path, with the member: `runs/eight#3`."""
        return self.path if self.member is None else f"{self.path}{MARK}{self.member}"


def sources(path: str | os.PathLike[str]) -> list[Source]:
    """The run in a folder, its members where it is one of several, or every run of a record.

    Raises:
        UsageError: the run was not measured, has no such member, or the file is no record.
    """
    name = os.fspath(path)
    if is_record(name):
        return _recorded(name)
    folder, chosen = selected(name)
    stored = run_folder.read_config(folder) if Path(folder).is_dir() else None
    who = members((stored or {}).get("population"))
    if not who:
        if chosen:
            raise UsageError(f"RUN={name}: {folder} is a single run; leave {MARK}{chosen} out.")
        return [_single(folder)]
    by_member: dict[int, list[Record]] = {}
    for r in read_eval(folder):
        if r.subject.member is not None:
            by_member.setdefault(r.subject.member, []).append(r)
    picked = _picked(name, chosen, who)
    measured = [m for m in who if m.index in by_member and m.index in picked]
    if not measured or (chosen and len(measured) < len(picked)):
        lacking = sorted(picked - set(by_member))
        which = "none of its members was" if not by_member else f"member {lacking[0]} was not"
        raise UsageError(f"RUN={name}: {which} measured. Measure them first: genjax eval {folder} --member all")
    return [_member(folder, m, by_member[m.index]) for m in measured]


def selected(name: str) -> tuple[str, str]:
    """A folder and what is chosen of its members: `("runs/eight", "3")` of `runs/eight#3`.

    Example:
        >>> selected("runs/eight#beta=4"), selected("runs/eight")
        (('runs/eight', 'beta=4'), ('runs/eight', ''))
    """
    folder, mark, chosen = name.rpartition(MARK)
    return (folder, chosen) if mark and not Path(name).exists() else (name, "")


def _picked(name: str, chosen: str, who: Sequence[Member]) -> set[int]:
    """The members that are chosen by number or by a swept value; all of them where nothing is.

    Raises:
        UsageError: there is no such member or value; what there is is listed.
    """
    field, equals, value = chosen.partition("=")
    if not chosen or chosen == "all":
        return {m.index for m in who}
    if equals and field in who[0].values:
        found = {m.index for m in who if f"{m.values[field]:g}" == value or str(m.values[field]) == value}
        if found:
            return found
        there = ", ".join(dict.fromkeys(f"{m.values[field]:g}" for m in who))
        raise UsageError(f"RUN={name}: no member has {field} {value}; there are {there}.")
    words = chosen.split(",")
    if equals or not all(w.isdecimal() for w in words):
        fields = "".join(f", or {MARK}{f}=VALUE" for f in who[0].values)
        raise UsageError(f"RUN={name}: {MARK}{chosen} names no member. Write {MARK}3, {MARK}0,2{fields}.")
    if gone := [w for w in words if int(w) >= len(who)]:
        raise UsageError(f"RUN={name}: there is no member {gone[0]}; it has members 0 to {len(who) - 1}.")
    return {int(w) for w in words}


def _single(name: str) -> Source:
    if not os.path.isdir(name):
        raise UsageError(f"RUN={name}: there is no such folder.")
    records = [r for r in read_eval(name) if r.subject.member is None]
    if not records:
        raise UsageError(f"RUN={name}: has no eval.json. Measure it first: genjax eval {name}")
    called = f"{Path(records[0].subject.recipe).stem} · {Path(name).resolve().name}"
    return Source(name, called, tuple(records), _origin(name, records))


def _member(name: str, member: Member, records: Sequence[Record]) -> Source:
    """A member as the run of its own that it equals: its command has its values, its time is its share."""
    called = f"{Path(records[0].subject.recipe).stem} · {Path(name).resolve().name} · member {member.index}"
    return Source(name, called, tuple(records), _origin(name, records, member), member.index, member.point)


def is_record(path: str | os.PathLike[str]) -> bool:
    """Whether it names a record, not a run's folder."""
    return Path(path).suffix == ".json" and not Path(path).is_dir()


def _recorded(path: str) -> list[Source]:
    stored = run_folder.read_json(path)
    if stored is None:
        raise UsageError(f"RUN={path}: there is no such record.")
    try:
        found = [s for run in checked(stored, RUNS, path)["runs"] for s in _each(path, run)]
        if not found:
            raise ValueError("no runs")
        return found
    except (UsageError, KeyError, TypeError, ValueError) as e:
        raise UsageError(f"RUN={path}: not a record of `genjax compare --record` ({type(e).__name__}: {e}).") from None


RUNS = {"runs": [{
    "recipe": str, "command": str, "device": str, "versions": dict, "records": [dict],
    "each": [{"seed": int, "step": int, "state_sha256": str, "seconds": (number, None), "commit": (str, None)}],
}]}  # fmt: skip
"""What is read of a record; see `genjax.checked`."""


def _each(path: str, run: Mapping[str, Any]) -> list[Source]:
    """A source for each seed of a record's run."""
    records = [from_json(r) for r in run["records"]]
    seeds = {each["seed"] for each in run["each"]}
    if not records or any({seed for seed, _ in r.seeds} != seeds for r in records if r.seeds or len(seeds) != 1):
        raise ValueError(f"{run['recipe']}: not every number is of the seeds {sorted(seeds)}")
    about = {"command": str(run["command"]), "device": str(run["device"]), "versions": run["versions"]}
    shlex.split(about["command"])  # of which the sides' names are made
    return [
        Source(path, run["recipe"], tuple(_of_seed(r, each) for r in records), {**about, "each": [each]})
        for each in run["each"]
    ]


def _of_seed(r: Record, each: Mapping[str, Any]) -> Record:
    """The record of one seed, of a record over several; its interval over samples is not kept there."""
    if not r.seeds:
        return r
    subject = dataclasses.replace(r.subject, seed=each["seed"], state_sha256=each["state_sha256"])
    return dataclasses.replace(r, subject=subject, value=dict(r.seeds)[each["seed"]], over_seeds=None, seeds=())


def _origin(run: str, records: Sequence[Record], member: Member | None = None) -> dict[str, Any]:
    about = next((r for r in records if r.protocol.checkpoint == "last"), records[0]).subject
    manifest = run_folder.read_manifest(run)
    rows = run_folder.read_rows(Path(run) / run_folder.METRICS)
    device, cores = manifest.get("device_kind"), manifest.get("cpu_count")
    seconds = float(rows[-1].get("seconds", "nan")) if rows else None
    if seconds is not None and member is not None:
        stored = run_folder.read_config(run) or {}
        seconds /= len(members(stored.get("population")))
    return {
        "command": command_of(manifest.get("command", []), {} if member is None else member.values),
        "device": f"{cores} core{'s' * (cores != 1)}, {manifest.get('cpu')}" if device == "cpu" else str(device),
        "versions": {k: manifest.get(k) for k in ("python", "jax", "jaxlib", "flax", "optax", "numpy")},
        "each": [{
            "seed": about.seed, "step": about.step, "state_sha256": about.state_sha256,
            "seconds": seconds, "commit": manifest.get("commit"),
        }],
    }  # fmt: skip


def command_of(words: Sequence[str], values: Mapping[str, float]) -> str:
    """A run's command without what another machine or seed has otherwise, or what follows from the rest of it.

    Of a member it is that of the run of its own: with its swept values in the place of the sweep.

    Example:
        >>> command_of(["genjax", "train", "vae_mnist", "--seed", "2", "--beta=4", "--quiet", "True"], {})
        'genjax train vae_mnist --beta 4'
    """
    own = {"--run-dir", "--data-dir", "--seed", "--keep-best", "--seeds", "--sweep", "--quiet", "--compile-cache"}
    flags = {flag: value for flag, value in flags_in(words[3:]) if flag not in own}
    flags |= {f"--{field.replace('_', '-')}": str(v) for field, v in values.items()}
    return shlex.join([*words[:3], *(w for pair in flags.items() for w in pair)])


def flags_in(words: Sequence[str]) -> list[tuple[str, str]]:
    """The flags of a command with their values, `--flag value` and `--flag=value` alike.

    Example:
        >>> flags_in(["--seeds=2", "--beta", "4", "--quiet", "True"])
        [('--seeds', '2'), ('--beta', '4'), ('--quiet', 'True')]
    """
    found, rest = [], list(words)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        found.append((flag, value if equals else rest.pop(0) if rest else ""))
    return found
