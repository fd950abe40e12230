"""Pictures: geometry is exact, bytes are reproducible, charts are valid and self-contained SVG."""

import io
import re
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from genjax import viz
from genjax.viz import charts

RNG = np.random.default_rng(0)


def images(n=6, h=5, w=4, c=1):
    return RNG.integers(0, 256, (n, h, w, c), np.uint8)


@pytest.mark.parametrize("c", [1, 2, 3, 5])
@pytest.mark.parametrize("ncols", [1, 3, 6])
def test_grid_holds_every_image_in_reading_order(c, ncols):
    x = images(6, 5, 4, c)
    got, columns = viz.tiles(viz.grid(x, ncols), x.shape[1:])
    want = x if c in (1, 3) else x.transpose(0, 1, 3, 2).reshape(6, 5, 4 * c, 1)
    assert columns == ncols
    np.testing.assert_array_equal(got, want)


def test_grid_background_lies_between_images_and_in_places_left_empty():
    picture = viz.grid(np.zeros((3, 2, 2, 1)), ncols=2, pad=1, background=255)
    assert picture.shape == (5, 5, 1)
    assert (picture[2] == 255).all()
    assert (picture[:, 2] == 255).all()
    assert (picture[3:, 3:] == 255).all()
    assert (picture[:2, :2] == 0).all()


def test_tiles_refuses_what_is_no_such_grid():
    assert viz.tiles(viz.grid(images(6)), (7, 7, 1)) is None


def test_pixels_are_rounded_and_clipped_and_what_is_no_number_is_hatched():
    x = np.array([-1.0, 0.4, 0.6, 254.7, 300.0, np.nan, np.inf, -np.inf]).reshape(1, 2, 4, 1)
    assert viz.to_uint8(x).ravel().tolist() == [0, 0, 1, 255, 255, 0, 255, 255]
    broken = viz.to_uint8(np.full((1, 4, 4, 3), np.nan))[0]
    assert (broken[2, 0].tolist(), broken[0, 0].tolist(), broken[2:, 2:].any()) == ([255, 0, 255], [0, 0, 0], False)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(5, 4\)"):
        viz.grid(np.zeros((5, 4)))
    with pytest.raises(ValueError, match="at least one image"):
        viz.grid(np.zeros((0, 5, 4, 1)))


@pytest.mark.parametrize("c", [1, 3])
def test_png_files_round_trip_and_leave_nothing_beside(tmp_path, c):
    x = images(4, c=c)
    viz.save_grid(tmp_path / "a.png", x, 2)
    viz.save_grid(str(tmp_path / "b.png"), x.astype(np.float32), 2)
    np.testing.assert_array_equal(viz.decode(tmp_path / "a.png"), viz.grid(x, 2))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("c", [1, 2, 3])
def test_sheet_is_opaque_on_images_and_transparent_between(c):
    png = viz.sheet(images(4, c=c), ncols=2, gap=2, scale=3)
    alpha = np.asarray(Image.open(io.BytesIO(png.data)))[..., -1]
    side = c if c == 2 else 1
    assert alpha.shape == (png.height, png.width) == (36, 3 * (8 * side + 2))
    assert (alpha[15:21] == 0).all()
    assert (alpha[:15, : 12 * side] == 255).all()


def test_rows_have_their_names_beside_and_above_and_the_images_untouched():
    x = images(14, 4, 4)
    png = viz.rows({"real": x[:2], "a longer name": x[2:]}, columns=["one", "two"], corner="of", ncols=5, scale=3)
    picture = np.asarray(Image.open(io.BytesIO(png.data)))
    assert picture.shape == (png.height, png.width, 2)
    side, gap = 4 * 3, 2 * 3
    left, top = png.width - (5 * (side + gap) - gap), png.height - (4 * (side + gap) - gap)
    assert left > 60
    assert top > 12
    for i, image in enumerate([*x[:2], None, None, None, *x[2:]]):  # a group begins a row of its own
        row, column = divmod(i, 5)
        at = picture[top + row * (side + gap) :, left + column * (side + gap) :][:side, :side]
        if image is None:
            assert (at[..., -1] == 0).all()
        else:
            np.testing.assert_array_equal(at[..., 0], image[..., 0].repeat(3, 0).repeat(3, 1))
            assert (at[..., -1] == 255).all()
    beside = [picture[top + r * (side + gap) :][:side, :left, -1].any() for r in range(4)]
    assert beside == [True, True, False, False]
    above = [picture[:top, left + c * (side + gap) :][:, :side, -1].any() for c in range(5)]
    assert above == [True, True, False, False, False]
    assert picture[:top, :left, -1].any()


