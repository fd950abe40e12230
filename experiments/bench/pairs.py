"""Runs workers of one workload in turn and records how much faster genjax is than the fastest of the others.

Command:  python experiments/bench/pairs.py WORKLOAD --peer NAME='COMMAND' [--peer ...] [--cores 1] [--out F.json]
          python experiments/bench/pairs.py --table [F.json ...]     the table of README.md here, from the records

A worker speaks the protocol of README.md beside this file. Each round trains every worker for a slice of a few seconds,
one after the other; a ratio is taken round by round and its median, smallest and largest are kept. On one core, to
which all are pinned, the ratio is of CPU time an image, which a busy machine changes little; on more, of wall time an
image, for a machine that does nothing else. There genjax may train with `--mesh data=CORES`, a core as a device: faster
for convolutions, slower for small dense nets. The record says which it was.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
ROUNDS = 5


class Worker:
    """A process that trains when told to."""

    def __init__(self, command: str, pin: list[str]):
        words = [*pin, *shlex.split(command)]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.ready = self._read("ready")

    def _read(self, key: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{") and key in (message := json.loads(line)):
                return message
        raise SystemExit(f"{self.process.args} ended without a word; run it by hand to see why.")

    def go(self, seconds: float) -> dict[str, Any]:
        """Train about so long; the rates."""
        assert self.process.stdin is not None
        print(f"go {seconds}", file=self.process.stdin, flush=True)
        return self._read("images_per_s")

    def stop(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(workload: str, peers: dict[str, str], cores: int, seconds: float, mesh: str) -> dict[str, Any]:
    """One row: the fastest peer, microseconds an image of both, and their ratio."""
    pin = ["taskset", "-c", "0"] if cores == 1 else []
    commands = {**peers, "genjax": f"{sys.executable} {HERE / 'worker.py'} {workload} {mesh}"}
    workers = {name: Worker(command, pin) for name, command in commands.items()}
    rounds = [{name: w.go(seconds) for name, w in workers.items()} for _ in range(ROUNDS)]
    for w in workers.values():
        w.stop()

    def us(name: str, row: dict[str, Any]) -> float:
        return row[name]["cpu_us_per_image"] if cores == 1 else 1e6 / row[name]["images_per_s"]

    us_of = {name: statistics.median(us(name, r) for r in rounds) for name in commands}
    fastest = min(peers, key=us_of.__getitem__)
    ratios = sorted(us(fastest, r) / us("genjax", r) for r in rounds)
    return {
        "ratio": round(statistics.median(ratios), 3),
        "min": round(ratios[0], 3),
        "max": round(ratios[-1], 3),
        "fastest": fastest,
        "mesh": mesh,
        "us_per_image": {name: round(v, 2) for name, v in us_of.items()},
        "peak_mib": {name: w.ready["peak_mib"] for name, w in workers.items()},
    }


def record(path: Path, workload: str, row: dict[str, Any], cores: int) -> None:
    """Add a row to a record, which says where it was measured."""
    whole = json.loads(path.read_text()) if path.exists() else {"cores": cores, "rounds": ROUNDS, "rows": {}}
    models = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
    whole["cpu"] = f"{models[0].split(':')[1].strip()}, {os.cpu_count()} cores"
    whole["python"] = platform.python_version()
    whole["rows"][workload] = row
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def table(paths: list[Path]) -> str:
    """Markdown: workloads down, records across."""
    wholes = sorted((json.loads(p.read_text()) for p in paths), key=lambda w: (w["cpu"], w["cores"]))
    heads = [f"{w['cores']} core{'s' * (w['cores'] > 1)}, {w['cpu'].split()[0].removesuffix('(R)')}" for w in wholes]
    lines = ["| workload | " + " | ".join(heads) + " |", "|---" * (len(wholes) + 1) + "|"]
    for name in dict.fromkeys(name for w in wholes for name in w["rows"]):
        cells = [_cell(w["rows"][name]) if name in w["rows"] else "" for w in wholes]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any]) -> str:
    spread = "" if row["min"] is None else f" ({row['min']:.2f} to {row['max']:.2f})"
    mesh = f", {row['mesh']}" if row.get("mesh") else ""
    return f"{row['ratio']:.2f}{spread}, {row['fastest']}{mesh}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", nargs="*")
    parser.add_argument("--peer", action="append", default=[], help="NAME='COMMAND'")
    parser.add_argument("--cores", type=int, default=1, help="1 pins all workers to one core")
    parser.add_argument("--mesh", default="", help="of genjax's worker, as `genjax train --mesh` takes it")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a slice")
    parser.add_argument("--out", type=Path, help="record to which the row is added")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        print(table([Path(p) for p in args.workload] or sorted(RESULTS.glob("cpu*.json"))))
        return
    if len(args.workload) != 1 or not args.peer:
        parser.error("name one workload and at least one --peer")
    row = measure(args.workload[0], dict(p.split("=", 1) for p in args.peer), args.cores, args.seconds, args.mesh)
    print(args.workload[0], json.dumps(row), flush=True)
    if args.out:
        record(args.out, args.workload[0], row, args.cores)


if __name__ == "__main__":
    main()
