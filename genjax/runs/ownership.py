"""Which files of a folder are genjax's own and which are not; those that are not are never touched.

A folder is a run's when it has a `config.json` of genjax; an empty one may become one. Everything else is refused
before a byte is written.
"""

import json
import os
import re
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path

from genjax.channels import say
from genjax.errors import UsageError
from genjax.files import RUN_FILES as FILES
from genjax.files import RUN_FOLDERS
from genjax.jsonfile import read_json

JUNK = re.compile(r"\.DS_Store|\._.*|\.localized|Thumbs\.db|desktop\.ini|\.directory|\.nfs.*|lost\+found|\.(git)?keep")
"""What file managers, file systems and git leave in a folder that a person calls empty."""
STARTED = re.compile(r"\.genjax-tmp-.*|\.config\.json\.tmp-\d+")
"""What a kill leaves of the very first file that a run writes (`genjax.files`)."""
LOCK = "lock"
FOLDERS = tuple(name for name in RUN_FOLDERS if name != "checkpoints")
"""What must be a folder of the run's own. Checkpoints may be a link to a larger disk: each bears the run's mark."""
MARK = b"\x00\x00\x00\x0ftEXtSoftware\x00genjax" + zlib.crc32(b"tEXtSoftware\x00genjax").to_bytes(4)
"""That, as a chunk of a PNG file."""
PAGE = b'<meta name="generator" content="genjax">'
"""What says in a page's first lines that genjax wrote it."""
OLD_PAGE = "· genjax</title>".encode()
"""How a page's title ended before there was such a mark."""


def strangers(folder: str | os.PathLike[str]) -> list[str]:
    """Names in a folder without `config.json` that keep it from becoming a run's; empty where it may.

    A lock file and what is left of writing `config.json` are those of a first start that was killed.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as e:
        raise UsageError(f"run folder {folder} cannot be listed ({e.strerror}). Use another --run-dir.") from e
    ours = [n for n in names if STARTED.fullmatch(n) or (n == LOCK and is_lock(Path(folder) / n))]
    return [n for n in names if n not in ours and not JUNK.fullmatch(n)]


def refuse_strangers(folder: Path, flag: str = "--run-dir") -> None:
    """Refuse a folder that is neither a run's nor empty.

    Raises:
        UsageError: naming what is in it.
    """
    found = strangers(folder)
    if not found:
        return
    if "checkpoints" in found and (sealed := sealed_names(folder)):
        raise UsageError(
            f"{flag}={folder}: checkpoints of a run are in it ({listed(sealed)}), but its config.json is gone.\n"
            f"Put that back to use the run, or name another {flag} to start one."
        )
    raise UsageError(
        f"{flag}={folder} is neither empty nor a run's folder: it holds {listed(found)}.\n"
        f"Nothing in it was touched. Name a new or empty {flag}."
    )


def refuse_other_than(folder: Path, names: Sequence[str], flag: str = "--run-dir") -> None:
    """Refuse a folder of several runs in which there is anything but these, and runs that were set aside: `NAME-1` ...

    Raises:
        UsageError: naming what else is in it.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{flag}={folder} is a file. Name another folder.")

    def known(name: str) -> bool:
        stem, _, number = name.rpartition("-")
        return name in names or (stem in names and number.isdecimal() and (folder / name / "config.json").is_file())

    if found := [n for n in strangers(folder) if not known(n)]:
        raise UsageError(
            f"{flag}={folder} holds other things already: {listed(found)}.\n"
            f"Nothing in it was touched. Name a new or empty {flag}."
        )


def refuse_odd_parts(folder: Path) -> None:
    """Refuse a run's folder whose files or folders lead elsewhere, or are something else of the same name.

    Raises:
        UsageError: naming the first.
    """
    for name in (*FILES, *FOLDERS):
        path = folder / name
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            continue
        wanted = "file" if name in FILES else "folder"
        if not (stat.S_ISREG(mode) if wanted == "file" else stat.S_ISDIR(mode)):
            what = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise UsageError(
                f"{path} is {'a file' if stat.S_ISREG(mode) else what}, where this run keeps a {wanted} of its own.\n"
                "genjax writes through no link and over no other's file: move it away, then repeat the command."
            )
    if (folder / LOCK).exists() and not is_lock(folder / LOCK):
        raise _not_ours(folder / LOCK)
    manifest = read_json(folder / "manifest.json")
    if manifest is not None and not (isinstance(manifest, dict) and "command" in manifest):
        raise _not_ours(folder / "manifest.json")


