"""Dispatch, exit codes, and answering without jax."""

import subprocess
import sys

import pytest

from genjax import cli, recipes
from genjax.errors import RunFailure, UsageError

QUICK = """
import sys
from genjax.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as e:
    code = e.code
sys.exit(70 if "jax" in sys.modules else code)
"""


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        ([], 0, "usage: genjax COMMAND"),
        (["--help"], 0, "doctor"),
        (["--version"], 0, "genjax-vae-gan"),
        (["list"], 0, ""),
        (["train", "--help"], 0, "EXPERIMENT"),
        (["sample", "--help"], 0, "--label"),
        (["trian"], 2, "Did you mean train"),
        (["help"], 0, "usage: genjax COMMAND"),
        (["help", "sample"], 0, "usage: genjax sample RUN --out"),
        (["help", "trian"], 2, "Did you mean train"),
        (["train"], 2, "EXPERIMENT"),
        (["train", "vae_digit"], 2, "genjax list"),
        (["train", "no/such/file.py"], 2, "no such file"),
        (["sample", "RUN", "--out", "x.png", "--sede", "3"], 2, "Did you mean --seed"),
        (["sample", "RUN", "--out", "x.jpg"], 2, ".png, .pdf or .npz"),
        (["sample", "RUN", "--out", "x.png", "--n", "0"], 2, "at least 1"),
        (["score", "RUN"], 2, "missing: DATA, --out"),
        (["report"], 2, "at least one run"),
    ],
)
def test_answers_without_jax(argv, code, says, child_env):
    command = [sys.executable, "-c", QUICK, *argv]
    done = subprocess.run(command, env=child_env, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert says in (done.stdout if code == 0 else done.stderr)
    assert "Traceback" not in done.stderr
    if code:
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) <= 3


def test_every_command_exists():
    import importlib

    for name, command in cli.COMMANDS.items():
        module = importlib.import_module(f"genjax.cli.{command.module}")
        assert callable(getattr(module, cli.FUNCTIONS.get(name, name)))


STRUCK = ImportError("Encountered an error while initializing the extension")
STRUCK.__cause__ = KeyboardInterrupt()
"""What a compiled module makes of a Ctrl-C while it is loaded."""


@pytest.mark.parametrize(
    ("raised", "code"), [(UsageError("z_dim=0"), 2), (RunFailure("disk"), 1), (KeyboardInterrupt(), 130), (STRUCK, 130)]
)
def test_exit_codes(raised, code, monkeypatch, capsys):
    def fail(argv):
        raise raised

    monkeypatch.setattr(cli, "run", fail)
    assert cli.main(["doctor"]) == code
    assert capsys.readouterr().err.startswith("genjax: ")


@pytest.mark.parametrize("error", [ZeroDivisionError, ImportError])
def test_the_unexpected_keeps_its_traceback(error, monkeypatch):
    def fail(argv):
        raise error

    monkeypatch.setattr(cli, "run", fail)
    with pytest.raises(error):
        cli.main([])


def test_nearest_offers_at_most_three():
    assert recipes.nearest("stepz", ["steps", "seed", "data"]).startswith(" Did you mean steps")
    assert recipes.nearest("qqqq", ["steps"]) == ""