@pytest.mark.parametrize("c", [1, 2, 3])
def test_rows_take_images_of_any_channels(c):
    x = images(3, c=c)
    png = viz.rows({"all": x}, scale=1)
    pixels = np.asarray(Image.open(io.BytesIO(png.data)))[:, -3 * (4 * (c if c == 2 else 1) + 2) + 2 :]
    np.testing.assert_array_equal(pixels[..., :-1], viz.grid(x, 3, 2, 0))


def test_rows_refuse_what_has_no_place():
    with pytest.raises(ValueError, match="no group"):
        viz.rows({})
    with pytest.raises(ValueError, match=r"'b' \(6, 7, 4, 1\)"):
        viz.rows({"a": images(), "b": images(h=7)})
    with pytest.raises(ValueError, match="Try ncols=3"):
        viz.rows({"a": images()}, columns="abc", ncols=2)


def test_axes_have_names_where_they_are_asked_for():
    y = {"step": [1, 2], "loss": [1.0, 2.0]}
    bare, named = viz.curves(y, ["loss"]).text, viz.curves(y, ["loss"], names=("step", "nats")).text
    assert ">step<" not in bare
    assert ">step<" in named
    assert ">nats<" in named
    assert ">share<" in viz.histogram({"real": np.arange(3.0)}, names=("logit", "share")).text


def test_notebooks_get_pictures():
    assert viz.show(images())._repr_png_().startswith(b"\x89PNG")
    assert ET.fromstring(viz.curves({"step": [1, 2], "loss": [1.0, 2.0]}, ["loss"])._repr_svg_()).tag.endswith("svg")


def chart(**metrics):
    n = len(next(iter(metrics.values())))
    return viz.curves({"step": np.arange(n), **metrics}, list(metrics)).text


def test_curves_break_where_values_are_not_finite():
    y = np.arange(9.0)
    whole = chart(y=y)
    y[4] = np.nan
    broken = chart(y=y)
    assert "nan" not in broken.lower()

    def strokes(text):
        return sum(p.get("d", "").count("M") for p in ET.fromstring(text).iter() if "1.4" in p.get("style", ""))

    assert strokes(broken) == strokes(whole) + 1


@pytest.mark.parametrize("y", [[np.nan] * 2, [1.0], [2.0, 2.0], [np.nan, 3.0, np.nan], [1e30, -1e30], [np.inf, 0.0]])
def test_curves_stand_any_values(y):
    ET.fromstring(chart(loss=np.array(y)))


def test_long_curves_stay_small_and_short_peaks_stay_visible():
    y = np.zeros(20_000)
    y[10_000] = 50.0
    text = chart(loss=y)
    assert len(text) < 60_000
    x, _, low, high = charts._thin(np.arange(20_000.0), y)
    assert len(x) == charts.N_POINTS
    assert high.max() == 50.0
    assert low.max() == 0.0
    assert x[0] == 0
    assert x[-1] == 19_999


