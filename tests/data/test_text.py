"""Texts read as they are: encodings, line ends, alphabets, cuts, parts; what cannot be right is refused."""

import codecs

import numpy as np
import pytest

from genjax import data
from genjax.data import readers
from genjax.data.text import UNKNOWN, encoded, line, load_path
from genjax.errors import UsageError
from genjax.formats.encoding import decoded

TEXT = "To be, or not to be:\nthat is the question.\n"
LINES = ["To be, or not to be:", "that is the question."]


def written(path, text, encoding="utf-8"):
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def lines(d, part="train"):
    return [line(row, d.spec.about) for row in getattr(d, part).x]


def test_lines_end_with_their_end_and_a_mask(tmp_path):
    d = load_path(written(tmp_path / "a.txt", TEXT), length=32)
    assert lines(d) == LINES
    assert d.spec.domain == "prose"
    assert d.spec.shape == (32,)
    assert d.spec.about["alphabet"] == "".join(sorted(set(TEXT))) + UNKNOWN
    assert d.spec.n_values == len(set(TEXT)) + 1
    assert d.train.x.dtype == np.uint8
    assert d.train.event_mask.sum(1).tolist() == [len(t) + 1 for t in LINES]
    assert (d.train.x[~d.train.event_mask] == 0).all()
    again = encoded(LINES, d.spec.about, 32)
    np.testing.assert_array_equal(again.x, d.train.x)
    np.testing.assert_array_equal(again.event_mask, d.train.event_mask)


def test_windows_are_the_text_itself(tmp_path):
    d = load_path(written(tmp_path / "a.txt", TEXT), length=8, cut="windows")
    assert "".join(lines(d)) == TEXT[: len(TEXT) // 8 * 8]
    assert d.train.event_mask is None
    assert d.spec.about["end"] == -1


def test_long_lines_are_cut_at_spaces_and_that_is_said(tmp_path):
    d = load_path(written(tmp_path / "a.txt", "aa bbb cccc ddddddddddd\n\n   \nee"), length=8)
    assert lines(d) == ["aa bbb", "cccc", "ddddddd", "dddd", "ee"]
    assert any("1 lines have 8 symbols or more" in n for n in d.notes)


ENCODINGS = {
    "bom": codecs.BOM_UTF8 + TEXT.encode(),
    "utf16": TEXT.encode("utf-16"),
    "utf16be": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "utf16 without mark": TEXT.encode("utf-16-le"),
    "utf32": TEXT.encode("utf-32"),
    "crlf": TEXT.replace("\n", "\r\n").encode(),
    "cr": TEXT.replace("\n", "\r").encode(),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_gives_the_same_text(name, tmp_path):
    d = load_path(written(tmp_path / "a.txt", ENCODINGS[name]), length=32)
    assert lines(d) == LINES
    assert bool(d.notes) == (name != "bom")


REFUSED = {
    "latin-1": ("caf\xe9\n".encode("latin-1"), {}, "not UTF-8.*iconv -f latin1"),
    "binary": (b"ab\0\0\0cd", {}, "is no text.*--unit byte"),
    "damaged utf-16": (codecs.BOM_UTF16_LE + b"a\0b", {}, "damaged UTF-16-LE"),
    "empty": (b"", {}, "is empty"),
    "blank": (b" \n\r\n", {}, "is empty"),
    "mark alone": (codecs.BOM_UTF8, {}, "is empty"),
    "short": (b"abc", {"cut": "windows", "length": 10}, "less than one window of 10.*--length 3"),
    "length": (b"abc", {"length": 1}, "at least 2"),
    "cut": (b"abc", {"cut": "pages"}, "lines, windows"),
    "unit": (b"abc", {"unit": "word"}, "character, byte"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_to_do(name, tmp_path):
    content, options, match = REFUSED[name]
    with pytest.raises(UsageError, match=f"(?s){match}") as e:
        load_path(written(tmp_path / "a.txt", content), **options)
    assert len(str(e.value).splitlines()) <= 2


def test_bytes_are_taken_as_they_are(tmp_path):
    d = load_path(written(tmp_path / "a.txt", "caf\xe9\nb\n".encode("latin-1")), length=8, unit="byte")
    assert d.spec.n_values == 256
    assert d.train.x[0, :5].tolist() == [*b"caf\xe9\n"]
    assert lines(d) == ["caf\\xe9", "b"]


def test_the_alphabet_is_the_training_parts(tmp_path):
    written(tmp_path / "train.txt", "abc\n")
    written(tmp_path / "test.txt", "abz\xe9\n")
    d = load_path(tmp_path, length=8)
    assert d.spec.about["alphabet"] == "\nabc" + UNKNOWN
    assert lines(d, "test") == ["ab" + 2 * UNKNOWN]
    assert any("2 characters of the test part are not in the alphabet (z é)" in n for n in d.notes)
    again = load_path(written(tmp_path / "other.txt", "xa\n"), like=d.spec, length=8)
    assert again.spec.about["alphabet"] == d.spec.about["alphabet"]


def test_folders_are_parts_or_classes(tmp_path):
    for name in ("austen/a.txt", "austen/b.txt", "byron/c.txt", "byron/notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path / name, f"{name[0]}\n")
    d = load_path(tmp_path, length=4)
    assert d.spec.classes == ("austen", "byron")
    assert d.train.y.tolist() == [0, 0, 1]
    written(tmp_path / "byron" / "c.txt", b"")
    with pytest.raises(UsageError, match="is empty"):
        load_path(tmp_path, length=4)


@pytest.mark.parametrize(("names", "match"), [(("test.txt", "valid.txt"), "no training part"), (("a.md",), "no .txt")])
def test_folders_without_training_text(names, match, tmp_path):
    for name in names:
        written(tmp_path / name, "a\n")
    with pytest.raises(UsageError, match=match):
        load_path(tmp_path)


def test_accents_of_their_own_are_said():
    notes = []
    assert decoded("cafe\u0301\n".encode(), "a", notes) == "cafe\u0301\n"
    assert not notes


def test_accents_are_said_by_the_reader(tmp_path):
    d = load_path(written(tmp_path / "a.txt", "cafe\u0301\n"), length=8)
    assert any("1 accents are characters of their own" in n for n in d.notes)


def test_load_finds_names_and_files(tmp_path):
    psalms = data.load("psalms")
    assert data.size(psalms.train) + data.size(psalms.test) == 5576
    assert max(map(len, lines(psalms))) == 63
    assert data.load(str(written(tmp_path / "a.txt", TEXT)), options={"length": 16}).spec.shape == (16,)


def test_tiny_shakespeare(shared_data):
    path = shared_data / "raw" / "tiny_shakespeare" / "input.txt"
    if not path.is_file():
        pytest.skip("missing data: tiny_shakespeare")
    d = load_path(path, cut="windows", length=64)
    assert d.train.x.shape == (17428, 64)
    assert d.spec.n_values == 66


def test_notes_beside_other_data_do_not_make_a_folder_one_of_texts(tmp_path):
    for name in ("a.txt", "b.txt", "c.csv"):
        written(tmp_path / name, "x\n1\n")
    assert readers.of_folder(tmp_path, (".png",)) is readers.READERS["table"]
    (tmp_path / "c.csv").unlink()
    assert readers.of_folder(tmp_path, (".png",)) is readers.READERS["prose"]
