"""The tables of the READMEs are those of the records, and a row that is not is named."""

import json
import shlex
from pathlib import Path

import pytest

from genjax import cli, data, recipes
from genjax.cli import results, tables
from genjax.cli.flags import parse_all
from genjax.cli.front_page import front_tables
from genjax.measure.references import real_of
from genjax.metrics import Protocol, Record, Subject
from genjax.runs import Options

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "experiments" / "results"

ROW = "| elbo ↑ | -101.23 ± 0.25 | – |  | 100 |"
README = """# A
<!-- results digits -->
| digits | `vae_a` | `gan_a` | real data (floor) | N |
|---|---|---|---|---|
ROW
| fd_digits ↓ | 12.35 ± 0.35 | 0.0123 | 1.5 | 100 |
| seeds | 2 | 1 |  |  |
| minutes each | 1.5 | 2.0 |  |  |
| command | `genjax train vae_a --beta 4` | `genjax train gan_a` |  |  |
<!-- end of results -->
text
""".replace("ROW", ROW)


def record(metric, value, better, checkpoint="last", **more):
    protocol = Protocol(metric, 100, "test", "digits", "5e", 100, checkpoint=checkpoint)
    return Record(protocol, Subject("vae_a", "c", -1, 9, "", True), value, better=better, **more).to_json()


def run(recipe, command, seconds, records):
    each = [{"seed": i, "seconds": s} for i, s in enumerate(seconds)]
    return {"recipe": recipe, "command": command, "each": each, "records": records}


