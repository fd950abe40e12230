"""What data mean: parts, names of classes, white of 16-bit pixels, gray and colour."""

import json
import struct
import zlib
from dataclasses import asdict

import numpy as np
import pytest
from data.pictures import classes, noise, save
from PIL import Image

from genjax import data
from genjax.data import examples
from genjax.errors import UsageError

DEEP = noise(5, 2, 6, 6).astype(np.uint16)


@pytest.mark.parametrize("train", ["train", "training", "Train"])
@pytest.mark.parametrize("held", ["val", "valid", "validation", None])
@pytest.mark.parametrize("stream", [False, True])
def test_folders_named_as_parts_are_the_parts(train, held, stream, tmp_path):
    classes(tmp_path / train, ("cat", "dog"))
    classes(tmp_path / "test", ("dog", "emu"))
    if held:
        classes(tmp_path / held, ("cat",))
    got = data.load(tmp_path, stream=stream)
    assert got.spec.classes == ("cat", "dog", "emu")
    assert (got.train.y.tolist(), got.test.y.tolist()) == ([0, 0, 1, 1], [1, 1, 2, 2])
    assert (got.validation is None) == (held is None)
    assert got.files["train"][2] == f"{train}/dog/0.png"
    assert any("no training image of class emu" in note for note in got.notes)
    assert data.untrained(got) == ["emu"]
    if held:
        with pytest.raises(UsageError, match="validation part of its own"):
            data.hold_out(got, 1)


