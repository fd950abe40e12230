"""Arrays and .npz files: what is taken, and that what is refused is named."""

import numpy as np
import pytest

from genjax import data
from genjax.data.arrays import pixels
from genjax.errors import UsageError

GRAY = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)


def test_an_array_becomes_uint8_with_a_channel_axis():
    d = data.load((GRAY, np.array([0, 2, 1, 0, 0, 2])))
    about = data.Spec("array", (5, 4, 1), 3, 6, d.spec.fingerprint, classes=("0", "1", "2"), contrast=d.spec.contrast)
    assert d.spec == about
    assert d.test is None
    np.testing.assert_array_equal(d.train.x[..., 0], GRAY)
    assert data.load(GRAY).spec.n_classes == 0


def test_every_accepted_dtype_gives_the_same_pixels():
    for same in (GRAY.astype(np.int64), GRAY / 255, (GRAY / 255).astype(np.float32), (GRAY / 255).astype(np.float16)):
        np.testing.assert_array_equal(pixels(same, "a")[..., 0], GRAY)
    np.testing.assert_array_equal(pixels(GRAY > 100, "a")[..., 0], np.where(GRAY > 100, 255, 0))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((3, 4)), r"2 axes"),
        (np.zeros((0, 4, 4)), r"empty"),
        (np.full((2, 4, 4), np.nan), r"image 0 holds NaN"),
        (np.linspace(-1, 1, 32).reshape(2, 4, 4), r"\[-1, 1\]; wanted \[0, 1\]. Try \(x \+ 1\) / 2"),
        (np.linspace(0, 255, 32).reshape(2, 4, 4), r"\[0, 255\].*Try x / 255"),
        (np.arange(300).reshape(3, 10, 10), r"0 \.\.\. 299; wanted 0 \.\.\. 255"),
        (np.eye(4, dtype=int)[None], r"only 0 and 1"),
        (np.zeros((2, 3, 32, 32), np.uint8), r"channels-first.*transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 4, 4), complex), r"complex128"),
        (np.array(["a", None], dtype=object), r"array of objects"),
        ([np.zeros((4, 4)), np.zeros((5, 4))], r"same shape"),
    ],
)
def test_bad_images_are_refused_with_the_reason(bad, message):
    with pytest.raises(UsageError, match=message):
        data.load(bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0, 1], "2 labels for 6 images"),
        ([0, 1, 2, -1, 0, 0], r"-1 \.\.\. 2"),
        (np.zeros(6), "float64"),
        (np.eye(6, dtype=int), "One-hot"),
    ],
)
def test_bad_labels_are_refused_with_the_reason(bad, message):
    with pytest.raises(UsageError, match=message):
        data.load((GRAY, bad))


def test_npz_in_one_part_and_in_two(tmp_path):
    np.savez(tmp_path / "one.npz", image=GRAY, label=np.arange(6), other=np.array(["x"]))
    one = data.load(str(tmp_path / "one.npz"))
    assert (one.spec.name, one.spec.n_classes, one.test) == ("one", 6, None)
    parts = {"train_image": GRAY[:4] / 255, "test_image": GRAY[4:]}
    np.savez_compressed(tmp_path / "two.npz", **parts, train_label=np.arange(4), test_label=np.array([7, 0]))
    two = data.load(tmp_path / "two.npz")
    assert (two.spec.n_train, two.spec.classes) == (4, ("0", "1", "2", "3", "7"))
    np.testing.assert_array_equal(two.test.x[..., 0], GRAY[4:])
    np.testing.assert_array_equal(two.train.x, one.train.x[:4])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": GRAY}, r"no array 'image'.*It holds: x_train"),
        ({"image": np.array([GRAY, None], dtype=object)}, "pickled objects"),
        ({"image": GRAY, "train_image": GRAY}, "both"),
        ({"train_image": GRAY, "test_image": GRAY[:, :3]}, r"test images are \(3, 4, 1\), training images \(5, 4, 1\)"),
        ({"train_image": GRAY, "test_image": GRAY, "train_label": np.arange(6)}, "the test part has none"),
    ],
)
def test_bad_npz_is_refused_with_the_reason(tmp_path, arrays, message):
    file = tmp_path / "bad.npz"
    np.savez(file, **arrays)
    with pytest.raises(UsageError, match=message) as e:
        data.load(file)
    assert "bad" in str(e.value)