def test_charts_of_one_page_share_no_ids_and_take_colours_from_it():
    y = np.arange(4.0)
    texts = [chart(a=y), chart(a=y, b=np.ones(4)), viz.histogram({"real": RNG.random(9)}).text]
    ids = [e.get("id") for t in texts for e in ET.fromstring(t).iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    for text in texts:
        assert "var(--chart-1" in text
        assert "#0101" not in text
        assert "<style" not in text
        assert "http" not in text.replace("http://www.w3.org/", "")


def test_charts_are_reproducible_and_escape_names():
    a = viz.curves({"step": [1, 2], "<b>&": [1.0, 2.0], "c": [1.0, 3.0]}, ["<b>&", "c"])
    b = viz.curves({"step": [1, 2], "<b>&": [1.0, 2.0], "c": [1.0, 3.0]}, ["<b>&", "c"])
    assert a == b
    assert "<b>" not in a.text
    ET.fromstring(a.text)


def test_histogram_stands_any_values():
    for v in ([], [np.nan], [1.0, 1.0], [0.0, 5.0]):
        ET.fromstring(viz.histogram({"real": np.array(v), "fake": np.zeros(0)}, (0.0, 1.0)).text)
        ET.fromstring(viz.histogram({"real": np.array(v)}).text)


def test_too_many_curves_are_refused():
    with pytest.raises(ValueError, match="4 curves"):
        viz.curves({"step": [1]} | {k: [1.0] for k in "abcd"}, list("abcd"))


def test_pyplot_is_never_touched():
    before = "matplotlib.pyplot" in sys.modules
    chart(a=np.arange(3.0))
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_neighbours_stand_to_the_right_of_their_image():
    x = images(7, 5, 4, 3)
    index = np.array([[3, 4], [5, 6], [3, 0]])
    png = viz.neighbours(x[:3], x[index], scale=1)
    picture = np.asarray(Image.open(io.BytesIO(png.data)))
    for i in range(3):
        for j, want in enumerate([x[i], *x[index[i]]]):
            got = picture[i * 7 : i * 7 + 5, j * 6 : j * 6 + 4]
            np.testing.assert_array_equal(got[..., :3], want)
            assert (got[..., 3] == 255).all()


def test_spectra_in_decibels_leave_out_what_has_no_power():
    f = np.linspace(0.1, 0.7, 8)
    svg = viz.spectra({"generated": (f, 100 * f), "real": (f, np.where(f > 0.3, f, 0.0))})
    text = ET.fromstring(svg.text)
    assert text.tag.endswith("svg")
    assert "dB" in svg.text
    assert all(name in svg.text for name in ("generated", "real"))
    assert "NaN" not in svg.text
    assert svg.text == viz.spectra({"generated": (f, 100 * f), "real": (f, np.where(f > 0.3, f, 0.0))}).text


def test_a_plane_of_a_sweep_has_every_run_and_its_means_where_they_are():
    clouds = [viz.Cloud("beta 1", np.array([1.0, 3.0]), np.array([10.0, 14.0]), 0),
              viz.Cloud("beta 4", np.array([0.0, np.nan]), np.array([20.0, 21.0]), 1)]  # fmt: skip
    text = viz.plane(clouds, "rate", "distortion", 2).text
    for said in ("beta 1", "beta 4", "rate", "distortion"):
        assert f">{said}<" in text
    blue, orange = viz.shades(2)
    assert len(re.findall(f"<use [^>]*fill: {blue}", text)) == 3  # two runs and their mean
    assert len(re.findall(f"<use [^>]*fill: {orange}", text)) == 1  # the run with both numbers is its own mean
    x = [float(v) for v in re.findall(f'<use [^>]*x="([\\d.]+)"[^>]*fill: {blue}', text)]
    assert x[2] == pytest.approx((x[0] + x[1]) / 2, abs=1e-3)


def test_labels_that_would_lie_on_each_other_become_one():
    same = [viz.Cloud(f"beta {b:g}", np.array([r]), np.array([d])) for b, r, d in
            ((1, 5.0, 20.0), (4, 0.01, 27.0), (16, 0.0, 27.1))]  # fmt: skip
    text = viz.plane(same, "rate", "distortion", 1).text
    assert ">beta 4, 16<" in text
    assert ">beta 1<" in text


def test_a_field_s_axis_is_logarithmic_where_its_values_are():
    def ticks(values):
        trend = viz.Trend("", np.arange(float(len(values)))[:, None], np.full(len(values), np.nan))
        text = viz.against(values, [trend], "lr", "elbo").text
        places = re.findall(r'<text style="[^"]*text-anchor: middle[^"]*" x="([\d.]+)"', text)
        return np.diff([float(p) for p in places[: len(values)]])

    np.testing.assert_allclose(ticks([0.01, 0.1, 1.0, 10.0]), ticks([0.01, 0.1, 1.0, 10.0])[0], rtol=1e-3)
    np.testing.assert_allclose(ticks([1.0, 2.0, 3.0, 4.0]), ticks([1.0, 2.0, 3.0, 4.0])[0], rtol=1e-3)
    assert len(ticks([0.0, 1.0, 10.0])) == 2  # no logarithm of 0


def test_a_number_that_no_member_has_leaves_a_gap():
    trend = viz.Trend("a", np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, np.inf]]), np.array([0.5, np.nan, np.nan]))
    assert "nan" not in viz.against([1.0, 2.0, 3.0], [trend], "lr", "elbo", floor=0.5).text.lower()