def test_parts_without_classes_and_a_validation_part_in_the_place_of_a_test_part(tmp_path):
    for part, n in (("train", 3), ("val", 2)):
        for i in range(n):
            save(tmp_path / part / f"{i}.png", noise(i))
    got = data.load(tmp_path)
    assert (got.spec.n_train, data.size(got.test), got.validation, got.spec.n_classes) == (3, 2, None, 0)
    assert data.load(tmp_path / "train").spec.fingerprint == got.spec.fingerprint


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        (("test/cat", "val/cat"), r"and no train/"),
        (("train/cat", "training/cat"), r"train and training are the same part"),
        (("train/cat", "test"), r"the train part has class folders, the test part has none"),
        (("train/cat", "test/cat", "extra"), r"parts of a data set \(test/, train/\) and extra/, which is none"),
        (("train/cat", "train"), r"train: holds images itself"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(folders, says, tmp_path):
    for name in folders:
        save(tmp_path / name / "a.png", noise(1))
    with pytest.raises(UsageError, match=says):
        data.load(tmp_path)


def test_one_part_s_name_among_classes_is_a_class(tmp_path):
    assert data.load(classes(tmp_path, ("car", "train"))).spec.classes == ("car", "train")


@pytest.mark.parametrize(
    ("label", "names", "numbers"),
    [
        ([10, 1, 5, 1], ("1", "5", "10"), [2, 0, 1, 0]),
        ([[3], [0], [3], [9]], ("0", "3", "9"), [1, 0, 1, 2]),
        (["dog", "cat", "dog", "cat"], ("cat", "dog"), [1, 0, 1, 0]),
        ([b"dog", b"cat", b"dog", b"cat"], ("cat", "dog"), [1, 0, 1, 0]),
        ([True, False, True, False], ("False", "True"), [1, 0, 1, 0]),
        ([2**62, 0, 0, 0], ("0", str(2**62)), [1, 0, 0, 0]),
        (["a\nb", "\x1b[2J", "a\nb", "\u202e"], ("\\x1b[2J", "a\\nb", "\\u202e"), [1, 0, 1, 2]),
    ],
)
def test_labels_are_numbered_anew_and_keep_their_names(label, names, numbers, tmp_path):
    image = noise(0, 4, 6, 6)
    np.savez(tmp_path / "x.npz", image=image, label=np.array(label))
    for got in (data.load((image, np.array(label))), data.load(tmp_path / "x.npz")):
        assert (got.spec.classes, got.spec.n_classes, got.train.y.tolist()) == (names, len(names), numbers)
        assert data.spec_of(json.loads(json.dumps(asdict(got.spec)))) == got.spec


def test_an_archive_may_name_its_classes(tmp_path):
    arrays = {"image": noise(0, 4, 6, 6), "classes": np.array(["ant", "bee", "cat"])}
    np.savez(tmp_path / "x.npz", label=np.array([2, 0, 2, 0]), **arrays)
    got = data.load(tmp_path / "x.npz")
    assert (got.spec.classes, got.train.y.tolist(), got.notes) == (("ant", "cat"), [1, 0, 1, 0], ())
    np.savez(tmp_path / "x.npz", labels=np.array([2, 0, 2, 0]), image=arrays["image"])
    assert "arrays that are not read were left alone: labels. Read are" in data.load(tmp_path / "x.npz").notes[0]
    np.savez(tmp_path / "x.npz", label=np.array([3, 0, 2, 0]), **arrays)
    with pytest.raises(UsageError, match="label 3 has no name among the 3"):
        data.load(tmp_path / "x.npz")


def test_a_class_is_meant_by_name_before_number():
    names = ("1", "2", "10")
    assert [data.class_number(t, names, 3, "run") for t in names] == [0, 1, 2]
    for text in ("0", "3", "-1", "x"):
        with pytest.raises(UsageError, match=r"no such class. run has 1, 2, 10"):
            data.class_number(text, names, 3, "run")
    assert data.class_number("2", ("ant", "bee", "cat"), 3, "run") == 2
    with pytest.raises(UsageError, match=r"run has ant, bee, cat\. Nearest: bee"):
        data.class_number("beee", ("ant", "bee", "cat"), 3, "run")
    assert data.class_number("2", (), 3, "run") == 2  # a run of an older genjax
    with pytest.raises(UsageError, match="classes 0 to 2"):
        data.class_number("3", (), 3, "run")


def test_labels_of_other_data_are_matched_by_name():
    label = np.array([0, 1, 0], np.int32)
    assert data.matched(label, ("dog", "emu"), ("ant", "dog", "emu"), "x").tolist() == [1, 2, 1]
    assert data.matched(label, ("dog", "emu"), (), "x").tolist() == [0, 1, 0]
    with pytest.raises(UsageError, match="class emu is none of the run's: ant, dog"):
        data.matched(label, ("dog", "emu"), ("ant", "dog"), "x")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("most", "white"), [(200, 255), (255, 255), (256, 1023), (1023, 1023), (4095, 4095), (4096, 16383), (16384, 65535)]
)
def test_white_of_16_bits_is_one_for_the_whole_set(most, white, suffix, stream, tmp_path):
    dark, bright = np.full((6, 6), most // 2, np.uint16), np.full((6, 6), most, np.uint16)
    save(tmp_path / "train" / f"a.{suffix}", dark)
    save(tmp_path / "test" / f"b.{suffix}", bright)
    got = data.load(tmp_path, stream=stream)
    assert got.spec.white == white
    values = [int(data.take(part, np.array([0])).x[0, 0, 0, 0]) for part in (got.train, got.test)]
    assert values == [round(int(a[0, 0]) / white * 255) for a in (dark, bright)]
    said = [note for note in got.notes if "16-bit" in note]
    assert len(said) == (white != 65535)
    assert not said or f"hold 0 ... {most}: taken as {white.bit_length()} bits, {white} is white" in said[0]
    # for a run, what is white there is white here
    one = data.load(tmp_path / "train" / f"a.{suffix}", like=got.spec)
    assert int(one.train.x[0, 0, 0, 0]) == values[0] or white == 255
    np.savez(tmp_path / "x.npz", train_image=dark[None], test_image=bright[None])
    if most > 255:
        assert data.load(tmp_path / "x.npz").test.x[0, 0, 0, 0] == values[1]


def test_full_16_bits_are_as_ever_and_a_format_that_says_its_white_is_believed(tmp_path):
    deep = np.array([[0, 257, 65535, 30000]], np.uint16)
    save(tmp_path / "a" / "x.png", deep)
    assert data.load(tmp_path / "a").train.x.ravel().tolist() == [0, 1, 255, round(30000 / 257)]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.pgm").write_bytes(b"P5 2 1 4095\n" + np.array([4095, 1000], ">u2").tobytes())
    got = data.load(tmp_path / "b")
    assert (got.train.x.ravel().tolist(), got.notes, got.spec.white) == ([255, 62], (), 255)


def test_colour_of_16_bits_with_fewer_is_refused(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    for most, ok in ((65535, True), (4095, False)):
        rows = b"".join(b"\0" + np.full(12, most, ">u2").tobytes() for _ in range(4))
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
        (tmp_path / "a.png").write_bytes(png + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
        if ok:
            assert data.load(tmp_path).train.x.max() == 255
        else:
            with pytest.raises(UsageError, match=r"colour images of 16 bits \(a.png\) hold values below 4096 of"):
                data.load(tmp_path)


@pytest.mark.parametrize("what", ["file", "folder", "streamed", "archive", "array"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_and_colour_are_converted_by_one_rule(what, channels, tmp_path):
    image = noise(3, 1, 7, 7, 3) if channels == 1 else noise(3, 1, 7, 7, 1)
    save(tmp_path / "f" / "a.png", image[0] if channels == 1 else image[0, ..., 0])
    np.savez(tmp_path / "x.npz", image=image)
    like = data.Spec("run", (7, 7, channels), 0, 1, "")
    given = {"file": tmp_path / "f" / "a.png", "archive": tmp_path / "x.npz", "array": image}.get(what, tmp_path / "f")
    got = data.load(given, like=like, stream=True if what == "streamed" else None)
    mode = ("L", "RGB")[channels == 3]
    expected = np.asarray(Image.open(tmp_path / "f" / "a.png").convert(mode)).reshape(1, 7, 7, channels)
    np.testing.assert_array_equal(data.take(got.train, np.array([0])).x, expected)
    assert got.spec.shape == (7, 7, channels)
    assert any("are taken as" in note for note in got.notes)


def test_what_is_left_alone_and_what_is_said_of_it(tmp_path):
    classes(tmp_path, ("cat",))
    for odd in ("@eaDir/cat/t.jpg", "__MACOSX/._x.png", ".git/x.png", "cat/.DS_Store", "cat/._0.png", "Thumbs.db"):
        (tmp_path / odd).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / odd).write_bytes(b"odd")
    assert data.load(tmp_path).notes == ()
    (tmp_path / "cat" / "x.HEIC").write_bytes(b"")
    assert data.load(tmp_path).notes == (f"{tmp_path}: files that are not read as images were left alone: 1 .heic.",)


def test_nearly_black_images_are_said(tmp_path):
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5] = 3
    save(tmp_path / "a.png", mask)
    (note,) = data.load(tmp_path).notes
    assert "no training pixel is above 3 of 255" in note


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((28, 28), np.uint8), r"One image\? Try x\[None\]"),
        (np.zeros((32, 32, 3), np.uint8), r"look like one image \(H, W, C\).*Try x\[None\]"),
        (np.zeros((28, 28, 1)), r"Try x\[None\]"),
        (np.zeros((10, 784)), r"x\.reshape\(-1, 28, 28\)"),
        (np.zeros((0, 8, 8)), "empty"),
        (np.full((3, 8, 8), [[[0.5]], [[np.nan]], [[np.inf]]]), r"image 1 holds NaN or infinity \(2 of 3 images do\)"),
        (np.full((2, 8, 8), 4095), r"lie in 4095 \.\.\. 4095.*np\.rint\(x / 4095 \* 255\)"),
        (np.full((2, 8, 8), 16.0), r"Try x / 16\."),
    ],
)
def test_arrays_that_are_no_images_name_the_fix(image, says):
    with pytest.raises(UsageError, match=says):
        data.load(image)


