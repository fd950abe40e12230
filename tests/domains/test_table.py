"""Tables as people have them: the file comes back, rows are finished, pages show rows and histograms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import data, domains
from genjax.data import Examples, tables
from genjax.data.table_coding import MISSING, width
from genjax.data.typed_table import read_table
from genjax.domains.contract import Chart, How, Table
from genjax.errors import UsageError
from genjax.types import Batch


@pytest.fixture(scope="module")
def penguins():
    return tables.load_embedded("penguins")


def test_the_file_comes_back(penguins, tmp_path):
    """Columns, types, order, missing values and digits: the training rows as the package has them."""
    domain = domains.of(penguins.spec)
    path = tmp_path / "p.csv"
    path.write_bytes(domain.save[".csv"](penguins.train, penguins.spec, How()))
    again = read_table(path)
    assert [c["name"] for c in again.columns] == [c["name"] for c in penguins.spec.columns]
    assert [c["kind"] for c in again.columns] == [c["kind"] for c in penguins.spec.columns]
    assert (again.event_mask == penguins.train.event_mask).all()
    assert (again.x == penguins.train.x).all()
    assert path.read_text().splitlines()[4] == "Adelie,Torgersen,NA,NA,NA,NA,NA,2007"


@pytest.mark.slow
def test_coded_rows_are_finished_as_they_were(penguins):
    transform = data.to_parts(penguins.spec.columns)
    part = penguins.test
    coded = transform.apply(jax.random.key(0), Batch(jnp.asarray(part.x), event_mask=jnp.asarray(part.event_mask))).x
    assert coded.shape == (len(part.x), width(penguins.spec.columns))
    found = domains.of(penguins.spec).finish(transform.inverse(coded), penguins.spec)
    assert found.finite.all()
    assert (found.examples.event_mask == part.event_mask).all()
    np.testing.assert_allclose(found.examples.x, np.where(part.event_mask, part.x, 0), rtol=1e-6)


def test_what_a_model_gives_is_brought_into_the_columns(penguins):
    k = len(penguins.spec.columns)
    x = np.full((3, k), 1e6, np.float32)
    x[1, 0], x[2, 2] = np.nan, MISSING
    found = domains.of(penguins.spec).finish(x, penguins.spec)
    assert found.finite.tolist() == [True, False, True]
    assert not found.examples.event_mask[2, 2]
    high = [c["high"] if c["kind"] == "number" else len(c["categories"]) - 1 for c in penguins.spec.columns]
    np.testing.assert_allclose(found.examples.x[0], high, rtol=1e-6)


def test_pages_show_rows_and_histograms(penguins):
    domain = domains.of(penguins.spec)
    table, chart = domain.show(penguins.train, penguins.spec, None, False)
    assert isinstance(table, Table)
    assert isinstance(chart, Chart)
    assert table.head[0] == "species"
    assert len(table.rows) == 12
    few = Examples(penguins.train.x[:3], None, penguins.train.event_mask[:3])
    assert len(domain.show(few, penguins.spec, None, False)) == 1
    assert domain.glance(few, penguins.spec).splitlines()[0].startswith("species,island")


def test_spaces_and_metrics(penguins):
    domain = domains.of(penguins.spec)
    rows = domain.space("", penguins.spec).rows("features", penguins.test)
    assert rows.shape[0] == len(penguins.test.x)
    assert (rows == domain.vector(penguins.test, penguins.spec)).all()
    assert set(domain.metrics_of(penguins.spec)) == {"quality", "dcr", "tstr"}
    with pytest.raises(UsageError, match="compared by its columns"):
        domain.space("inception", penguins.spec)


def test_folders(tmp_path):
    text = "a,b\n1,x\n2,y\n3,x\n"
    (tmp_path / "train.csv").write_text(text)
    (tmp_path / "test.csv").write_text("b,a\ny,9\nz,1\n")
    d = tables.load_path(tmp_path)
    assert (d.spec.n_train, len(d.test.x)) == (3, 2)
    assert d.test.x[0].tolist() == [9.0, 1.0]
    assert d.test.event_mask[1].tolist() == [True, False]
    like = tables.load_path(tmp_path / "test.csv", like=d.spec)
    assert (like.train.x == d.test.x).all()
    other = tmp_path / "o"
    other.mkdir()
    for name in ("p.csv", "q.csv"):
        (other / name).write_text(text)
    with pytest.raises(UsageError, match=r"none of them train\.csv"):
        tables.load_path(other)