VAE = [
    record("elbo", -101.234567, "higher", over_samples=(-101.484567, -100.984567)),
    record("fd_digits", 12.3456, "lower", over_seeds=(12.0, 12.7), seeds=((0, 12.0), (1, 12.7)), floor=1.5),
]
DIGITS = [
    run("vae_a", "genjax train vae_a --beta 4", [80, 100], VAE),
    run("gan_a", "genjax train gan_a", [120], [record("fd_digits", 0.0123, "lower", floor=1.5)]),
]


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A checkout with one record and a README that agrees."""
    folder = tmp_path / "experiments" / "results"
    folder.mkdir(parents=True)
    monkeypatch.setattr(recipes, "folder", lambda: folder.parent)
    (folder / "digits.json").write_text(json.dumps({"runs": DIGITS}))
    (folder.parent / "README.md").write_text(README)
    return tmp_path


def add_mnist(shelf):
    best = record("fd_digits", 7.0, "lower", "best")
    runs = [run("vae_a", "genjax train vae_a", [60], [*VAE, best])]
    (shelf / "experiments" / "results" / "mnist.json").write_text(json.dumps({"runs": runs}))


def test_agreement_prints_the_tables(shelf, capsys):
    assert cli.main(["results"]) == 0
    assert ROW in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("-101.23", "-99.99", ["row elbo ↑", "-101.23", "-99.99"]),
        (ROW + "\n", "", ["row elbo ↑", "README says nothing"]),
        (ROW, f"{ROW}\n| nll ↓ | 99 | 98 |  | 9 |", ["row nll ↓", "no record"]),
        ("`gan_a` | real", "`gan_b` | real", ["the head must be"]),
    ],
)
def test_a_row_that_differs_is_named_and_fails(shelf, old, new, says, capsys):
    assert old in README
    (shelf / "experiments" / "README.md").write_text(README.replace(old, new))
    assert cli.main(["results"]) == 1
    err = capsys.readouterr().err
    assert all(s in err for s in says), err


def test_write_makes_them_agree_and_touches_nothing_else(shelf, capsys):
    add_mnist(shelf)
    text = README.replace("-101.23", "-99.99") + "<!-- results mnist -->\n<!-- end of results -->\nlast\n"
    (shelf / "experiments" / "README.md").write_text(text)
    assert cli.main(["results"]) == 1
    assert "mnist, row command" in capsys.readouterr().err
    assert cli.main(["results", "--write"]) == 0
    assert cli.main(["results"]) == 0
    got = (shelf / "experiments" / "README.md").read_text()
    assert got.startswith(README)
    assert got.endswith("last\n")
    assert "| mnist | `vae_a`, last | `vae_a`, best | real data (floor) | N |" in got
    assert "| fd_digits ↓ | 12.35 ± 0.35 | 7 | 1.5 | 100 |" in got
    assert "| command | `genjax train vae_a` |  |  |  |" in got
    before = got
    assert cli.main(["results", "--write"]) == 0
    assert (shelf / "experiments" / "README.md").read_text() == before


def test_a_table_that_the_readme_does_not_have_is_no_disagreement(shelf, capsys):
    add_mnist(shelf)
    assert cli.main(["results"]) == 0
    (shelf / "experiments" / "README.md").write_text("nothing here")
    assert cli.main(["results", "--write"]) == 2
    assert "<!-- results digits -->" in capsys.readouterr().err
    (shelf / "experiments" / "README.md").unlink()  # a wheel has none
    assert cli.main(["results"]) == 0


def test_a_bad_record_is_named(shelf, capsys):
    (shelf / "experiments" / "results" / "x.json").write_text("{}")
    assert cli.main(["results"]) == 2
    assert "x.json" in capsys.readouterr().err


def test_no_records(shelf, capsys):
    (shelf / "experiments" / "results" / "digits.json").unlink()
    assert cli.main(["results"]) == 0
    assert "no records" in capsys.readouterr().out


FRONT = """
[summary]
head = ["what", "VAE", "GAN"]
rows = [
  ["likelihood", "{digits / vae_a / elbo}", "has none"],
  ["distance", "{digits / vae_a / fd_digits} nats", "{digits / gan_a / fd_digits}"],
  ["real", "", "{digits / gan_a / fd_digits / floor}"],
]
"""
TOP = "# Top\n<!-- results summary -->\n<!-- end of results -->\n"


def test_the_top_readme_has_words_around_the_numbers_of_records(shelf, capsys):
    (shelf / "experiments" / "results" / "readme.toml").write_text(FRONT)
    (shelf / "README.md").write_text(TOP)
    assert cli.main(["results"]) == 1
    assert "README.md and the records disagree" in capsys.readouterr().err
    assert cli.main(["results", "--write"]) == 0
    assert cli.main(["results"]) == 0
    got = (shelf / "README.md").read_text()
    assert "| likelihood | -101.23 ± 0.25 | has none |" in got
    assert "| distance | 12.35 ± 0.35 nats | 0.0123 |" in got
    assert "| real |  | 1.5 |" in got
    assert (shelf / "experiments" / "README.md").read_text() == README


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{digits / vae_a / elbo}", "{digits / vae_b / elbo}", "{digits / vae_b / elbo} is in no record"),
        ("{digits / vae_a / elbo}", "{digits / vae_a / elbo / best}", "is in no record"),
        ("{digits / vae_a / elbo}", "{elbo}", "{elbo} is in no record"),
        ("head = ", "heads = ", "head"),
        ("[summary]", "[summary", "cannot be read"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(shelf, old, new, says, capsys):
    (shelf / "experiments" / "results" / "readme.toml").write_text(FRONT.replace(old, new))
    assert cli.main(["results"]) == 2
    err = capsys.readouterr().err
    assert "readme.toml" in err
    assert says in err


def test_the_readmes_of_this_checkout_are_their_records():
    """As `genjax results` says: every marked table, row by row."""
    runs = results.runs_of(RESULTS)
    front = front_tables(RESULTS, runs, results.with_interval, results.of_real_data)
    for page, made in (("README.md", front), ("experiments/README.md", results.tables(runs))):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert [w for t in made for w in tables.disagreements(text, t)] == []
        assert all(tables.BEGIN.format(t.name) in text for t in made)
        assert text.count("<!-- results ") == len(made) > 0
    assert len(front[0].rows) == 8


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda p: p.stem)
def test_commands_of_records_train_as_many_steps_today(path):
    for run in json.loads(path.read_text(encoding="utf-8"))["runs"]:
        first, _, name, *flags = shlex.split(run["command"])
        if first == "python":  # -m experiments._script
            assert (ROOT / f"{name.replace('.', '/')}.py").is_file()
            continue
        cfg, _ = parse_all([recipes.load(name).Config, Options], flags, "genjax train", "")
        assert {each["step"] for each in run["each"]} == {cfg.steps}


@pytest.mark.parametrize("name", ["digits", "grid", "ring"])
def test_records_are_of_the_data_that_ship_with_this_checkout(name):
    path = RESULTS / f"{name}.json"
    records = [r for run in json.loads(path.read_text(encoding="utf-8"))["runs"] for r in run["records"]]
    of_samples = {r["protocol"]["reference_sha256"] for r in records if r["metric"] in ("fd_digits", "modes")}
    assert of_samples == {real_of(data.load(name)).sha256()}
    assert {len(r["seeds"]) for r in records} == {3}
