"""The folder of a run's checkpoints as names on a disk: which steps are sealed, which stay, which are set aside.

No jax and no Orbax. A step leaves the listing by a rename, before anything in it is removed, so that a kill never
leaves half a step under a step's name. Removed is only what provably is this run's: the files that a seal with its
mark names, or a save that it had begun (`SAVING`). Everything else that is in the way is renamed and named.
"""

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from etils import epath

from genjax.checkpoint import seal
from genjax.checkpoint.marks import Mark
from genjax.errors import RunFailure, UsageError
from genjax.files import free, write_durably

TRASH = ".trash"
STEP = re.compile(r"0|[1-9][0-9]*")
RESIDUE = re.compile(r"([0-9]+)\.orbax-checkpoint-tmp.*")
SAVING = "saving.json"
"""Names run and step of the save in flight: it is there from before the first byte of a step until its seal."""
T = TypeVar("T")


class Metric(NamedTuple):
    """What a step is ranked by. Only values of one name are ever compared."""

    name: str
    """`min:loss`: direction and metric, as the run was told when it saved; empty in seals that have no name."""
    value: float


def resolved(folder: epath.PathLike) -> epath.Path:
    """`folder` as an absolute path (Orbax wants one), an object store's address as it is."""
    path = epath.Path(folder)
    return path.expanduser().resolve() if seal.is_local(path) else path


def sealed(folder: epath.Path) -> list[int]:
    """Steps that carry a seal, ascending; whether it still fits is not looked at."""
    if not folder.is_dir():
        return []
    names = [p.name for p in folder.iterdir() if STEP.fullmatch(p.name)]
    return sorted(int(n) for n in names if (folder / n / seal.SEAL).exists())


def newest(
    folder: epath.Path,
    step: int | None,
    read: Callable[[int], T],
    on_damage: Callable[[int, seal.Damage], Any],
    shown: object = None,
) -> T | None:
    """`read` of the newest sealed step that it does not find damaged (or of `step` alone).

    Args:
        folder: the checkpoints.
        step: the only step to read; None for the newest.
        read: reads a step or raises `seal.Damage`.
        on_damage: told of each damaged step that is still there.
        shown: what to call the folder.

    Returns:
        None where nothing was ever sealed.

    Raises:
        UsageError: there is no such step.
        RunFailure: every step tried is damaged.
    """
    shown = shown or folder
    if step is not None and step not in sealed(folder):
        raise UsageError(f"{shown} has no checkpoint of step {step}; it has {sealed(folder) or 'none'}.")
    tried: dict[int, seal.Damage] = {}
    # Listed anew each time: a run at work may retire a step while another process reads it.
    while left := [s for s in sealed(folder) if s not in tried and step in (None, s)]:
        s = max(left)
        try:
            return read(s)
        except seal.Damage as damage:
            tried[s] = damage
            if (folder / str(s)).exists():
                on_damage(s, damage)
    if tried:
        faults = "; ".join(f"{s}: {damage}" for s, damage in list(tried.items())[:3])
        raise RunFailure(f"no intact checkpoint in {shown} ({faults}).")
    return None


def spared(metrics: Mapping[int, Metric | None], keep: int, keep_best: str | None = None) -> set[int]:
    """The steps that stay: the newest `keep`, and of every name of a metric the best (the earliest of equals).

    Example:
        >>> loss = {s: Metric("min:loss", v) for s, v in {1: 5.0, 2: 1.0, 4: 3.0, 5: 4.0}.items()}
        >>> sorted(spared(loss | {3: None, 6: Metric("max:elbo", -9.0)}, 1)), sorted(spared(loss, 2))
        ([2, 6], [2, 4, 5])
    """
    names = {m.name for m in metrics.values() if m is not None}
    found = {_best(metrics, n, how) for n in names for how in _directions(n, keep_best)}
    return {*sorted(metrics)[-keep:], *(s for s in found if s is not None)}


