"""One input of a run is changed between two commands: the second gives the same result, or a line that names it."""

import hashlib
import itertools
import json
import shutil
from typing import NamedTuple

import numpy as np
import pytest

from genjax import cli, recipes, sources

FLAGS = ["--hidden", "8", "--z-dim", "2", "--batch-size", "8", "--log-every", "2", "--save-every", "2",
         "--sample-every", "2", "--validation", "20", "--eval-every", "2"]  # fmt: skip
MEASURED = ["--n", "20", "--metrics", "elbo,sharpness"]


def write_data(path, changed=""):
    """60 training and 30 test images; of the part that is to be `changed` one pixel is another."""
    rng = np.random.default_rng(0)
    parts = {part: rng.integers(0, 256, (n, 8, 8), np.uint8) for part, n in (("train", 60), ("test", 30))}
    if changed:
        parts[changed][7, 3, 3] ^= 255
    np.savez(path, train_image=parts["train"], test_image=parts["test"])


def write_recipe(folder, weight="1.0", factor=""):
    """A recipe of its own, and the neighbour that it imports."""
    text = recipes.find("vae_digits").read_text().replace("import optax\n", "import my_parts\nimport optax\n", 1)
    text = text.replace("beta_vae(vae, cfg.beta,", f"beta_vae(vae, {factor}cfg.beta * my_parts.W,")
    (folder / "my_vae.py").write_text(text)
    (folder / "my_parts.py").write_text(f"W = {weight}\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two measured runs of two seeds."""
    root = tmp_path_factory.mktemp("identity")
    write_recipe(root)
    write_data(root / "images.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for seed in "01":
            assert cli.main(train(f"run{seed}", "--steps", "4", "--seed", seed)) == 0
            assert cli.main(["eval", f"run{seed}", *MEASURED]) == 0
    return root


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def train(run, *more):
    return ["train", "my_vae.py", "--data", "images.npz", *FLAGS, "--run-dir", run, *more]


COMMANDS = {
    "train": train("run0", "--steps", "6"),
    "train finished": train("run0", "--steps", "4"),
    "train folder": ["train", "run0", "--steps", "6"],
    "sample": ["sample", "run0", "--n", "4", "--out", "out.npz"],
    "score": ["score", "run0", "images.npz", "--out", "out.csv"],
    "eval": ["eval", "run0", *MEASURED],
    "compare": ["compare", "run0", "run1", "--out", "out.html"],
    "report": ["report", "run0", "--out", "out.html"],
    "digest": ["digest", "run0"],
}
BEFORE: dict[str, "Result"] = {}
"""What each command gives where nothing was changed; found once."""


class Result(NamedTuple):
    """What a command gave: its exit code, what it made, and what it said."""

    code: int
    made: str
    said: str


def result(command, here, capsys):
    capsys.readouterr()
    code = cli.main(COMMANDS[command])
    got = capsys.readouterr()
    made = got.out
    if command.startswith("train"):
        assert cli.main(["digest", "run0"]) in (0, 1, 2)
        made = capsys.readouterr().out
    elif command == "eval":
        found = json.loads((here / "run0" / "eval.json").read_text())["records"]
        made = json.dumps([(r["metric"], r["value"], r["over_samples"]) for r in found])
    elif command == "sample":
        made = str(np.load("out.npz")["image"].tolist()) if (here / "out.npz").exists() else ""
    elif (out := here / COMMANDS[command][-1]).is_file():
        made = hashlib.sha256(out.read_bytes()).hexdigest()
    return Result(code, made, got.err + got.out + (out.read_text() if (out := here / "out.html").exists() else ""))


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value, indent=2))


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


def other_checkpoint(here):
    shutil.rmtree(here / "run0" / "checkpoints" / "4")
    shutil.copytree(here / "run1" / "checkpoints" / "4", here / "run0" / "checkpoints" / "4")


CHANGES = {
    "recipe": (lambda here: write_recipe(here, factor="3 * "), ["my_vae.py has changed"]),
    "helper": (lambda here: write_recipe(here, weight="3.0"), ["my_parts.py has changed"]),
    "copy of the helper": (lambda here: (here / "run0/recipe/my_parts.py").write_text("W = 3.0\n"), ["my_parts.py"]),
    "field": (lambda here: edit(here / "run0/config.json", lambda c: c["config"].update(beta=2.0)), ["config.json"]),
    "seal": (lambda here: flip(here / "run0/checkpoints/4/seal.json"), ["seal.json"]),
    "state": (lambda here: flip(max((here / "run0/checkpoints/4/state").rglob("*"), key=lambda p: p.stat().st_size)),
              ["SHA-256", "damaged"]),
    "another run's checkpoint": (other_checkpoint, ["another run", "other run"]),
    "training data": (lambda here: write_data(here / "images.npz", "train"),
                      ["fingerprint", "part differs"]),
    "test data": (lambda here: write_data(here / "images.npz", "test"), ["test part"]),
    "library": (None, ["another genjax", "genjax_sha256"]),
}  # fmt: skip
"""What is changed, and words of a line that names it."""


COMBINATIONS = [
    (command, change)
    for command, change in itertools.product(COMMANDS, CHANGES)
    if not (command == "score" and change.endswith("data"))  # what it scores is its argument
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "change"), COMBINATIONS)
def test_a_changed_input_changes_nothing_or_is_named(here, capsys, monkeypatch, change, command, made, tmp_path):
    if command not in BEFORE:
        untouched = tmp_path / "untouched"
        shutil.copytree(made, untouched)
        with monkeypatch.context() as patch:
            patch.chdir(untouched)
            BEFORE[command] = result(command, untouched, capsys)
    before = BEFORE[command]
    assert before.code == 0, before.said
    do, words = CHANGES[change]
    if do is None:
        monkeypatch.setattr(sources, "genjax_sha256", lambda: "f" * 64)
    else:
        do(here)
    after = result(command, here, capsys)
    assert after.code in (0, 1, 2)
    named = any(w in after.said for w in words)
    assert named or (after.code == 0 and after.made == before.made), after
    assert "Traceback" not in after.said
