"""One part in a process of its own: whatever becomes of it, the others run, and the device is free again.

Command:  python -m experiments.accelerator.part stamp                 what is measured on, as JSON
          python -m experiments.accelerator.part NAME WORDS            WORDS as JSON, see `run.py`
"""

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from experiments.accelerator import environment, sizes
from experiments.accelerator.context import Context
from experiments.accelerator.driver import one_line
from experiments.accelerator.record import Record


def run(module: Any, ctx: Context) -> tuple[str, str]:
    """Measures a part to the end of its record: status and reason."""
    try:
        module.measure(ctx)
    except Exception as e:
        traceback.print_exc()
        return ctx.record.finish("failed", one_line(e))
    return ctx.record.finish()


def main(name: str, words: str = "{}") -> None:
    """The command line."""
    if name == "stamp":
        print(json.dumps(environment.stamp()))
        return
    said = json.loads(words)
    stamp, paths = said["stamp"], {k: said[k] and Path(said[k]) for k in ("peers", "data", "pieces")}
    size = sizes.REHEARSAL if stamp["rehearsal"] else sizes.FULL
    record = Record(Path(said["folder"]), name, stamp, said["seconds"])
    ctx = Context(record, size, rows=tuple(said["rows"]), **paths)
    status, _ = run(importlib.import_module(f"experiments.accelerator.{name}"), ctx)
    raise SystemExit(status == "failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
