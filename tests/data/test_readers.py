"""Data of other kinds: by suffix, by folder, by name, and from archives of samples, with what is refused."""

import gzip
import json
import sys
from types import ModuleType

import numpy as np
import pytest
from data.pictures import noise, save

from genjax import data
from genjax.data import examples, readers
from genjax.data.catalogue import names
from genjax.errors import UsageError


@pytest.fixture
def ticks(monkeypatch):
    """A reader of files that end in .tick: a line of numbers each; and what it was called with."""
    module, seen = ModuleType("genjax.data.ticks"), []

    def made(name, rows):
        x = np.array(rows, np.float32)
        return examples.dataset(name, data.Examples(x), None, (), domain="ticks", n_values=0)

    def load_path(path, like=None, **options):
        seen.append((path.name, like, options))
        files = sorted(path.rglob("*.tick")) if path.is_dir() else [path]
        return made(path.stem, [[float(v) for v in file.read_text().split()] for file in files])

    def load_embedded(name, like=None, **options):
        seen.append((name, like, options))
        return made(name, [[1.0, 2.0]])

    module.load_path, module.load_embedded = load_path, load_embedded
    monkeypatch.setitem(sys.modules, "genjax.data.ticks", module)
    reader = readers.Reader("ticks", (".tick",), {"clock": "two ticks"}, ("bench/ticks",))
    monkeypatch.setitem(readers.READERS, "ticks", reader)
    return seen


def test_a_file_a_folder_and_a_name_find_their_reader(ticks, tmp_path):
    for i in range(3):
        (tmp_path / "all" / "sub").mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / "sub" / f"{i}.tick").write_text(f"{i} 7")
    (tmp_path / "all" / "notes.md").write_text("mine")
    got = data.load(tmp_path / "all", options={"window": 4})
    assert (got.spec.domain, got.spec.shape, got.spec.dtype, got.spec.n_values) == ("ticks", (2,), "float32", 0)
    assert got.train.x.tolist() == [[0, 7], [1, 7], [2, 7]]
    one = data.load(str(tmp_path / "all" / "sub" / "1.tick"), like=got.spec)
    assert one.train.x.tolist() == [[1, 7]]
    assert data.load("clock").train.x.tolist() == [[1, 2]]
    assert ticks == [("all", None, {"window": 4}), ("1.tick", got.spec, {}), ("clock", None, {})]
    assert names()["clock"] == "two ticks"
    assert readers.of_prepared("bench/ticks") is readers.READERS["ticks"]
    with pytest.raises(UsageError, match="image_size=8: clock holds no images"):
        data.load("clock", image_size=8)
    with pytest.raises(UsageError, match=r"data='clokc': no data set of this name.*clock"):
        data.load("clokc", data_dir=tmp_path)


def test_a_folder_with_an_image_in_it_is_one_of_images(ticks, tmp_path):
    save(tmp_path / "a.png", noise(0, 8, 8))
    (tmp_path / "a.tick").write_text("1 2")
    assert readers.of_folder(tmp_path, (".png",)) is None
    (tmp_path / "a.png").unlink()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "b.png").write_bytes(b"")
    assert readers.of_folder(tmp_path, (".png",)) is readers.READERS["ticks"]
    assert ticks == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.tsv", "Rename it to .csv"),
        ("a.xlsx", "Save the sheet as .csv"),
        ("a.parquet", "pandas.read_parquet"),
        ("a.mp3", "ffmpeg -i OLD NEW.wav"),
        ("a.FLAC", "ffmpeg"),
        ("a.ogg", "ffmpeg"),
        ("a.musicxml", "Export it as MIDI"),
        ("a.zip", "Unpack it"),
        ("a.npy", "np.savez"),
        ("a.csv.gz", "Unpack it, and name what is in it; packed .json of chords"),
    ],
)
def test_files_that_are_not_read_say_what_to_do(name, says, tmp_path):
    (tmp_path / name).write_bytes(gzip.compress(b"a,b\n1,2\n"))
    for what in (tmp_path / name, tmp_path):
        with pytest.raises(UsageError) as refused:
            data.load(what)
        assert says in str(refused.value)
        assert len(str(refused.value).splitlines()) == 2


def test_descriptions_beside_data_do_not_make_a_folder_one_of_music(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    for name in ("about.json", "licence.json", "t.types.json"):
        (tmp_path / name).write_text("{}")
    assert data.load(tmp_path).spec.domain == "table"


SPEC = json.dumps({"n_values": 3, "columns": [], "about": {"step": 0.5}})
GOOD = {"domain": "knots", "spec": SPEC, "x": np.array([[0, 1], [2, 2]], np.uint8), "label": np.array([5, 7])}


def test_an_archive_of_samples_says_what_it_holds(tmp_path):
    mask = np.array([[True, False], [True, True]])
    np.savez(tmp_path / "k.npz", **GOOD, event_mask=mask, z=np.zeros((2, 3)))
    got = data.load(tmp_path / "k.npz")
    assert (got.spec.domain, got.spec.n_values, got.spec.about, got.spec.masked) == ("knots", 3, {"step": 0.5}, 1)
    assert (got.train.x.tolist(), got.train.y.tolist(), got.spec.classes) == ([[0, 1], [2, 2]], [0, 1], ("5", "7"))
    np.testing.assert_array_equal(got.train.event_mask, mask)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"x": np.array([[0, 3]], np.uint8), "label": np.array([1])}, "other values than the whole numbers 0 to 2"),
        ({"x": np.array([[0.5, 1.0]]), "label": np.array([1])}, "other values than the whole numbers 0 to 2"),
        ({"x": np.array([1, 2])}, "holds no examples of knots"),
        ({"spec": "{"}, "does not say what its knots are"),
        ({"spec": json.dumps({"n_values": 3})}, "does not say what its knots are"),
        ({"event_mask": np.ones((2, 3), bool)}, "wanted bool over the first axes"),
        ({"event_mask": np.ones((2, 2))}, "wanted bool over the first axes"),
    ],
)
def test_an_archive_that_does_not_fit_itself_is_refused(wrong, says, tmp_path):
    np.savez(tmp_path / "k.npz", **(GOOD | wrong))
    with pytest.raises(UsageError, match=says):
        data.load(tmp_path / "k.npz")
    nan = GOOD | {"x": np.array([[np.nan, 1.0]]), "label": np.array([1])}
    np.savez(tmp_path / "nan.npz", **nan)
    with pytest.raises(UsageError, match="holds NaN"):
        data.load(tmp_path / "nan.npz")


def test_several_examples_of_one_file_have_one_mark(tmp_path):
    from genjax.runs import data_files

    part = data.Examples(np.arange(8, dtype=np.float32).reshape(4, 2))
    files = {"train": ("a", "a", "b", "a")}
    whole = examples.dataset("two", part, None, (), domain="ticks", n_values=0, files=files)
    marks = data_files.marks(whole, tmp_path)
    assert set(marks) == {"a", "b"}
    other = part.x.copy()
    other[0, 0] = 9  # the first of the file's three
    changed = examples.dataset("two", data.Examples(other), None, (), domain="ticks", n_values=0, files=files)
    assert data_files.marks(changed, tmp_path)["a"] != marks["a"]
    assert data_files.marks(changed, tmp_path)["b"] == marks["b"]