def refuse_overlap(run: Path, data: str) -> None:
    """Refuse a run's folder inside its data folder, or data inside what the run writes: it would train on itself.

    Args:
        run: the run's folder.
        data: what `--data` names; only a folder is looked at.

    Raises:
        UsageError: they overlap.
    """
    path = Path(data).expanduser()
    if not data or not path.is_dir():
        return
    there, here = path.resolve(), run.resolve()
    if here == there or there in here.parents:
        raise UsageError(
            f"--run-dir={run} lies in the data folder {data}: the run's pictures would become its data.\n"
            "Name a --run-dir outside of it."
        )
    if here in there.parents and there.relative_to(here).parts[0] in ("checkpoints", *FOLDERS):
        raise UsageError(
            f"--data={data} lies in the run folder {run}, among what the run itself writes.\n"
            "Copy the data to a folder of their own."
        )


def is_lock(path: Path) -> bool:
    """Whether a file is genjax's lock: a regular file, empty or with its holder's name."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        with path.open("rb") as f:
            text = f.read(4097)
        return not text or (len(text) <= 4096 and (text[:1] == b"{" and _holder_like(text)))
    except OSError:
        return False


def _holder_like(text: bytes) -> bool:
    try:
        who = json.loads(text)
    except ValueError:
        return b"pid" in text or len(text) < 8  # being written
    return isinstance(who, dict) and {"pid", "host", "since"} >= set(who)


def is_page(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a page that genjax wrote."""
    try:
        with Path(path).open("rb") as f:
            head = f.read(4000)
    except OSError:
        return False
    return PAGE in head or OLD_PAGE in head


def refuse_foreign_page(path: Path) -> None:
    """Refuses to write a page over a file that genjax did not write, unless --out names it.

    Raises:
        UsageError: such a file is there.
    """
    if os.path.lexists(path) and (path.is_symlink() or not is_page(path)):
        raise UsageError(f"{path} is there already and not a page of genjax: it stays. Name another file with --out.")


def set_aside(path: Path, new: bytes) -> None:
    """Rename a file that is in the way of a picture and that genjax did not write to `<name>.foreign`.

    Args:
        path: where the picture is to be written.
        new: its bytes, with genjax's mark in it (`SOFTWARE`).
    """
    try:
        old = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError:
        old = b""
    if MARK in old[:200] or old == new.replace(MARK, b""):  # once there was no mark
        return
    n = 0
    while os.path.lexists(aside := path.with_name(f"{path.name}.foreign{f'-{n}' if n else ''}")):
        n += 1
    path.rename(aside)
    say(f"genjax: {path} was not written by genjax: kept aside as {aside.name}.")


def set_samples_aside(folder: Path) -> None:
    """Rename `samples` to `samples-1` and so on, where it holds more than those of step 0."""
    samples = folder / "samples"
    if any(path.stem.isdigit() and int(path.stem) for path in samples.rglob("*.*")):
        aside = next(p for i in range(1, 10_000) if not (p := folder / f"samples-{i}").exists())
        samples.rename(aside)
        say(f"genjax: {samples} is of another attempt: kept aside as {aside.name}.")


def sealed_names(folder: Path) -> list[str]:
    """Names of the sealed steps in a folder's `checkpoints`, whatever run they are of."""
    where = folder / "checkpoints"
    names = os.listdir(where) if where.is_dir() else []
    return sorted((n for n in names if n.isdigit() and (where / n / "seal.json").is_file()), key=int)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a row, the first few."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _not_ours(path: Path) -> UsageError:
    return UsageError(f"{path} was not written by genjax: it stays as it is. Move it away, then repeat the command.")