def _directions(name: str, keep_best: str | None) -> tuple[str, ...]:
    """`min`, `max`, or both for a metric whose direction is unknown."""
    said = [how for how in ((name or keep_best or "").partition(":")[0],) if how in ("min", "max")]
    return tuple(said) or ("min", "max")


def _best(metrics: Mapping[int, Metric | None], name: str, how: str) -> int | None:
    ranked = [
        (-m.value if how == "max" else m.value, s) for s, m in metrics.items() if m is not None and m.name == name
    ]
    return min(ranked)[1] if ranked else None


def metric_of(body: Mapping[str, Any]) -> Metric | None:
    """What a seal says its step is ranked by."""
    value = body.get("metric")
    return None if not isinstance(value, int | float) else Metric(str(body.get("ranked") or ""), float(value))


def best(folder: epath.Path, ranked: str) -> int | None:
    """The sealed step with the best metric of that name (`max:val/elbo`); None where none has one.

    Steps of before names were kept are ranked where no step has a name.
    """
    metrics: dict[int, Metric | None] = {}
    for step in sealed(folder):
        with contextlib.suppress(seal.Damage):
            metrics[step] = metric_of(seal.read(folder / str(step)))
    named = any(m is not None and m.name for m in metrics.values())
    return _best(metrics, ranked if named else "", ranked.partition(":")[0])


def check_marks(folder: epath.Path, mark: Mark | None, shown: object = None) -> None:
    """Refuse a folder with a sealed step of another run, or of a `config.json` that was edited since.

    A step whose seal is damaged is passed over: it is named when it is to be restored.

    Args:
        folder: the checkpoints.
        mark: the run's; None checks nothing.
        shown: what to call the folder.

    Raises:
        UsageError: naming the newest such step.
    """
    for step in reversed(sealed(folder) if mark is not None else []):
        with contextlib.suppress(seal.Damage):
            refuse_other(folder, step, seal.read(folder / str(step)), mark, shown)


def refuse_other(folder: epath.Path, step: int, body: dict[str, Any], mark: Mark | None, shown: object = None) -> None:
    """Refuse a step by its seal's facts; see `check_marks`."""
    if mark is None or not (fault := mark.fault(body, seal.own_hash(body))):
        return
    todo = (
        "Put back the config.json that it was trained with, or start afresh with another --run-dir."
        if "config.json" in fault
        else f"Move {step} out of that folder (nothing was touched), or start afresh with another --run-dir."
    )
    raise UsageError(f"checkpoint {step} in {shown or folder} {fault}.\n{todo}")


def begin(folder: epath.Path, step: int, mark: Mark | None) -> list[str]:
    """Note that a save of `step` begins. What has its name already is set aside; news of that."""
    news = []
    if (folder / str(step)).exists() or seal.is_link(folder / str(step)):
        news.append(_stranger(folder, str(step), "unsealed"))
    note = json.dumps({"format": 1, "run": mark.run if mark else None, "step": step})
    write_durably(folder / SAVING, note.encode(), beside=f".{SAVING}.tmp", flush=False)
    return news


def end(folder: epath.Path) -> None:
    """Note that no save is under way."""
    (folder / SAVING).unlink(missing_ok=True)


def _in_flight(folder: epath.Path, mark: Mark | None) -> int | None:
    """The step of this run that was being saved; None where there is none, or `SAVING` is not the run's."""
    try:
        found = json.loads((folder / SAVING).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("step"), int):
        return None
    return found["step"] if mark is None or found.get("run") == mark.run else None


def discard(folder: epath.Path, step: int, mark: Mark | None = None) -> str:
    """Remove a sealed step: first by a rename into the trash. News where something in it was not the run's."""
    trash, name, n = folder / TRASH, str(step), 0
    if seal.is_link(folder / name):
        return _stranger(folder, name, "linked")
    trash.mkdir(exist_ok=True)
    while (trash / (gone := f"{name}-{n}" if n else name)).exists():
        n += 1
    (folder / name).rename(trash / gone)
    news = _empty(folder, gone, mark)
    seal.remove_if_empty(trash)
    return news


