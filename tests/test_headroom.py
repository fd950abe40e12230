"""Sizes that cannot fit are refused before they are begun: two lines, the estimate, the largest that fits."""

import time

import pytest
from quick import few

from genjax import cli, headroom, recipes
from genjax.cli import cache
from genjax.errors import UsageError
from genjax.runs import members_of


def test_what_is_free_is_the_least_of_machine_and_group(tmp_path, monkeypatch):
    assert headroom.available() > 10e6
    monkeypatch.setattr(headroom, "_machine", lambda: 10**9)
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert headroom._group(tmp_path) == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert headroom._group(tmp_path) is None
    monkeypatch.setattr(headroom, "_group", lambda: 3000)
    assert headroom.available() == 3000
    monkeypatch.setattr(headroom, "_machine", lambda: None)
    monkeypatch.setattr(headroom, "_group", lambda: None)
    headroom.refuse_beyond("--n=9", 10**18, 9, "things")  # nobody knows: nobody is refused


def test_the_largest_that_fits_is_named_and_fits():
    with pytest.raises(UsageError, match=r"--n=9: 9 things need about 900 B of memory, 550 B are free.\nAt most 5 fit"):
        headroom.refuse_beyond("--n=9", 100, 9, "things", 550)
    headroom.refuse_beyond("--n=5", 100, 5, "things", 550)


TRAIN = ["train", "vae_digits"]
HUGE = [
    [*TRAIN, "--seeds", "100000000"],
    [*TRAIN, "--seeds", "2147483647"],
    [*TRAIN, "--seeds", "50000", "--sweep", "lr=" + ",".join(f"0.00{i}" for i in range(1, 10))],
    [*TRAIN, "--seeds", "90000", "--hidden", "4096"],
    [*TRAIN, "--hidden", "100000000"],
    [*TRAIN, "--hidden", "2147483647"],
    [*TRAIN, "--z-dim", "2000000000"],
    [*TRAIN, "--batch-size", "2000000000"],
    [*TRAIN, "--image-size", "100000"],
    ["train", "gan_digits", "--width", "20000000"],
]


@pytest.mark.parametrize("argv", few(HUGE, HUGE[0], HUGE[4], HUGE[7]), ids=lambda argv: " ".join(argv[1:])[:40])
def test_huge_sizes_of_a_run(argv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache, "enable", lambda on=True: None)
    start = time.process_time()
    assert cli.main(argv) == 2
    err = capsys.readouterr().err
    assert 1 <= len(err.splitlines()) <= 3, err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    assert time.process_time() - start < 30


def test_steps_may_be_as_many_as_are_counted():
    assert recipes.load("vae_digits").Config(steps=2**31 - 1).steps == 2**31 - 1


def test_a_population_that_is_read_is_bounded_too():
    cfg = recipes.load("vae_digits").Config()
    assert members_of(cfg, 1000).n == 1000
    with pytest.raises(UsageError, match="100,001 members are more than"):
        members_of(cfg, 100_001)


@pytest.mark.parametrize(
    "argv",
    [["sample", "--out", "s.npz", "--n", "1000000000"], ["sample", "--out", "s.png", "--n", "1000000000"],
     ["eval", "--n", "1000000000"], ["eval", "--n-importance", "1000000000"]],
    ids=" ".join,
)  # fmt: skip
def test_huge_numbers_of_images(argv, smoke_run, tmp_path, monkeypatch, capsys):
    run = smoke_run("vae_digits")
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache, "enable", lambda on=True: None)
    monkeypatch.setattr(headroom, "available", lambda: 20 * 10**9)
    assert cli.main([argv[0], str(run), *argv[1:]]) == 2
    err = capsys.readouterr().err
    assert 1 <= len(err.splitlines()) <= 3, err
    assert list(tmp_path.iterdir()) == []
