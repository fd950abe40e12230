"""Proves, times and records genjax on the accelerator of this machine; on a CPU the same, smaller, as a rehearsal.

Command:  python experiments/accelerator/run.py [--minutes 8] [--only PART ...] [--row NAME ...] [--out FOLDER]
Writes:   FOLDER/<device>/<part>.json, row by row, and the pieces of long rows. Repeated, it goes on: rows that are
          there, measured by the same code on such a device, stay. README.md beside this file says what the parts are.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.accelerator import children, record
from experiments.accelerator.context import ROOT
from experiments.accelerator.driver import Part, drive
from experiments.accelerator.rows import ROWS
from experiments.accelerator.speed import peers_of

DEVICES = Path("/dev")
PARTS = (
    Part("environment", 3),
    Part("mathematics", 15),
    Part("resume", 14),
    Part("speed", 38),
    Part("populations", 10),
    Part("plan", 10),
    Part("rows", 10),
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything; held to 10 %%")
    parser.add_argument("--only", nargs="+", choices=[p.name for p in PARTS], help="these parts")
    parser.add_argument("--row", action="append", default=[], choices=ROWS, help="a long row, for the part `rows`")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--peers", help="folder with torch_worker.py and benchproto.py; default: the kit's")
    parser.add_argument("--data", type=Path, help="folder with mnist.npz, fashion_mnist.npz; default: the kit's")
    parser.add_argument("--pieces", type=Path, help="folder with pieces of rows to go on from; default: --out's")
    return parser.parse_args()


def main() -> int:
    """The command line: 0 where no part failed."""
    began, args = time.monotonic(), arguments()
    seconds = 60 * args.minutes
    stamp = json.loads(children.run(["-m", "experiments.accelerator.part", "stamp"], seconds).splitlines()[-1])
    if stamp["rehearsal"] and idle_accelerator():
        print(f"{idle_accelerator()} JAX_PLATFORMS=cpu rehearses on the CPU all the same.", file=sys.stderr)
        return 2
    folder = record.folder_of(args.out.resolve(), stamp["device_kind"])
    kit = Path(os.environ["GENJAX_KIT"]) if "GENJAX_KIT" in os.environ else None
    data = args.data.resolve() if args.data else kit / "data" if kit else None
    words = {"folder": folder, "rows": args.row, "peers": peers_of(args.peers, kit), "data": data}
    words["pieces"] = args.pieces and args.pieces.resolve()
    parts = [p for p in PARTS if (p.name in args.only if args.only else p.name != "rows" or args.row)]
    what = "rehearsal on " if stamp["rehearsal"] else ""
    sources = stamp["genjax_sha256"][:12]
    print(f"{what}{stamp['device_kind']}, jax {stamp['jax']}, genjax {sources}: {folder}", flush=True)

    def launch(part: Part, share: float, most: float) -> tuple[str, str]:
        said = {k: None if v is None else v if isinstance(v, list) else str(v) for k, v in words.items()}
        print(f"\n{part.name}: {share:.0f} s", flush=True)
        return launched(part.name, folder, {**said, "stamp": stamp, "seconds": share}, most)

    ended = drive(parts, seconds, launch, began=began)
    print(f"\n{time.monotonic() - began:.0f} s of {seconds:.0f}")
    for e in ended:
        print(f"{e.name:12} {e.seconds:6.1f} s  {e.status}{f': {e.reason}' if e.reason else ''}")
    return int(any(e.status == "failed" for e in ended))


def idle_accelerator() -> str:
    """What to say where there is an accelerator that jax does not use, and nobody said that it should not."""
    if os.environ.get("JAX_PLATFORMS"):
        return ""
    found = [name for name in ("nvidia0", "accel0") if (DEVICES / name).exists()]
    return f"jax does not use {DEVICES / found[0]}: see `genjax doctor`." if found else ""


def launched(name: str, folder: Path, words: dict[str, Any], most: float) -> tuple[str, str]:
    """Runs a part in a process, ended with all that it started after `most` seconds: status and reason."""
    command = [sys.executable, "-m", "experiments.accelerator.part", name, json.dumps(words)]
    process = subprocess.Popen(command, cwd=ROOT, env=children.environment(), start_new_session=True)
    why = ""
    try:
        process.wait(timeout=most)
    except subprocess.TimeoutExpired:
        why = f"ended after {most:.0f} s"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # itself, where it is late, and what it left
    code = process.wait()
    found = record.read(folder / f"{name}.json")
    if found.get("stamp") == words["stamp"] and found["status"] != "running":
        return found["status"], found["reason"]
    cut = record.Record(folder, name, words["stamp"], 0.0)
    if why:
        return cut.finish("out of time", why)
    return cut.finish("failed", f"its process ended with {code}")


if __name__ == "__main__":
    raise SystemExit(main())
