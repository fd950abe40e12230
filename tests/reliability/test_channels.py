"""What is said never decides a command: every command on channels that are closed, full, left by their reader or ASCII.

Exit code 0 comes only with complete work, and a command whose product is files always completes them. A few
combinations run in `make test`, all of them in `make test-all`.
"""

import contextlib
import fcntl
import io
import itertools
import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from quick import few
from reliability.runs import SMALL
from reliability.zygote import zygote

from genjax import cli

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has"),
]
FEW = ["--log-every", "1", "--save-every", "2", "--sample-every", "4", "--steps", "6"]
SIZES = [*SMALL["vae_digits"], *FEW]
HERE = "sümmer ∑"
"""The folder that commands work in: its name is beyond ASCII and Latin-1, and they print it."""


class Command(NamedTuple):
    """A command line, the run folders it works on, and its product as something to compare."""

    argv: list[str]
    product: Callable[[Path], object] | None = None
    """None: what it prints."""
    code: int = 0


def content(name: str) -> Callable[[Path], bytes]:
    return lambda here: (here / name).read_bytes()


def page(name: str) -> Callable[[Path], bool]:
    return lambda here: (here / name).read_text().rstrip().endswith("</html>")


def state(name: str) -> Callable[[Path], object]:
    """A run's digest and the steps of its rows."""

    def get(here: Path) -> object:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert cli.main(["digest", str(here / name)]) == 0
        rows = (here / name / "metrics.jsonl").read_text().splitlines()
        return out.getvalue().splitlines()[-1], [json.loads(row)["step"] for row in rows]

    return get


def records(here: Path) -> object:
    found = json.loads((here / "a" / "eval.json").read_text())["records"]
    return [(r["metric"], r["value"]) for r in found]


COMMANDS = {
    "help": Command(["--help"]),
    "version": Command(["--version"]),
    "list": Command(["list"]),
    "train-help": Command(["train", "vae_digits", "--help"]),
    "results": Command(["results"]),
    "features": Command(["features"]),
    "doctor": Command(["doctor"]),
    "plan": Command(["plan", "vae_digits", *SMALL["vae_digits"]]),
    "digest": Command(["digest", "a"]),
    "refused": Command(["digest", "nowhere"], code=2),
    "unknown": Command(["lst"], code=2),
    "sample": Command(["sample", "a", "--n", "2", "--out", "s.npz"], content("s.npz")),
    "score": Command(["score", "a", "digits", "--out", "s.csv"], content("s.csv")),
    "report": Command(["report", "a"], page("a/report.html")),
    "eval": Command(["eval", "a", "--metrics", "elbo,prdc", "--n", "40"], records),
    "compare": Command(["compare", "a", "b"], page("compare.html")),
    "extract": Command(["extract", "p", "--member", "1", "--out", "e"], state("e")),
    "train": Command(["train", "vae_digits", *SIZES, "--run-dir", "t"], state("t")),
    "continue": Command(["train", "vae_digits", *SIZES, "--steps", "9", "--run-dir", "a"], state("a")),
    "finished": Command(["train", "vae_digits", *SIZES, "--run-dir", "a"], state("a")),
    "demo": Command(["demo", "--data", "digits", "--run-dir", "d"], page("d/report.html")),
}
NEEDS = {"digest": "a", "sample": "a", "score": "a", "report": "a", "eval": "a", "continue": "a", "finished": "a",
         "compare": "ab", "extract": "p", "demo": "d"}  # fmt: skip

OUT, ERR = "out", "err"
CHANNELS = {
    **{f"{'+'.join(which)}-{fault}": dict.fromkeys(which, fault)
       for which in ((OUT,), (ERR,), (OUT, ERR)) for fault in ("closed", "full", *(f"head-{k}" for k in (0, 1, 3)))},
    **{name: {OUT: name, ERR: name} for name in ("ascii", "latin-1", "slow")},
}  # fmt: skip
"""What is wrong with which channel. `head-k`: the reader leaves after k lines; of both, it is one pipe (`2>&1`).
`slow`: a pipe that does not wait for its reader, who is late."""

QUICK = [
    *(("list", c) for c in ("out-full", "out-head-0", "ascii")),
    ("digest", "out-closed"),
    ("refused", "out+err-closed"),
]


@pytest.fixture(scope="module")
def there(module_child_env):
    """The process that forks the commands."""
    with zygote(module_child_env) as process:
        yield process


