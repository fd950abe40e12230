"""The live line: it fits the terminal, and what matters most is in it."""

import io
import re
import sys

import pytest

from genjax.runs.display import Display, favourites, one_line

VAE = {"step": 12345, "seconds": 9.5, "examples_per_s": 9876.5, "elbo": -95.3123, "rate": 20.1, "distortion": 75.2,
       "loss": 95.3, "grad_norm": 1.5, "update_norm": 0.1}  # fmt: skip
GAN = {"step": 12345, "seconds": 9.5, "examples_per_s": 9876.5, "d/loss": 1.2345, "g/loss": 0.7654, "d/grad_norm": 1.0,
       "d/real_probability": 0.6123, "d/fake_probability": 0.4321}  # fmt: skip
ROWS = {
    "vae": VAE,
    "gan": GAN,
    "players": {"step": 12345, "examples_per_s": 1.0, "critic/loss": 1.0, "vae/loss": 2.0, "vae/elbo": -3.0},
    "unknown": {"step": 12345, "examples_per_s": 1.0, "energy": 1.0, "temperature": 2.0},
    "wide": {**VAE, "elbo": -1.3e10, "rate": float("nan"), "distortion": float("-inf"), "step": 1234567890},
}


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def words(row):
    return [f"{k} {v:.4g}" for k, v in favourites(row).items()]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("vae", ["elbo", "rate", "distortion"]),
        ("gan", ["d/loss", "g/loss", "d/real_probability", "d/fake_probability"]),
        ("players", ["vae/elbo", "critic/loss", "vae/loss"]),
        ("unknown", ["energy", "temperature"]),
        ("wide", ["elbo", "rate", "distortion"]),
    ],
)
def test_the_most_telling_metrics_by_their_last_part(name, wanted):
    assert list(favourites(ROWS[name])) == wanted


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("name", ROWS)
def test_it_fits_any_width(name, ascii_only):
    row = ROWS[name]
    for width in range(1, 200):
        line = one_line(row["step"], 60_000, "1:02:03", [*words(row), "9,876 examples/s"], width, ascii_only)
        assert len(line) <= width
        assert line.startswith(f"{row['step']}/60000"[:width])
        assert line.isascii() or not ascii_only
        assert "ETA 1:02:03" in line or width < 40


@pytest.mark.parametrize("name", ROWS)
def test_at_80_columns(name):
    line = one_line(ROWS[name]["step"], 60_000, "1:02:03", words(ROWS[name]), 80)
    assert re.search(r"[━┈]{5,}", line)
    assert sum(word in line for word in words(ROWS[name])) >= 2


@pytest.mark.parametrize(("columns", "encoding"), [(80, "utf-8"), (40, "utf-8"), (80, "ascii"), (80, "latin-1")])
def test_on_a_terminal(columns, encoding, monkeypatch):
    """What rich draws is that line: nothing wraps, nothing is cut short."""
    screen = Terminal()
    screen.encoding = encoding
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    with Display(0, 60_000) as display:
        display.update({**VAE, "step": 6000})
        display.update(VAE)
        display.bar.refresh()
        display.say("a line of the run's own: [not markup] " + "x" * 100)
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())  # colours
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", text)
    lines = [line for line in text.splitlines() if line.startswith("12345/60000")]
    assert lines
    for line in lines:
        assert len(line.rstrip()) < columns
        assert re.search(r"12345/60000 [━┈#.]{5,} ETA \d+:\d\d", line)
        assert "elbo -95.31" in line or columns < 80
        line.encode(encoding)
    assert "a line of the run's own: [not markup] " + "x" * 100 in text.replace("\n", "")


@pytest.mark.parametrize("stream", [None, "closed", "dumb", "file"])
def test_where_nothing_can_be_drawn_over(stream, monkeypatch):
    """Plain lines, or none where standard error is closed."""
    err = None if stream is None else Terminal() if stream == "dumb" else io.StringIO()
    if stream == "closed":
        err.close()
    monkeypatch.setenv("TERM", "dumb" if stream == "dumb" else "xterm")
    monkeypatch.setattr(sys, "stderr", err)
    with Display(0, 60_000, members=3) as display:
        assert display.bar is None
        display.update(VAE)
        display.say("done")
    if stream in ("dumb", "file"):
        lines = err.getvalue().splitlines()
        assert lines[0].startswith("step 12345/60000  elbo -95.31  rate 20.1  distortion 75.2  mean of 3  ")
        assert re.search(r"9,87[67] examples/s  ETA [\d:]+$", lines[0])
        assert lines[1:] == ["done"]


def test_quiet_says_only_what_must_be_said(capsys):
    with Display(0, 10, quiet=True) as display:
        display.update(VAE)
        display.say("done")
    assert capsys.readouterr().err == "done\n"