def test_damaged_npz_is_named(tmp_path):
    file = tmp_path / "a.npz"
    np.savez_compressed(file, image=GRAY)
    good = file.read_bytes()
    middle = bytearray(good)
    middle[len(good) // 3] ^= 255
    for bad in (b"", b"not a zip", good[: len(good) // 2], bytes(middle)):
        file.write_bytes(bad)
        with pytest.raises(UsageError, match=r"a\.npz: .*cannot be read|a\.npz: .*pickled"):
            data.load(file)
    np.save(tmp_path / "b.npy", GRAY)
    (tmp_path / "b.npy").rename(file)
    with pytest.raises(UsageError, match="one array, not an"):
        data.load(file)


def test_image_size_resizes_and_crops_arrays():
    step = np.zeros((2, 6, 12, 3), np.uint8)
    step[:, :, 6:] = 200
    d = data.load(step, image_size=4)
    assert d.spec.shape == (4, 4, 3)
    assert (d.train.x[:, :, 0] < 10).all()
    assert (d.train.x[:, :, -1] > 190).all()
    for wrong in (0, -3, 10**6):
        with pytest.raises(UsageError, match="image_size"):
            data.load(step, image_size=wrong)


def test_a_missing_file_is_named_with_the_nearest(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match=r"no such file or folder. Nearest in .*: photos"):
        data.load(str(tmp_path / "photo"))
    (tmp_path / "a.doc").write_text("")
    with pytest.raises(UsageError, match="neither a folder"):
        data.load(str(tmp_path / "a.doc"))


def test_fingerprint_follows_pixels_and_labels():
    base = data.load((GRAY, np.arange(6))).spec.fingerprint
    assert base == data.load((GRAY.copy(), np.arange(6))).spec.fingerprint
    changed = GRAY.copy()
    changed[3, 2, 1] ^= 1
    others = [data.load(GRAY), data.load((changed, np.arange(6))), data.load((GRAY, np.arange(6)[::-1].copy()))]
    assert len({base, *(d.spec.fingerprint for d in others)}) == 4


@pytest.mark.parametrize(
    ("name", "shape", "n"), [("digits", (8, 8, 1), (1500, 297)), ("fashion_mini", (28, 28, 1), (6000, 1000))]
)
def test_embedded_sets(name, shape, n):
    d = data.load(name)
    assert (d.spec.name, d.spec.shape, d.spec.n_classes, d.spec.n_train) == (name, shape, 10, n[0])
    assert (data.size(d.train), data.size(d.test)) == n
    for part in (d.train, d.test):
        assert part.x.dtype == np.uint8
        assert (part.x.min(), part.x.max()) == (0, 255)
        assert part.y.dtype == np.int32
        assert set(part.y.tolist()) == set(range(10))
    assert d.spec.fingerprint == data.load(name).spec.fingerprint


def test_embedded_digits_are_scaled_from_16_levels():
    levels = np.unique(data.load("digits").train.x)
    assert levels.tolist() == [round(v * 255 / 16) for v in range(17)]


def test_embedded_sets_can_be_resized():
    assert data.load("digits", image_size=16).test.x.shape == (297, 16, 16, 1)


def test_licences_are_beside_the_embedded_files(root):
    notes = (root / "genjax/data/embedded_files/LICENSES.md").read_text()
    for words in (
        "CC BY 4.0",
        "E. Alpaydin and C. Kaynak",
        "Copyright (c) 2017 Zalando SE",
        "Permission is hereby granted",
    ):
        assert words in notes


def test_names_that_do_not_exist_are_refused_by_the_room():
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        data.lod  # noqa: B018
    assert all(hasattr(data, name) for name in data.__all__)
    assert [*data.names()][:2] == ["digits", "fashion_mini"]
    assert [*data.names()][-2:] == ["ring", "grid"]