def _empty(folder: epath.Path, gone: str, mark: Mark | None) -> str:
    """Remove what a seal in the trash names; news where something is left, which is moved out of the trash."""
    path, step = folder / TRASH / gone, gone.partition("-")[0]
    try:
        body = seal.read(path)
        fault = mark.fault(body, seal.own_hash(body)) if mark else ""
        if not fault and seal.remove(path):
            return ""
        what = fault or "held files that were not the checkpoint's"
    except (seal.Damage, UsageError):
        seal.remove_if_empty(path)
        if not path.exists():
            return ""
        what = "has no seal that fits"
    aside = _free(folder, f"{step}.foreign")
    path.rename(folder / aside)
    return f"{TRASH}/{gone} {what}: kept aside as {aside}."


def set_aside(folder: epath.Path, step: int, why: str = "corrupt") -> str:
    """Rename a step to `<step>.corrupt`, or `<step>.corrupt-1` and so on where that is taken; the new name."""
    aside = _free(folder, f"{step}.{why}")
    (folder / str(step)).rename(folder / aside)
    return aside


def _free(folder: epath.Path, name: str) -> str:
    n = 0
    while (folder / (aside := f"{name}-{n}" if n else name)).exists():
        n += 1
    return aside


def _stranger(folder: epath.Path, name: str, why: str) -> str:
    aside = _free(folder, f"{name.partition('.')[0]}.{why}")
    (folder / name).rename(folder / aside)
    said = {
        "unsealed": "has no seal, and is no save that this run had begun",
        "foreign": "is not a checkpoint's folder",
        "linked": "is a link",
    }[why]
    return f"{name} {said}: kept aside as {aside}."


def sweep(folder: epath.Path, mark: Mark | None = None) -> tuple[list[int], list[str]]:
    """Clear what an interrupted save left, and set aside what cannot be this run's.

    Args:
        folder: the checkpoints.
        mark: the run's; None takes every genjax's save for this one's.

    Returns:
        The steps that were cleared, and news of what was set aside.
    """
    saving, cleared, news = _in_flight(folder, mark), [], list[str]()
    for path in sorted(folder.iterdir()):
        residue, name = RESIDUE.fullmatch(path.name), path.name
        if name == TRASH and path.is_dir() and not seal.is_link(path):
            news += [text for p in sorted(path.iterdir()) if (text := _empty(folder, p.name, mark))]
            seal.remove_if_empty(path)
        elif STEP.fullmatch(name) and (seal.is_link(path) or not path.is_dir()):
            if not (path / seal.SEAL).exists():
                news.append(_stranger(folder, name, "linked" if seal.is_link(path) else "foreign"))
        elif residue or (STEP.fullmatch(name) and not (path / seal.SEAL).exists()):
            if saving is not None and int(residue[1] if residue else name) == saving and path.is_dir():
                path.rmtree()
                cleared += [] if residue else [saving]
            else:
                news.append(_stranger(folder, name, "unsealed"))
    if saving is not None:
        end(folder)
    return cleared, news


def fault(folder: epath.Path, megabytes: float, e: Exception) -> str:
    """Why writing `megabytes` of state into `folder` failed, in half a sentence."""
    text = re.sub(r"/proc/self/fd/\d+", str(folder), str(e))  # the folder as it is written through
    if "RESOURCE_EXHAUSTED" in text or "No space left" in text or "quota exceeded" in text:
        room = "too little"
        with contextlib.suppress(OSError):
            room = f"{free(folder) / 1e6:.1f} MB" if seal.is_local(folder) else room
        return f"no space left for {folder}: needs {megabytes:.1f} MB, {room} free"
    if "File too large" in text:
        return f"{folder} allows no file of that size ({megabytes:.1f} MB of state; see `ulimit -f`)"
    return f"writing {folder} failed ({type(e).__name__}: {(text.splitlines() or [''])[0][:200]})"


def describe_damage(folder: epath.Path, step: int, damage: seal.Damage) -> str:
    """What is wrong with a step, naming the file."""
    return f"checkpoint {step} is damaged: {folder / str(step) / damage.file} {damage.what}"
