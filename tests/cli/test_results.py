"""The README's tables are those of the records, and a row that is not is named."""

import json
from pathlib import Path

import pytest

from genjax import cli, recipes
from genjax.cli import results
from genjax.metrics import Protocol, Record, Subject

TRAINED = {
    "experiment": "vae_a", "command": "genjax train vae_a --data-dir /data --beta 4", "seeds": [0, 1, 2],
    "device": "2 CPU cores", "seconds": 90, "metrics": {"test_elbo": {"mean": -101.234567, "sd": 0.25}, "rate": 20.0},
}  # fmt: skip
ROW = "| `vae_a` | test elbo -101.23 ± 0.25, rate 20.00 | 3 | 1.5 | `genjax train vae_a --beta 4` |"
README = """# A
<!-- results recipes -->
| recipe | numbers | seeds | minutes each | command |
|---|---|---|---|---|
ROW
<!-- end of results -->
text
""".replace("ROW", ROW)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A checkout with one record and a README that agrees."""
    folder = tmp_path / "experiments" / "results"
    folder.mkdir(parents=True)
    monkeypatch.setattr(recipes, "folder", lambda: folder.parent)
    (folder / "vae_a.json").write_text(json.dumps(TRAINED))
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def record(metric, recipe, value, **more):
    protocol = Protocol(metric, 100, "test", "mnist", "5e", 100)
    return Record(protocol, Subject(recipe, "c", -1, 9, "", True), value, **more).to_json()


def add_measured(shelf):
    records = [
        record("fd_mnist", "vae_a", 12.3456, over_seeds=(12.0, 12.7), seeds=((0, 12.0), (1, 12.7)), floor=1.5),
        record("nll", "vae_a", 86.5),
        record("fd_mnist", "gan_a", 0.0123, floor=1.5),
    ]
    (shelf / "experiments" / "results" / "mnist.json").write_text(json.dumps({"records": records}))


def test_agreement_prints_the_tables(shelf, capsys):
    assert cli.main(["results"]) == 0
    assert ROW in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("-101.23", "-99.99", ["row `vae_a`", "-101.23", "-99.99"]),
        (ROW + "\n", "", ["row `vae_a`", "README says nothing"]),
        (ROW, f"{ROW}\n| `gan_z` | spread 1.00 | 1 | 1.0 | `x` |", ["row `gan_z`", "no record"]),
        ("| recipe | numbers", "| recipe | Numbers", ["the head must be"]),
    ],
)
def test_a_row_that_differs_is_named_and_fails(shelf, old, new, says, capsys):
    assert old in README
    (shelf / "README.md").write_text(README.replace(old, new))
    assert cli.main(["results"]) == 1
    err = capsys.readouterr().err
    assert all(s in err for s in says), err


def test_write_makes_them_agree_and_touches_nothing_else(shelf, capsys):
    add_measured(shelf)
    text = README.replace("-101.23", "-99.99") + "<!-- results mnist -->\n<!-- end of results -->\nlast\n"
    (shelf / "README.md").write_text(text)
    assert cli.main(["results"]) == 1
    assert "row `gan_a`" in capsys.readouterr().err
    assert cli.main(["results", "--write"]) == 0
    assert cli.main(["results"]) == 0
    got = (shelf / "README.md").read_text()
    assert got.startswith(README)
    assert got.endswith("last\n")
    assert "| `vae_a` | 2 | 12.35 ± 0.35 | 86.50 |" in got
    assert "| `gan_a` | 1 | 0.0123 | – |" in got
    assert "| real data (floor) |  | 1.5 |  |" in got
    before = got
    assert cli.main(["results", "--write"]) == 0
    assert (shelf / "README.md").read_text() == before


def test_a_table_that_the_readme_does_not_have_is_no_disagreement(shelf, capsys):
    add_measured(shelf)
    assert cli.main(["results"]) == 0
    (shelf / "README.md").write_text("nothing here")
    assert cli.main(["results", "--write"]) == 2
    assert "<!-- results recipes -->" in capsys.readouterr().err
    (shelf / "README.md").unlink()  # a wheel has none
    assert cli.main(["results"]) == 0


def test_a_bad_record_is_named(shelf, capsys):
    (shelf / "experiments" / "results" / "x.json").write_text("{}")
    assert cli.main(["results"]) == 2
    assert "x.json" in capsys.readouterr().err


def test_no_records(shelf, capsys):
    (shelf / "experiments" / "results" / "vae_a.json").unlink()
    assert cli.main(["results"]) == 0
    assert "no records" in capsys.readouterr().out


def test_the_readme_of_this_checkout_is_its_records():
    """As `genjax results` says: every marked table, row by row."""
    root = Path(__file__).resolve().parent.parent.parent
    text = (root / "README.md").read_text(encoding="utf-8")
    made = results.tables(root / "experiments" / "results")
    assert made[0].name == results.RECIPES
    assert [w for t in made for w in results.disagreements(text, t)] == []
    marked = text.count("<!-- results ")
    assert sum(results.BEGIN.format(t.name) in text for t in made) == marked
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert set(made[0].lines()[2:]) <= set(rows)  # with marks or without
