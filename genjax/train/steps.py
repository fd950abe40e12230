"""The folder of a run's checkpoints as names on a disk: which steps are sealed, which stay, which are set aside.

No jax and no Orbax. A step leaves the listing by a rename, before anything in it is removed, so that a kill never
leaves half a step under a step's name.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from etils import epath

from genjax.errors import RunFailure, UsageError
from genjax.files import free
from genjax.train import seal

TRASH = ".trash"
STEP = re.compile(r"0|[1-9][0-9]*")
RESIDUE = re.compile(r"[0-9]+\.orbax-checkpoint-tmp.*")
T = TypeVar("T")


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
    folder: epath.Path, step: int | None, read: Callable[[int], T], on_damage: Callable[[int, seal.Damage], Any]
) -> T | None:
    """`read` of the newest sealed step that it does not find damaged (or of `step` alone).

    Args:
        folder: the checkpoints.
        step: the only step to read; None for the newest.
        read: reads a step or raises `seal.Damage`.
        on_damage: told of each damaged step that is still there.

    Returns:
        None where nothing was ever sealed.

    Raises:
        UsageError: there is no such step.
        RunFailure: every step tried is damaged.
    """
    if step is not None and step not in sealed(folder):
        raise UsageError(f"{folder} has no checkpoint of step {step}; it has {sealed(folder) or 'none'}.")
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
        raise RunFailure(f"no intact checkpoint in {folder} ({faults}).")
    return None


def spared(metrics: Mapping[int, float | None], keep: int, keep_best: Literal["min", "max"] | None) -> set[int]:
    """The steps that stay: the newest `keep`, and the best by metric (the earliest of equals; None never is).

    Example:
        >>> sorted(spared({1: 5.0, 2: 1.0, 3: None, 4: 3.0, 5: 4.0}, 1, "min"))
        [2, 5]
    """
    stay = set(sorted(metrics)[-keep:])
    ranked = [(-m if keep_best == "max" else m, s) for s, m in metrics.items() if m is not None]
    return stay | {min(ranked)[1]} if ranked and keep_best else stay


def best(folder: epath.Path, how: Literal["min", "max"]) -> int | None:
    """The sealed step with the best metric, as `spared` ranks them; None where none has a metric."""
    metrics = {}
    for step in sealed(folder):
        with contextlib.suppress(seal.Damage):
            metrics[step] = seal.read(folder / str(step))["metric"]
    ranked = [(-m if how == "max" else m, s) for s, m in metrics.items() if m is not None]
    return min(ranked)[1] if ranked else None


def discard(folder: epath.Path, step: int) -> None:
    """Remove a step: first by a rename into the trash."""
    trash, name = folder / TRASH, str(step)
    trash.mkdir(exist_ok=True)
    if (trash / name).exists():
        (trash / name).rmtree()
    (folder / name).rename(trash / name)
    (trash / name).rmtree()
    with contextlib.suppress(OSError):
        trash.rmdir()


def set_aside(folder: epath.Path, step: int) -> str:
    """Rename a step to `<step>.corrupt`, or `<step>.corrupt-1` and so on where that is taken; the new name."""
    n = 0
    while (aside := folder / (f"{step}.corrupt-{n}" if n else f"{step}.corrupt")).exists():
        n += 1
    (folder / str(step)).rename(aside)
    return aside.name


def sweep(folder: epath.Path) -> list[int]:
    """Clear what interrupted saves left: temporary folders, steps without a seal, the trash. The steps cleared."""
    cleared = []
    for path in list(folder.iterdir()):
        if path.name == TRASH or RESIDUE.fullmatch(path.name):
            path.rmtree()
        elif STEP.fullmatch(path.name) and path.is_dir() and not (path / seal.SEAL).exists():
            discard(folder, int(path.name))
            cleared.append(int(path.name))
    return sorted(cleared)


def fault(folder: epath.Path, megabytes: float, e: Exception) -> str:
    """Why writing `megabytes` of state into `folder` failed, in half a sentence."""
    text = str(e)
    if "RESOURCE_EXHAUSTED" in text or "No space left" in text or "quota exceeded" in text:
        room = f"{free(folder) / 1e6:.1f} MB" if seal.is_local(folder) else "too little"
        return f"no space left for {folder}: needs {megabytes:.1f} MB, {room} free"
    if "File too large" in text:
        return f"{folder} allows no file of that size ({megabytes:.1f} MB of state; see `ulimit -f`)"
    return f"writing {folder} failed ({type(e).__name__}: {(text.splitlines() or [''])[0][:200]})"


def told(folder: epath.Path, step: int, damage: seal.Damage) -> str:
    """What is wrong with a step, naming the file."""
    return f"checkpoint {step} is damaged: {folder / str(step) / damage.file} {damage.what}"
