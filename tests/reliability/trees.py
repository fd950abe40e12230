"""Trees of files: what is in one, and folders that are not genjax's or no longer whole."""

import hashlib
import json
import os
import stat
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from genjax.checkpoint import folders, seal
from genjax.runs import run_folder


def snapshot(folder: Path) -> dict[str, str]:
    """Every file, link and folder below, by relative path; a file by its SHA-256. Nothing but files is opened."""
    found = {}
    for parent, inside, files in os.walk(folder):
        for name in (*inside, *files):
            path = Path(parent) / name
            mode = path.lstat().st_mode
            what = "link " + os.readlink(path) if stat.S_ISLNK(mode) else "folder"
            if stat.S_ISREG(mode):
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            elif not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
                what = "special"
            found[str(path.relative_to(folder))] = what
    return found


def contents(folder: Path, names=None) -> Counter:
    """How often each file's content is there, wherever; of the files named alone, if any are."""
    return Counter(v for k, v in snapshot(folder).items() if len(v) == 64 and (names is None or k in names))


def foreign(folder: Path, **files: str | bytes) -> list[str]:
    """Writes files of somebody else below `folder`, names with `__` for slashes; their relative paths."""
    made = []
    for i, (name, content) in enumerate(files.items()):
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = content if isinstance(content, bytes) else f"{content} {i} {name}\n".encode()
        path.write_bytes(raw)
        made.append(str(path.relative_to(folder)))
    return made


def _project(folder: Path) -> None:
    foreign(folder, checkpoints__1000__weights_dot_bin="theirs", checkpoints__2000_dot_pt="theirs")
    (folder / "metrics.jsonl").write_text('{"step": 1, "accuracy": 0.5}\n')


def _images(folder: Path) -> None:
    for i in range(12):
        Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(folder / f"{i:02d}.png")


def _json(folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(json.dumps(value))


STRANGERS = {
    "another project's checkpoints and metrics": _project,
    "a data folder": _images,
    "a web app's config.json": lambda f: _json(f, "config.json", {"name": "app", "port": 80}),
    "a config.json with a format": lambda f: _json(f, "config.json", {"format": 1, "name": "app"}),
    "a config.json that is a list": lambda f: _json(f, "config.json", [1, 2]),
    "a damaged config.json": lambda f: (f / "config.json").write_text('{"format": 1,'),
    "a config.json that is a pipe": lambda f: os.mkfifo(f / "config.json"),
    "a lock of another program": lambda f: (f / "lock").write_text("31337\n"),
    "a lock that is a pipe": lambda f: os.mkfifo(f / "lock"),
    "a lock that is a link": lambda f: ((f / "theirs").write_text("x"), (f / "lock").symlink_to("theirs")),
    "pictures in samples": lambda f: foreign(f, samples__00000000_dot_png="theirs", samples__a_dot_png="theirs"),
    "a manifest.json": lambda f: _json(f, "manifest.json", {"name": "app", "icons": []}),
    "a report": lambda f: (f / "report.html").write_text("<html>mine</html>"),
    "a git checkout": lambda f: foreign(f, _dot_git__HEAD="ref"),
    "a hidden file": lambda f: foreign(f, _dot_env="SECRET"),
    "a sealed step of another tool": lambda f: foreign(f, checkpoints__10__seal_dot_json="{}"),
    "a link to a folder": lambda f: (f / "checkpoints").symlink_to(f.parent),
}
"""Folders that are no run's: each made by `STRANGERS[name](empty folder)`."""


def seal_anew(run: Path) -> None:
    """Seals a run's checkpoints with the `config.json` that is there now: a test has edited it on purpose."""
    at = folders.resolved(run / "checkpoints")
    for step in folders.sealed(at):
        body = seal.read(at / str(step))
        (at / str(step) / seal.SEAL).unlink()
        seal.write(at / str(step), {**body, "mark": run_folder.mark(run_folder.read_config(run)).stored()})
