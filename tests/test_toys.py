"""The committed records of rings and grids: of the recipes and the data as they are now."""

import dataclasses
import json

import pytest
from scripts import ROOT, load_script

from genjax import data, metrics, recipes
from genjax.train.run import command

RECORDS = sorted((ROOT / "experiments" / "results" / "toys").glob("*.json"))


def test_both_families_on_both_sets():
    assert [p.stem for p in RECORDS] == [f"{r}_ring2d_{d}" for r in ("gan", "vae") for d in ("grid", "ring")]


@pytest.mark.parametrize("path", RECORDS, ids=lambda p: p.stem)
def test_record_is_of_what_is_here(path):
    """The same points, the same floor, the command of today's defaults, three seeds or more."""
    r = json.loads(path.read_text(encoding="utf-8"))
    d, mixture = data.load(r["data"]["name"]), getattr(data, r["data"]["name"])()
    assert r["data"]["fingerprint"] == d.spec.fingerprint
    floor = metrics.mode_coverage(d.test.image, mixture.centers, mixture.sd)
    assert r["floor"]["modes"] == floor.hit == r["n_modes"]
    assert r["floor"]["good"] == pytest.approx(floor.good)
    assert r["floor"]["kl"] == pytest.approx(floor.kl)
    config = recipes.load(r["experiment"]).Config()
    assert r["command"] == command(r["experiment"], dataclasses.replace(config, data=r["data"]["name"]))
    assert r["steps"] == config.steps
    assert len(set(r["seeds"])) == len(r["per_seed"]) == len(set(r["digest"])) >= 3
    for key, value in r["metrics"].items():
        each = [m[key] for m in r["per_seed"]]
        assert (value["least"], value["most"]) == (min(each), max(each))
        assert value["mean"] == pytest.approx(sum(each) / len(each))


def test_table_has_a_row_for_each_and_is_the_readme_s():
    rows = load_script("experiments/_toys.py").table().splitlines()
    assert len(rows) == 2 + len(RECORDS) + 2
    assert "\n".join(rows) in (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(row.count("|") == rows[0].count("|") for row in rows)
