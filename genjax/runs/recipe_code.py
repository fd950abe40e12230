"""The recipe's code in a run's folder: a copy, its hashes, and whether it may be executed.

A run opens from its own copy (`recipe/`), so that it travels; `config.json` has the hashes of the copy's files and of
the genjax that trained. Opening executes the copy. That is only done for recipes that ship with genjax, for those that
this user has trained here, and where the user said `--trust`.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from genjax import recipes, sources, trust
from genjax.channels import say
from genjax.checked import Each, checked
from genjax.errors import UsageError
from genjax.files import building, failed_write
from genjax.runs.identity import has_begun
from genjax.sources import Sources

COPY = "recipe"


def sources_of(file: str, build: Callable[..., Any]) -> Sources:
    """The sources of the recipe in `file`: the bytes that were executed, else those of its file now.

    Two recipes may share a `build`, which one of them has from the other: then it is the one with that file.
    """
    parts = [part for part in (build, getattr(build, "func", None)) if part is not None]
    names = [getattr(part, "__module__", None) or "" for part in parts]
    for known in [m for name, m in list(sys.modules.items()) if name.startswith(f"{recipes.PREFIX}.")]:
        if getattr(known, "__file__", None) == file and getattr(known, "build", None) in parts:
            names.insert(0, known.__name__)
    for module in map(sys.modules.get, names):
        if module is not None and isinstance(getattr(module, "SOURCES", None), Sources):
            return module.SOURCES
    return sources.read(Path(file).resolve(), recipes.folder())


def word(code: Sources, file: str) -> str:
    """The recipe as a command line names it: a shipped one by name, another one by path."""
    return Path(code.entry).stem if recipes.shipped(code) else str(Path(file).resolve())


def word_of(path: Path, stored: Mapping[str, Any]) -> str:
    """The recipe of a run's folder as a command line names it: a shipped one by name, another one by the run's copy."""
    known, name = stored.get("code"), str(stored.get("experiment", ""))
    if known is None or (name in recipes.names() and recipes.shipped_hashes(name) == known["recipe"]):
        return name
    return str(path / COPY / known["entry"])


def described(code: Sources) -> dict[str, Any]:
    """What `config.json` says of a run's code."""
    return {"entry": code.entry, "recipe": code.hashes(), "genjax": sources.genjax_sha256()}


def sound(known: Any) -> Mapping[str, Any] | None:
    """What a seal says of the code, None where it is not of the form that `described` has."""
    try:
        checked(known, {"entry": str, "recipe": Each(str), "genjax": str}, "the seal")
    except UsageError:
        return None
    return known


def identity(stored: Mapping[str, Any]) -> tuple[str, str]:
    """The hash of a run's recipe and that of the genjax that trained it; empty where an older genjax did not say."""
    known = stored.get("code")
    return ("", "") if known is None else (sources.of_hashes(known["entry"], known["recipe"]), str(known["genjax"]))


def changed(stored: Mapping[str, Any], code: Sources) -> list[str]:
    """What of the recipe is not as it was, a phrase a file; nothing where an older genjax kept no hashes."""
    known = stored.get("code")
    return [] if known is None else sources.changes(known["recipe"], code.hashes())


def check(path: Path, stored: Mapping[str, Any] | None, code: Sources, knowingly: bool) -> list[str]:
    """Refuse to continue a run with another recipe than it was trained with, unless that is meant.

    A run without a sealed checkpoint begins again, with the recipe as it is now.

    Returns:
        What has changed, for the manifest.

    Raises:
        UsageError: naming the files.
    """
    found = [] if stored is None else changed(stored, code)
    if stored is not None and found and not knowingly and has_begun(path, stored):
        raise UsageError(
            f"{path} was trained by another recipe: {', '.join(found[:5])}{', ...' * (len(found) > 5)}.\n"
            "A new --run-dir starts afresh; --changed-code continues this run knowingly (its manifest will say so)."
        )
    return found


def keep(path: Path, code: Sources) -> None:
    """Put the copy into a run's folder; an earlier, different one is set aside as `recipe-1` and so on.

    Raises:
        RunFailure: the disk is full or fails.
    """
    copy = path / COPY
    if copy.exists():
        try:
            if sources.read_copy(copy, code.entry, code.hashes()).files == code.files:
                return
        except UsageError:
            pass
    try:
        if copy.exists():
            copy.rename(next(p for i in range(1, 10_000) if not (p := path / f"{COPY}-{i}").exists()))
        with building(copy) as place:
            for name, content in code.files.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(content)
    except OSError as e:
        raise failed_write(copy, sum(map(len, code.files.values())), e) from e


def note_trained(code: Sources, file: str) -> None:
    """Remember that this user trained the recipe here, so that its runs open: a shipped one may change with genjax."""
    if not trust.note_trained(code.sha256, Path(file).resolve()) and recipes.shipped(code) is None:
        say(f"genjax: {trust.list_of_trained()} cannot be written: opening this run will ask for --trust.")


def recipe_of(path: Path, stored: Mapping[str, Any], trusted: bool = False) -> ModuleType:
    """The recipe of a run's folder, imported from the copy that the run holds.

    Args:
        path: the run's folder.
        stored: its `config.json`.
        trusted: execute it whatever it is.

    Raises:
        UsageError: the copy is missing or was changed; or it neither ships with genjax nor was trained here by this
            user, and is not `trusted`.
    """
    if stored.get("code") is None:
        return _without_copy(path, str(stored["experiment"]), trusted)
    entry, hashes = stored["code"]["entry"], stored["code"]["recipe"]
    try:
        code = sources.read_copy(path / COPY, entry, hashes)
    except UsageError as e:
        if entry.removesuffix(".py") in recipes.names():  # one that ships is at hand anyway
            code = sources.read(recipes.folder() / entry, recipes.folder())
            if code.hashes() == hashes:
                return recipes.load_sources(code, recipes.folder())
        raise UsageError(f"RUN={path}: its copy of the recipe is not whole. {e}") from None
    if here := recipes.shipped(code):
        return recipes.load_sources(code, here.parent)
    if not (trusted or recipes.is_trusted(code)):
        files = ", ".join(sorted(code.files))
        raise UsageError(
            f"RUN={path}: to open it, {COPY}/{entry} would be executed ({files}). "
            "It neither ships with genjax nor was trained here by you.\n"
            "Read it; where you trust it, add --trust."
        )
    with executing(path):
        return recipes.load_sources(code, (path / COPY).resolve())


@contextlib.contextmanager
def executing(path: Path) -> Iterator[None]:
    """Says what a run's recipe needs and does not find here: an installed module, or a file that it reads.

    Raises:
        UsageError: naming it.
    """
    try:
        yield
    except ImportError as e:
        raise UsageError(
            f"RUN={path}: its recipe cannot be executed here: {e}.\n"
            "What is installed does not travel with a run: install it here."
        ) from e
    except OSError as e:
        raise UsageError(
            f"RUN={path}: its recipe cannot be executed here: {e.filename} cannot be read ({e.strerror or e}).\n"
            "A file that a recipe reads by itself does not travel with a run: put it there."
        ) from e


def _without_copy(path: Path, experiment: str, trusted: bool) -> ModuleType:
    """The recipe of a run of an older genjax, which kept no copy."""
    if experiment not in recipes.names() and not trusted:
        raise UsageError(
            f"RUN={path}: to open it, {experiment} would be executed, of which the run holds no copy "
            "(an older genjax made it).\nRead it; where you trust it, add --trust."
        )
    say(f"genjax: {path} holds no copy of its recipe (an older genjax made it): using {experiment} as it is now.")
    return recipes.load(experiment)
