"""A run's folder as files of at most 15 MiB that join to the same bytes again.

Command:  python -m experiments.accelerator.pieces split RUN FOLDER
          python -m experiments.accelerator.pieces join FOLDER NAME RUN
"""

import hashlib
import io
import sys
import tarfile
from pathlib import Path

from genjax.files import building, replace

LARGEST = 15 * 2**20
"""Bytes of a piece."""
SEAL = 32
"""Bytes behind the archive, where tar does not look: its SHA-256."""
LEFT_BEHIND = ("samples", "lock", "report.html")
"""Files of a run that continuing it does not need."""


def split(run: Path, folder: Path, name: str = "", largest: int = LARGEST) -> list[Path]:
    """The pieces `NAME.000`, `NAME.001`, ... of a run, written into a folder; older ones of that name are replaced."""
    name, packed = name or run.name, pack(run)
    folder.mkdir(parents=True, exist_ok=True)
    for old in pieces_of(folder, name):
        old.unlink()
    made = []
    for i, start in enumerate(range(0, len(packed), largest)):
        made.append(folder / f"{name}.{i:03d}")
        replace(made[-1], packed[start : start + largest])
    return made


def join(folder: Path, name: str, run: Path) -> str:
    """Makes the run's folder of its pieces again; the SHA-256 of the archive that they join to.

    Raises:
        FileNotFoundError: there are none.
        ValueError: one is missing or damaged.
    """
    found = pieces_of(folder, name)
    if not found:
        raise FileNotFoundError(f"{folder}: there are no pieces {name}.000, {name}.001, ...")
    packed = b"".join(p.read_bytes() for p in found)
    archive, seal = packed[:-SEAL], packed[-SEAL:]
    if hashlib.sha256(archive).digest() != seal:
        raise ValueError(f"{folder}/{name}.*: a piece is missing or damaged. Bring all of one session.")
    with building(run) as new, tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
        opened.extractall(new, filter="data")
    return seal.hex()


def pieces_of(folder: Path, name: str) -> list[Path]:
    """The pieces of a name, in order."""
    return sorted(p for p in folder.glob(f"{name}.[0-9][0-9][0-9]") if p.is_file())


def pack(run: Path) -> bytes:
    """The files of a run as one sealed archive: the same bytes for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(run.rglob("*")):
            inner = path.relative_to(run)
            if inner.parts[0] in LEFT_BEHIND or path.is_symlink() or not (path.is_file() or path.is_dir()):
                continue
            info = tarfile.TarInfo(inner.as_posix())
            if path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                content = path.read_bytes()
                info.size, info.mode = len(content), 0o644
                archive.addfile(info, io.BytesIO(content))
    return packed.getvalue() + hashlib.sha256(packed.getvalue()).digest()


def main(what: str, *words: str) -> None:
    """The command line."""
    if what == "split":
        print("\n".join(map(str, split(Path(words[0]), Path(words[1])))))
    else:
        print(join(Path(words[0]), words[1], Path(words[2])))


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in ("split", "join"):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
