"""Folders of images: classes, sizes, modes, EXIF, transparency, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from genjax import data
from genjax.errors import UsageError

RNG = np.random.default_rng(0)


def gray(h=6, w=6):
    return RNG.integers(0, 256, (h, w), np.uint8)


def color(h=6, w=6):
    return RNG.integers(0, 256, (h, w, 3), np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return array


def test_class_folders_give_labels_in_sorted_order(tmp_path):
    cat = [save(tmp_path / "cat" / f"{i}.png", color()) for i in range(2)]
    ant = save(tmp_path / "ant" / "deep" / "x.PNG", color())
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    save(tmp_path / ".hidden" / "h.png", color())
    d = data.load(str(tmp_path))
    assert (d.spec.n_classes, d.spec.n_train, d.spec.shape, d.spec.name) == (2, 3, (6, 6, 3), tmp_path.name)
    assert d.train.y.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(d.train.x, np.stack([ant, *cat]))


def test_a_flat_folder_has_no_labels(tmp_path):
    images = [save(tmp_path / f"{i}.png", gray()) for i in range(3)]
    d = data.load(tmp_path)
    assert (d.spec.n_classes, d.train.y) == (0, None)
    np.testing.assert_array_equal(d.train.x[..., 0], np.stack(images))


def test_one_colour_image_makes_all_rgb(tmp_path):
    g, c = save(tmp_path / "a.png", gray()), save(tmp_path / "b.png", color())
    d = data.load(tmp_path)
    np.testing.assert_array_equal(d.train.x, np.stack([np.repeat(g[..., None], 3, -1), c]))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_exif_turns_the_picture(tmp_path, suffix):
    a = gray(4, 8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    save(tmp_path / f"a.{suffix}", a, exif=exif)
    d = data.load(tmp_path)
    assert d.spec.shape == (8, 4, 1)
    np.testing.assert_array_equal(d.train.x[0, ..., 0], np.rot90(a, -1))


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:2, :, 3] = 255
    save(tmp_path / "a.png", rgba)
    la = Image.fromarray(rgba[..., 0]).convert("LA")
    la.putalpha(Image.fromarray(rgba[..., 3]))
    la.save(tmp_path / "b.png")
    palette = Image.fromarray(rgba[..., 0]).convert("P")
    palette.save(tmp_path / "c.png", transparency=0)
    image = data.load(tmp_path).train.x
    for picture in image[:2]:
        assert (picture[:2] == 0).all()
        assert (picture[2:] == 255).all()
    assert (image[2] == 255).all()


def test_other_modes(tmp_path):
    a = gray()
    deep = Image.fromarray(a.astype(np.uint16) * 257)
    assert deep.mode.startswith("I")
    deep.save(tmp_path / "deep.png")
    Image.fromarray(a).convert("1").save(tmp_path / "one.png")
    d = data.load(tmp_path)
    assert d.spec.shape == (6, 6, 1)
    np.testing.assert_array_equal(d.train.x[0, ..., 0], a)
    assert set(np.unique(d.train.x[1])) <= {0, 255}
    Image.fromarray(color()).convert("CMYK").save(tmp_path / "ink.jpg")
    assert data.load(tmp_path).spec.shape == (6, 6, 3)


def test_mixed_sizes_are_refused_with_the_hint_and_taken_with_image_size(tmp_path):
    save(tmp_path / "a.png", color(6, 6))
    save(tmp_path / "b.png", color(9, 5))
    with pytest.raises(UsageError, match=r"a.png is 6x6, b.png is 9x5 .* --image-size 5"):
        data.load(tmp_path)
    assert data.load(tmp_path, image_size=4).train.x.shape == (2, 4, 4, 3)


def test_the_short_side_is_resized_and_the_centre_kept(tmp_path):
    stripes = np.zeros((20, 60), np.uint8)
    stripes[:, 10:50] = 255
    save(tmp_path / "a.png", stripes)
    assert (data.load(tmp_path, image_size=5).train.x == 255).all()


def test_downsizing_is_antialiased(tmp_path):
    save(tmp_path / "a.png", np.tile(np.array([[0, 255], [255, 0]], np.uint8), (32, 32)))
    image = data.load(tmp_path, image_size=8).train.x
    assert abs(image.astype(int) - 127).max() <= 8


def test_what_is_refused_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(
        UsageError, match=r"holds no image.*\.png.*other kinds of data end in .*\.txt.*\.wav.*\.mid.*\.csv"
    ):
        data.load(tmp_path / "a")
    save(tmp_path / "b.png", gray())
    (tmp_path / "c.jpg").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"c\.jpg: cannot be read as an image"):
        data.load(tmp_path)
    (tmp_path / "c.jpg").unlink()
    save(tmp_path / "d" / "e.png", gray())
    with pytest.raises(UsageError, match=r"images itself \(b.png\) and in subfolders \(d/\)"):
        data.load(tmp_path)


@pytest.mark.parametrize("stream", [False, True])
def test_a_truncated_image_is_named_when_it_is_decoded(tmp_path, stream):
    save(tmp_path / "a.png", color(64, 64))
    save(tmp_path / "b.png", color(64, 64))
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:3000])
    with pytest.raises(UsageError, match=r"b\.png: cannot be read"):
        data.take(data.load(tmp_path, stream=stream).train, np.arange(2))


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(UsageError, match=r"a\.tiff: holds floating-point"):
        data.load(tmp_path)


def test_streamed_is_the_same_set(tmp_path):
    for i in range(5):
        save(tmp_path / f"{i % 2}" / f"{i}.png", color())
    held, lazy = (data.load(tmp_path, stream=s) for s in (False, True))
    assert isinstance(lazy.train, data.Lazy)
    assert lazy.train.y.tolist() == held.train.y.tolist()
    idx = np.array([4, 0, 4])
    np.testing.assert_array_equal(data.take(lazy.train, idx).x, held.train.x[idx])
    np.testing.assert_array_equal(data.take(lazy.train, idx).y, held.train.y[idx])


def test_a_plain_word_is_a_name_first_and_a_folder_second(tmp_path, monkeypatch):
    save(tmp_path / "digits" / "a.png", gray())
    save(tmp_path / "photos" / "a.png", gray())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    assert data.load("digits").spec.n_train == 1500
    assert data.load("./digits").spec.n_train == 1
    assert data.load("photos").spec.name == "photos"
