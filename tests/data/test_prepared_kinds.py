"""Sets of other kinds than images that TFDS has prepared, by name: a table, music, prose."""

import csv
import gzip
import json
from collections import Counter

import numpy as np
import pytest

from genjax import data
from genjax.data.columns import texts
from genjax.errors import UsageError
from genjax.formats.midi import LOW

pytestmark = pytest.mark.realdata


@pytest.mark.slow
def test_adult_has_the_columns_and_rows_of_its_file(tfds_dir, shared_data):
    d = data.load("adult", data_dir=tfds_dir)
    with gzip.open(shared_data / "raw" / "adult" / "adult.csv.gz", "rt", newline="") as f:
        rows = list(csv.DictReader(f, skipinitialspace=True))
    spec = d.spec
    assert (spec.domain, spec.n_train) == ("table", 32561)
    assert {c["name"] for c in spec.columns} == set(rows[0])
    for i, c in enumerate(spec.columns):
        values, counts = np.unique(d.train.x[:, i], return_counts=True)  # TFDS shuffles as it prepares
        found = dict(zip(texts(c, values, np.ones(len(values), bool)), counts.tolist(), strict=True))
        assert found == Counter(row[c["name"]].strip() for row in rows), c["name"]
    kinds = {c["name"]: c["kind"] for c in spec.columns}
    assert (kinds["age"], kinds["income"], kinds["workclass"]) == ("number", "category", "category")


@pytest.mark.parametrize("grid", [0, 1])
def test_chorales_are_the_notes_of_their_voices(grid, tfds_dir, shared_data):
    options = {"window": 0, "steps_per_quarter": grid}
    d = data.load("jsb_chorales", data_dir=tfds_dir, options=options)
    raw = json.loads((shared_data / "raw" / "jsb_chorales" / "Jsb16thSeparated.json").read_text())
    every = 4 // (grid or 4)
    for part, name in ((d.train, "train"), (d.test, "test"), (d.validation, "valid")):
        assert len(part.x) == len(raw[name])
        want = sorted([tuple(sorted({n for n in chord if n >= 0})) for chord in piece[::every]] for piece in raw[name])
        found = sorted(
            [tuple((np.flatnonzero(step) + LOW).tolist()) for step in roll[mask]]
            for roll, mask in zip(part.x, part.event_mask, strict=True)
        )
        assert found == want
    assert d.spec.about["steps_per_quarter"] == (grid or 4)


def test_a_grid_that_the_chorales_do_not_have_is_refused(tfds_dir):
    with pytest.raises(UsageError, match="Try 1, 2 or 4"):
        data.load("jsb_chorales", data_dir=tfds_dir, options={"steps_per_quarter": 3})


def test_tiny_shakespeare_is_its_three_texts(tfds_dir, shared_data):
    d = data.load("tiny_shakespeare", data_dir=tfds_dir, options={"cut": "windows", "length": 64})
    whole = (shared_data / "raw" / "tiny_shakespeare" / "input.txt").read_text()
    n = sum(int(p.event_mask.sum() if p.event_mask is not None else p.x.size) for p in (d.train, d.test, d.validation))
    assert (d.spec.domain, d.spec.n_values) == ("prose", 66)
    assert 0 <= len(whole) - n < 3 * 64  # a part ends with its last whole window


def test_a_feature_that_is_no_column_is_refused(tfds_dir):
    from genjax.data import tables, tfds

    with pytest.raises(UsageError, match="holds one number or text"):
        tables.load_prepared(tfds.find("jsb_chorales", tfds_dir))