def test_a_data_set_is_shown_in_a_line():
    got = data.load("digits")
    assert repr(got) == "Dataset digits: 1,500 training + 297 test of 8x8x1, 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"
    assert repr(got.train) == "Examples(1,500 of 8x8x1, uint8, labels)"
    lazy = data.Lazy(7, (2, 3, 1), lambda i: got.train)
    assert repr(lazy) == "Lazy(7 of 2x3x1, decoded on demand)"


def test_good_sets_have_the_fingerprints_they_had(tmp_path):
    """Folders and arrays have the fingerprints that the version before gave them, so its runs can be continued."""
    classes(tmp_path / "set", ("a", "b"), n=3)
    save(tmp_path / "set" / "b" / "deep" / "x.jpg", noise(7, 8, 8, 3), quality=90)
    image = np.stack([
        np.asarray(Image.open(f).convert("RGB"))
        for f in [*sorted((tmp_path / "set" / "a").iterdir()), *(tmp_path / "set" / "b" / f"{i}.png" for i in range(3)),
                  tmp_path / "set" / "b" / "deep" / "x.jpg"]
    ])  # fmt: skip
    expected = data.fingerprint(data.Examples(image, np.array([0, 0, 0, 1, 1, 1, 1], np.int32)))
    assert data.load(tmp_path / "set").spec.fingerprint == expected
    assert data.load("digits").spec.fingerprint.startswith("2c1971c3aa9ee96b")
    assert data.load("fashion_mini").spec.fingerprint.startswith("70c82d47cb768ece")