@pytest.fixture(scope="module")
def made(there, tmp_path_factory):
    """`made(name)`: a folder with what a command needs, and its product and print on sound channels."""
    ready, done = tmp_path_factory.mktemp("ready"), {}

    def run(*argv):
        with open(os.devnull, "w") as nowhere:
            assert there.run(list(argv), nowhere.fileno(), nowhere.fileno(), ready) == 0

    def prepare(run_name):
        if (ready / run_name).exists():
            return
        if run_name == "d":  # its training is `train`'s: what is left to do is the page
            run(*COMMANDS["demo"].argv)
            (ready / "d" / "report.html").unlink()
            return
        more = {"a": [], "b": ["--seed", "1"], "p": ["--seeds", "2"]}[run_name]
        run("train", "vae_digits", *SIZES, *more, "--run-dir", run_name)

    def get(name, tmp_path):
        command, needs = COMMANDS[name], NEEDS.get(name, "")
        for run_name in needs:
            prepare(run_name)
            if name == "compare" and not (ready / run_name / "eval.json").exists():
                run("eval", run_name, "--metrics", "elbo", "--n", "40")
        if name not in done:
            here = copied(ready, needs, tmp_path / "sound" / HERE)
            code, out, err = on(there, command.argv, {}, here)
            assert code == command.code, err
            done[name] = command.product(here) if command.product and not code else out
        return copied(ready, needs, tmp_path / "broken" / HERE), done[name]

    return get


def copied(ready: Path, names: str, here: Path) -> Path:
    here.mkdir(parents=True)
    for name in names:
        shutil.copytree(ready / name, here / name)
    return here


def on(there, argv, faults, here) -> tuple[int, str, str]:
    """A command on channels with faults: its exit code, and what could be read of what it said."""
    heard = {OUT: b"", ERR: b""}
    ends, readers, shared = {}, [], None
    for channel in (OUT, ERR):
        fault = faults.get(channel, "")
        if fault == "closed":
            ends[channel] = None
        elif fault == "full":
            ends[channel] = os.open("/dev/full", os.O_WRONLY)
        elif shared is not None:
            ends[channel] = os.dup(shared)
        else:
            source, ends[channel] = os.pipe()
            if fault.startswith("head") and len(faults) == 2:
                shared = ends[channel]
            if fault == "slow":
                os.set_blocking(ends[channel], False)
                fcntl.fcntl(ends[channel], fcntl.F_SETPIPE_SZ, 4096)
            lines = int(fault[-1]) if fault.startswith("head") else None
            if lines == 0:
                os.close(source)
            else:
                reader = threading.Thread(target=listen, args=(source, lines, fault == "slow", heard, channel))
                readers.append(reader)
                reader.start()
    encoding = faults.get(OUT) if faults.get(OUT) in ("ascii", "latin-1") else "utf-8"
    try:
        code = there.run(argv, ends[OUT], ends[ERR], here, encoding)
    finally:
        for fd in ends.values():
            if fd is not None:
                os.close(fd)
        for reader in readers:
            reader.join(timeout=60)
    return code, *(heard[channel].decode(encoding) for channel in (OUT, ERR))


def listen(source: int, lines: int | None, slow: bool, heard: dict[str, bytes], channel: str) -> None:
    """Reads a pipe to its end, or `lines` lines of it."""
    late = threading.Event()
    with os.fdopen(source, "rb", buffering=0) as f:
        while lines is None or heard[channel].count(b"\n") < lines:
            if slow:
                late.wait(0.05)
            got = f.read(4096 if lines is None else 1)
            if not got:
                return
            heard[channel] += got


def printed(text: str) -> str:
    """What is the same from call to call: `doctor` tells of the room on the disk and of the folder it is in."""
    return re.sub(r"\d+(\.\d+)?|sound|broken", "", text)


@pytest.mark.parametrize(("name", "channel"), few(itertools.product(COMMANDS, CHANNELS), *QUICK))
def test_every_command_on_every_channel(name, channel, there, made, tmp_path):
    command, faults = COMMANDS[name], CHANNELS[channel]
    here, wanted = made(name, tmp_path)
    code, out, err = on(there, command.argv, faults, here)
    assert "Traceback" not in err + out, err
    assert "Exception ignored" not in err
    fault = faults.get(OUT, "")
    lost = fault in ("closed", "full")
    if command.code:
        assert code == command.code
    elif command.product is not None:
        assert code == 0, err
        assert command.product(here) == wanted
        prints = name not in ("train", "continue", "finished")
        if lost and prints and ERR not in faults:
            assert "standard output cannot be written" in err
            assert "the work is complete" in err
    elif lost:
        assert code == 1
        if ERR not in faults:
            assert re.search(r"^genjax: standard output cannot be written \(.*\): not all was printed\.$", err, re.M)
    elif fault.startswith("head"):
        assert code == 141 if fault == "head-0" else code in (0, 141)  # 0: all was in the pipe before its reader left
    else:
        assert code == 0
        if fault not in ("ascii", "latin-1"):
            assert printed(out) == printed(wanted)
        else:
            assert len(out.splitlines()) == len(wanted.splitlines())
