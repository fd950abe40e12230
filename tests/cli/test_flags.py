"""Dataclasses to flags and back."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from genjax.cli.flags import flag, parse, parse_all
from genjax.errors import UsageError


@dataclass(frozen=True)
class Config:
    steps: int = flag(100, help="how long")
    z_dim: int = flag(2, help="latent dimensions")
    lr: float = flag(1e-3, help="learning rate")
    norm: Literal["batch", "none"] = flag("batch", help="normalisation")
    augment: bool = flag(False, help="flip images")


@dataclass(frozen=True)
class Options:
    run_dir: str | None = flag(None, help="folder")
    compile_cache: bool = flag(True, help="keep compiled programs")


def both(*argv):
    return parse_all([Config, Options], argv, "genjax train x", "A recipe.")


def test_two_dataclasses_share_one_flat_namespace():
    cfg, options = both("--z-dim", "8", "--run-dir", "D", "--lr=1e-4", "--norm", "none", "--augment")
    assert cfg == Config(z_dim=8, lr=1e-4, norm="none", augment=True)
    assert options == Options(run_dir="D")


@pytest.mark.parametrize("argv", [("--z-dim", "8"), ("--z_dim", "8"), ("--z_dim=8",)])
def test_dashes_and_underscores(argv):
    assert both(*argv)[0].z_dim == 8


@pytest.mark.parametrize(
    ("argv", "on"),
    [
        (("--compile-cache", "False"), False),
        (("--compile_cache=false",), False),
        (("--no-compile-cache",), False),
        (("--no_compile_cache",), False),
        (("--compile-cache",), True),
        (("--compile-cache", "True"), True),
    ],
)
def test_switches(argv, on):
    assert both(*argv)[1].compile_cache is on


def test_negative_numbers_are_values():
    assert both("--steps", "-5")[0].steps == -5
    assert both("--lr", "-1e-3")[0].lr == -1e-3


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--zdim", "3"), ("--zdim", "no such flag", "--z-dim")),
        (("--steps", "many"), ("--steps", "many", "whole number")),
        (("--lr", "fast"), ("--lr", "fast", "number")),
        (("--norm", "layer"), ("--norm", "layer", "batch", "none")),
        (("--steps",), ("--steps",)),
        (("--compile-cache=maybe",), ("--compile-cache=maybe", "True or False")),
        (("--no-steps",), ("--no-steps", "no such flag")),
        (("stray",), ("stray",)),
        (("-q",), ("-q",)),
    ],
)
def test_errors_name_field_value_and_what_is_allowed(argv, words, capsys):
    with pytest.raises(UsageError) as e:
        both(*argv)
    message = str(e.value)
    assert "genjax train x --help" in message or "True or False" in message
    assert len(message.splitlines()) == 1
    assert len(message) < 300
    for word in words:
        assert word in message
    assert capsys.readouterr() == ("", "")


def test_help_lists_flags_with_their_help_and_leaves_with_zero(capsys):
    with pytest.raises(SystemExit) as e:
        both("--help")
    assert e.value.code == 0
    out = capsys.readouterr().out
    assert "A recipe." in out
    assert "latent dimensions" in out
    assert "--compile-cache" in out


def test_a_name_in_both_is_a_bug_that_says_so():
    with pytest.raises(TypeError, match=r"Config\.steps"):
        parse_all([Config, Config], [], "x", "")


@dataclass(frozen=True)
class Command:
    """Does a thing."""

    run: str = flag(help="a folder", positional=True)
    out: str = flag(help="a file")
    n: int = flag(4, help="count")


def test_positionals_and_required():
    assert parse(Command, ["R", "--out", "F"], "genjax x") == Command("R", "F", 4)
    with pytest.raises(UsageError, match="missing: RUN, --out"):
        parse(Command, [], "genjax x")


@dataclass(frozen=True)
class Commented:
    width: int = flag(32, help="")  # channels of the first block
    rate: float = field(default=0.1, metadata={"bounds": {"gt": 0, "le": 1}, "choices": ()})  # a share


def test_comments_and_bounds_are_help(capsys):
    with pytest.raises(SystemExit):
        parse(Commented, ["-h"], "genjax x")
    out = " ".join(capsys.readouterr().out.split())
    assert "channels of the first block" in out
    assert "a share, > 0, <= 1" in out
