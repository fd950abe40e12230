"""Tables as data sets: a `.csv`, a folder of some, a TFDS set such as Adult, or the penguins that come with genjax."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from genjax.data.catalogue import Prepared
from genjax.data.examples import Dataset, Examples, Spec, dataset
from genjax.data.typed_table import Table, read_table, table_of
from genjax.errors import UsageError, shown
from genjax.formats import files
from genjax.formats.csv_file import Rows

EVERY = 5
"""Each fifth of the penguins, which stand by species, is for testing."""
PARTS = ("train", "test", "validation")


def load_path(path: Path, like: Spec | None = None, **options: Any) -> Dataset:
    """The rows of a `.csv`, or of `train.csv`, `test.csv` and `validation.csv` in a folder.

    A folder with a single `.csv` of another name is that file.

    Args:
        path: file or folder.
        like: of the run that the rows are for: they get its columns.

    Raises:
        UsageError: anything wrong with a file; see `typed_table.read_table`.
    """
    given = None if like is None else _like(like)
    if files.kind_of(path) != "folder":
        table = read_table(path, like=given)
        return _dataset(path.stem, table, None, None)
    there = [e.path for e in files.listing(path) if e.kind == "file" and e.path.suffix.lower() == ".csv"]
    by_name = {p.stem.lower(): p for p in there}
    if "train" not in by_name:
        if len(there) == 1:
            return _dataset(path.name, read_table(there[0], like=given), None, None)
        raise UsageError(
            f"{shown(path)}: has {len(there)} .csv files, none of them train.csv.\nName one of them, or call it so."
        )
    train = read_table(by_name["train"], like=given)
    test, validation = (read_table(by_name[n], like=train) if n in by_name else None for n in PARTS[1:])
    return _dataset(path.name, train, test, validation)


def load_embedded(name: str, like: Spec | None = None, **options: Any) -> Dataset:
    """`penguins`: 344 rows, of which each fifth is for testing.

    Example:
        >>> d = load_embedded("penguins")
        >>> d.spec.domain, d.spec.shape, d.spec.n_train, [c["name"] for c in d.spec.columns][:3]
        ('table', (8,), 276, ['species', 'island', 'bill_length_mm'])
    """
    with resources.as_file(resources.files("genjax.data") / "embedded_files" / f"{name}.csv") as path:
        whole = read_table(path, like=None if like is None else _like(like))
    at = np.arange(len(whole.x))
    train, test = (_rows(whole, at[at % EVERY != EVERY - 1]), _rows(whole, at[at % EVERY == EVERY - 1]))
    return _dataset(name, train, test, None)


def load_prepared(found: Prepared, like: Spec | None = None, **options: Any) -> Dataset:
    """The rows of a set that TFDS has prepared (`adult`): each feature is a column, classes by their names.

    Columns are typed as those of a `.csv` are. Where there is no test split, the validation split is the test part.

    Raises:
        UsageError: as `tfds.open_split`; a feature that is neither one number nor one text.
    """
    from genjax.data import tfds

    parts: dict[str, Table] = {}
    given = None if like is None else _like(like)
    for part, source in tfds.open_parts(found).items():
        rows = _texts_of(found, dict(source.dataset_info.features.items()), tfds.all_of(source))
        parts[part] = table_of(found.path, rows, {}, parts.get("train", given))
    return _dataset(found.name, parts["train"], parts.get("test"), parts.get("validation"))


def _texts_of(found: Prepared, features: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Rows:
    """The fields of examples as a `.csv` would have them."""
    for name, feature in features.items():
        if feature.shape != ():
            raise UsageError(
                f"{shown(found.name)}: the feature {shown(name)!r} has the shape {feature.shape}, and a column "
                "holds one number or text.\nWrite the columns that are meant to a .csv, and give that."
            )
    names = {k: f.names for k, f in features.items() if getattr(f, "names", None)}
    rows = list(rows)
    fields = [_column([row[k] for row in rows], names.get(k)) for k in features]
    return Rows(list(features), [list(row) for row in zip(*fields, strict=True)], ",")


def _column(values: Sequence[Any], names: Any) -> list[str]:
    """A feature's values as texts; of a class its name, and nothing where it has none."""
    if names is not None:
        known = dict(enumerate(names))
        return [known.get(int(v), "") for v in values]
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]


def _rows(table: Table, at: np.ndarray) -> Table:
    return table._replace(x=table.x[at], event_mask=table.event_mask[at])


def _like(spec: Spec) -> Table:
    """A table without rows that has a run's columns."""
    k = len(spec.columns)
    form = {"delimiter": ",", "decimal": ".", **_texts(spec.about)}
    return Table(tuple(map(dict, spec.columns)), np.zeros((0, k), np.float32), np.zeros((0, k), bool), form)


def _texts(about: Mapping[str, Any]) -> dict[str, str]:
    return {k: str(v) for k, v in about.items() if k in ("delimiter", "decimal")}


def _dataset(name: str, train: Table, test: Table | None, validation: Table | None) -> Dataset:
    parts = [None if t is None else Examples(t.x, None, t.event_mask) for t in (train, test, validation)]
    assert parts[0] is not None
    notes = [note for t in (train, test, validation) if t is not None for note in t.notes]
    columns = json.loads(json.dumps(train.columns))  # as a run's folder gives them back
    return dataset(
        name, parts[0], parts[1], (), parts[2],
        domain="table", n_values=0, columns=columns, about=train.form, notes=notes,
    )  # fmt: skip