def test_the_spec_of_any_data_comes_back_from_json_and_old_ones_read_as_they_were():
    mask = np.arange(6) < np.array([[2], [6], [4]])
    rolls = data.Examples(np.zeros((3, 6, 88), np.uint8), None, mask)
    of = {"domain": "music", "n_values": 2, "about": {"low": 21, "steps_per_quarter": 4}}
    made = examples.dataset("rolls", rolls, data.take(rolls, np.arange(2)), (), **of)
    assert made.spec.shape == (6, 88)
    assert (made.spec.domain, made.spec.dtype, made.spec.n_values, made.spec.contrast) == ("music", "uint8", 2, None)
    stored = json.loads(json.dumps(asdict(made.spec)))
    assert data.spec_of(stored) == made.spec
    assert (
        made.spec.fingerprint
        != examples.dataset("rolls", rolls._replace(event_mask=None), None, (), **of).spec.fingerprint
    )
    columns = [{"name": "age", "kind": "number"}, {"name": "job", "values": ["a", "b"]}]
    rows = data.Examples(np.zeros((2, 2), np.float32))
    row = examples.dataset("t", rows, None, (), domain="table", n_values=0, columns=columns)
    assert data.spec_of(json.loads(json.dumps(asdict(row.spec)))) == row.spec
    held = data.hold_out(made, 1).spec
    assert (held.domain, held.n_values, held.about, held.n_train) == ("music", 2, made.spec.about, 2)
    older = {"name": "ring", "shape": [1, 1, 2], "n_classes": 8, "n_train": 9, "fingerprint": ""}
    assert [getattr(data.spec_of(older), k) for k in ("domain", "dtype", "n_values")] == ["points", "float32", 0]
    assert data.spec_of(older | {"shape": [8, 8, 1]}).domain == "image"
    for damaged in ({"shape": [8, 8]}, {"shape": []}, {"columns": [1]}, {"about": 3}, {"dtype": "pixels"}):
        with pytest.raises(UsageError, match="damaged"):
            data.spec_of(older | damaged)


@pytest.mark.parametrize("mask", [np.ones((3, 5), bool), np.ones(3, bool), np.ones((3, 6), np.uint8)])
def test_a_mask_that_does_not_fit_is_refused(mask):
    with pytest.raises(UsageError, match=r"event_mask is .*; wanted bool over the first axes"):
        examples.dataset("rolls", data.Examples(np.zeros((3, 6, 88), np.uint8), None, mask), None, (), domain="music")
