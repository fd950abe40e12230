"""The command line that trains a configuration, and the folder that it makes by default."""

import dataclasses
import shlex
import time
from pathlib import Path
from typing import Any

from genjax.runs.config import Options
from genjax.runs.members import Members
from genjax.train import distributed


def fresh_folder(name: str, seed: int, members: Members | None = None) -> Path:
    """A new folder's path under `runs/`, named after recipe, seed or number of members, and time."""
    who = f"seed{seed}" if members is None else f"{members.n}members"
    base = Path("runs") / f"{Path(name).stem}-{who}-{time.strftime('%Y%m%d-%H%M%S')}"
    tries = [base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 100))]
    return next(p for p in tries if not p.exists())


def command(name: str, cfg: Any, options: Options | None = None, members: Members | None = None) -> str:
    """The command line that trains this configuration, without its folder: the fields that differ from the defaults."""
    swept = {} if members is None else members.sweep
    flags = [
        f"--{f.name.replace('_', '-')} {shlex.quote(str(getattr(part, f.name)))}"
        for part in (cfg, options)
        if part is not None
        for f in dataclasses.fields(part)
        if getattr(part, f.name) != f.default and f.name not in ("run_dir", *distributed.FLAGS, *swept)
    ]
    return " ".join(["genjax train", shlex.quote(name), *flags, *([] if members is None else [members.flags()])])
