"""How a run may be opened: whose recipes may be executed, and where its data lie. Standard library only.

Opening a run executes its recipe. That is done for recipes that ship with genjax and those that this user has trained
here. The latter are a list of hashes in the user's state folder (`$XDG_STATE_HOME/genjax`, else
`~/.local/state/genjax`), a line for each recipe, written when its training begins. The list is about contents, not
places: a run copied from elsewhere opens where its recipe is one of those, whatever its folder is called.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Access:
    """How to open a run that came from elsewhere, or whose data moved."""

    data: str | None = None  # where the run's data lie now, if not where they were: a folder, a file or a name
    data_dir: str | None = None  # TFDS folder; without it the one that the run was trained from
    trust: bool = False  # execute the run's copy of its recipe although you did not train it here


def list_of_trained() -> Path:
    """The file of the hashes."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "genjax" / "trained_recipes"


def was_trained_here(sha256: str) -> bool:
    """Whether this user has trained a recipe with this hash (`Sources.sha256`)."""
    try:
        lines = list_of_trained().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.split(maxsplit=1)[:1] == [sha256] for line in lines)


def note_trained(sha256: str, path: Path) -> bool:
    """Put a recipe on the list; False where that cannot be written."""
    if was_trained_here(sha256):
        return True
    try:
        file = list_of_trained()
        file.parent.mkdir(parents=True, exist_ok=True)
        line = f"{sha256}  {str(path)!a}\n".encode()
        fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            return os.write(fd, line) == len(line)  # one write, so that processes do not mix their lines
        finally:
            os.close(fd)
    except OSError:
        return False
