"""Packs what genjax needs on a machine with an accelerator and no network: `make accelerator-kit`.

Command:  python -m experiments.accelerator.kit [--out build/accelerator-kit] [--data FOLDER] [--peers FOLDER]
Writes:   wheels for CPython 3.12 on manylinux x86-64 of what `machine.txt` lacks, MNIST and Fashion-MNIST as .npz, the
          other side's workers where they are, `about.json` (commit), and `start.sh`, which needs no network.
"""

import argparse
import gzip
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement

from experiments.accelerator.context import ROOT
from genjax import data, sources
from genjax.runs.manifest import checkout

HERE = Path(__file__).parent
LARGEST = 60 * 2**20
"""Bytes of the kit and of the checkout's files together."""
OMITTED = ("tensorflow-datasets",)
"""Dependencies of genjax that the kit leaves out, because its data are .npz files."""
TARGET = {"python_version": "3.12", "python_full_version": "3.12.3", "sys_platform": "linux", "extra": "",
          "platform_machine": "x86_64", "platform_system": "Linux", "os_name": "posix"}  # fmt: skip
SETS = ("mnist", "fashion_mnist")
PEERS = ("torch_worker.py", "benchproto.py")
GLIBC = ("2_34", "2_31", "2_28", "2_27", "2_24", "2_17")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "accelerator-kit")
    raw = ROOT.parent / "shared" / "data" / "raw"
    what = "folder with mnist/ and fashion_mnist/ in their first form; else the TFDS folder is read"
    parser.add_argument("--data", type=Path, default=raw, help=what)
    parser.add_argument("--peers", type=Path, default=ROOT.parent / "shared" / "bench")
    args = parser.parse_args()
    raise SystemExit(packed(args.out, args.data, args.peers))


def packed(out: Path, raw: Path, peers: Path) -> str | None:
    """Makes the kit, prints what is in it, and says why it is refused where it is."""
    shutil.rmtree(out, ignore_errors=True)
    for folder in ("wheels", "data", "peers"):
        (out / folder).mkdir(parents=True)
    wheels(missing(), out / "wheels")
    for name in SETS:
        np.savez_compressed(out / "data" / f"{name}.npz", allow_pickle=False, **arrays(name, raw / name))
    for name in PEERS:
        if (peers / name).is_file():
            shutil.copyfile(peers / name, out / "peers" / name)
    commit, dirty = checkout()
    about = {"commit": commit, "dirty": dirty, "genjax_sha256": sources.genjax_sha256()}
    (out / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    shutil.copyfile(HERE / "start.sh", out / "start.sh")
    (out / "start.sh").chmod(0o755)
    return listed(out)


def listed(out: Path) -> str | None:
    """Prints the kit's files with their sizes; why it is too large, if it is."""
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        print(f"{path.stat().st_size:12,}  {path.relative_to(out)}")
    kit, own = size([p for p in out.rglob("*") if p.is_file()]), size(committed())
    print(f"{kit / 2**20:.1f} MiB, with the checkout's {own / 2**20:.1f} MiB {(kit + own) / 2**20:.1f}: {out}")
    if kit + own > LARGEST:
        return f"accelerator-kit: more than {LARGEST / 2**20:.0f} MiB. Leave something out, of it or of the checkout."
    return None


def size(paths: Iterable[Path]) -> int:
    """Bytes of files."""
    return sum(p.stat().st_size for p in paths)


def committed() -> list[Path]:
    """The checkout's files, as git knows them: those that travel."""
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / n for n in names if (ROOT / n).is_file()]


def missing() -> list[str]:
    """What genjax needs and the machine lacks, `NAME==VERSION` each, by the metadata of what is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    there = {plain(x) for x in (HERE / "machine.txt").read_text().split("\n") if x and not x.startswith("#")}
    pins, found, ask = pinned(), {}, [Requirement(r) for r in project["dependencies"]]
    while ask:
        need = ask.pop()
        name = plain(need.name)
        if name in there or name in found or name in OMITTED or not applies(need):
            continue
        found[name] = pins.get(name) or importlib.metadata.version(need.name)
        ask += [Requirement(r) for r in importlib.metadata.requires(need.name) or ()]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def applies(need: Requirement) -> bool:
    """Whether a requirement is one of the machine's Python and system."""
    return need.marker is None or need.marker.evaluate(TARGET)


def pinned() -> dict[str, str]:
    """The versions of constraints.txt for the machine's Python."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {plain(r.name): next(iter(r.specifier)).version for r in wanted if applies(r)}


def plain(name: str) -> str:
    """A distribution's name in its normal form."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def wheels(names: list[str], folder: Path) -> None:
    """Downloads wheels; only what is named."""
    tags = [f"manylinux_{v}_x86_64" for v in GLIBC] + ["manylinux2014_x86_64"]
    platforms = [word for tag in tags for word in ("--platform", tag)]
    of = ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.12", *platforms]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "-d", str(folder)]
    subprocess.run([*pip, *of, *names], check=True)


def arrays(name: str, raw: Path) -> dict[str, np.ndarray]:
    """A set's arrays as genjax reads them from an .npz: of the raw files where they are, else of the TFDS folder."""
    if not raw.is_dir():
        found = data.load(name)
        parts = {"train": found.train, "test": found.test}
        stored = {"image": "x", "label": "y"}
        return {f"{p}_{k}": np.asarray(getattr(v, stored[k])) for p, v in parts.items() for k in stored}
    made = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        made[f"{part}_image"] = idx(raw / f"{stem}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
        made[f"{part}_label"] = idx(raw / f"{stem}-labels-idx1-ubyte.gz", 8)
    return made


def idx(path: Path, header: int) -> np.ndarray:
    """The bytes of an IDX file after its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


if __name__ == "__main__":
    main()
