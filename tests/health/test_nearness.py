"""Grids of samples beside real images: too much alike, or far away; statistics against their definitions."""

import math

import numpy as np
import pytest

from genjax import domains
from genjax.data import Examples, Lazy, Spec
from genjax.domains.contract import Words
from genjax.domains.image import coarse, near
from genjax.health import diversity, judge, nearness

IMAGES = Words("image", "images")


def blobs(n, n_modes, seed=0):
    """Images of so many modes, with variation within each."""
    r = np.random.default_rng(seed)
    centres = np.random.default_rng(9).uniform(0, 255, (10, 8, 8, 1))
    return np.clip(centres[r.integers(0, n_modes, n)] + r.normal(0, 20, (n, 8, 8, 1)), 0, 255)


def spec(x):
    return Spec("blobs", x.shape[1:], 0, len(x), "")


def reference(real, label, n, asked=None):
    return diversity.reference(coarse(real, spec(real)), label, n, asked, words=IMAGES)


def measured(samples, real):
    halves = nearness.halves(Examples(real)).x
    return nearness.measure(near(samples, spec(samples)), near(halves, spec(real)))


def codes(samples, real, step=1000):
    """What is found in a grid, against real images."""
    of = reference(real, None, len(samples))
    varied = {} if isinstance(of, str) else diversity.measure(coarse(samples, spec(samples)), of)
    return [f.code for f in judge.of_pictures(step, measured(samples, real), varied)]


@pytest.mark.parametrize(
    ("samples", "want"),
    [
        (blobs(64, 10, 1), []),
        (0.7 * blobs(64, 10, 1) + 0.3 * blobs(64, 10, 2), []),
        (blobs(64, 1, 1), ["mode_collapse"]),  # one mode, alive within
        (np.repeat(blobs(1, 1), 64, axis=0), ["mode_collapse"]),  # one image
        (np.tile(blobs(8, 10), (8, 1, 1, 1)), ["mode_collapse"]),  # eight images again and again
        (np.full((64, 8, 8, 1), 128.0), ["mode_collapse", "samples_far"]),
        (np.random.default_rng(3).uniform(0, 255, (64, 8, 8, 1)), ["samples_far"]),  # noise
        (255.0 - blobs(64, 10, 1), ["samples_far"]),  # the wrong sign
        (np.full((64, 8, 8, 1), np.nan), []),  # others say that
    ],
)
def test_pictures_that_are_all_alike(samples, want):
    assert codes(samples, blobs(256, 10)) == want
    assert codes(samples, blobs(256, 10), step=judge.SETTLED - 1) == []


def rows(v):
    return v.reshape(len(v), -1)


def apart(a):
    return [[np.linalg.norm(p - q) for j, q in enumerate(a) if j != i] for i, p in enumerate(a)]


def test_how_far_is_measured_as_defined():
    x, real = blobs(20, 3, 1), blobs(40, 10)
    got = nearness.measure([rows(x)], [rows(real)])
    half, other = rows(real).reshape(2, 20, -1)
    mine, usual = ([min(np.linalg.norm(p - q) for q in half) for p in by] for by in (rows(x), other))
    assert got["far"] == pytest.approx(np.median(mine) / np.median(usual), rel=1e-9)
    assert got["beyond"] == np.mean(np.array(mine) > max(usual))


def test_diversity_is_measured_as_defined():
    """Every number, for a conditional grid of 20 with a near double; classes are those of the nearest real images."""
    x, real = blobs(20, 6, 1), blobs(64, 10)
    x[1] = x[0] + 0.5
    label, asked = np.arange(64) % 4, np.arange(20) % 4
    of = reference(real, label, 20, asked)
    got = {k: c.value for k, c in diversity.measure(coarse(x, spec(x)), of).items()}
    flat, order = rows(x)[of.picks], of.picks % 4
    d = apart(flat)
    assert got["spread"] == pytest.approx(np.mean(d), rel=1e-5)
    assert got["nearest"] == pytest.approx(np.median([min(v) for v in d]), rel=1e-5)
    kernel = sum(math.exp(-((np.linalg.norm(p - q) / of.scale) ** 2)) for p in flat for q in flat)
    assert got["distinct"] == pytest.approx(400 / kernel, rel=1e-5)
    more = 0.0
    for c in range(4):
        mine = flat[order == c]
        kernel = sum(math.exp(-((np.linalg.norm(p - q) / of.within) ** 2)) for p in mine for q in mine)
        more += len(mine) ** 2 / kernel - 1
    assert got["within"] == pytest.approx(more / 16, rel=1e-5)
    means, expected = of.means, of.expected
    kinds = np.array([np.argmin([np.linalg.norm(p - m) for m in means]) for p in flat])
    classes = np.array([label[np.argmin([np.linalg.norm(p - q) for q in rows(real)])] for p in flat])
    for name, found in (("kinds", kinds), ("classes", classes)):
        shares = np.array([(found == i).mean() for i in range(len(expected[name]))])
        assert got[name] == pytest.approx(1 - 0.5 * np.abs(shares - expected[name]).sum(), abs=1e-6)


def test_real_grids_are_what_a_grid_is_compared_with():
    """The same real images, put into a grid by hand, have a rank in the middle of those drawn."""
    real = blobs(256, 10)
    of = reference(real, None, 64)
    assert {len(v) for v in of.real.values()} == {diversity.DRAWS}
    picked = np.random.default_rng(4).choice(256, 64, replace=False)
    for name, c in diversity.measure(coarse(real[picked], spec(real)), of).items():
        assert np.quantile(of.real[name], 0.002) <= c.value <= of.real[name].max(), name
        assert c.usual == pytest.approx(np.median(of.real[name]))
        assert not c.below


def test_large_pictures_are_compared_as_thumbnails():
    real, samples = (np.kron(blobs(n, 10, n), np.ones((1, 16, 16, 1))) for n in (40, 20))
    assert coarse(real, spec(real)).shape == (40, 14 * 14)
    assert [v.shape for v in near(real, spec(real))] == [(40, 32 * 32), (40, 32 * 32)]
    assert measured(samples, real)["far"] > 0.0


def test_noise_that_the_mean_of_pixels_would_hide_is_seen():
    """Noise on large smooth images leaves their thumbnails as the data's; it shows in the middle of each image."""
    real, samples = (np.kron(blobs(n, 10, n), np.ones((1, 16, 16, 1))) for n in (256, 64))
    noisy = samples + np.random.default_rng(0).normal(0, 120, samples.shape)
    assert codes(samples, real) == []
    assert codes(noisy, real) == ["samples_far"]


def test_points_are_not_called_far():
    """Narrow modes, and samples that miss them by ten of their widths."""
    r = np.random.default_rng(0)
    modes = np.array([[60.0, 128.0], [200.0, 128.0]])[r.integers(0, 2, 256)]
    points, off = (modes + r.normal(0, width, (256, 2)) for width in (1.0, 10.0))
    domain, about = domains.of("points"), Spec("mine", (1, 1, 2), 0, 256, "", domain="points")
    views = [domain.near(x.reshape(-1, 1, 1, 2), about) for x in (off[:64], points)]
    assert math.isnan(nearness.measure(*views)["far"])
    assert "points may be as narrow" in nearness.cannot(256, views[1], domain.words)[nearness.JUDGED]
    varied = diversity.measure(off[:64], diversity.reference(points, None, 64))
    assert judge.of_pictures(1000, nearness.measure(*views), varied, words=domain.words) == []


@pytest.mark.parametrize(
    ("real", "why"),
    [
        (np.zeros((128, 8, 8, 1)), "the training images are all alike"),
        (blobs(7, 10), "7 training images are too few to compare with"),
        (blobs(1, 10), "1 training image is too few to compare with"),
    ],
)
def test_data_that_are_no_measure_say_why(real, why):
    assert reference(real, None, 64) == why
    assert diversity.cannot(why, None, None) == {"how samples differ": why}
    assert codes(blobs(64, 1), real) == []


@pytest.mark.parametrize("n", [3, 100, 256, 257, 2560, 2551])
@pytest.mark.parametrize("order", ["in turn", "sorted"])
def test_the_pool_has_all_classes_whatever_the_order(n, order):
    label = np.arange(n, dtype=np.int32) % 10
    label = np.sort(label) if order == "sorted" else label
    part = Examples(np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1), label)
    for train in (part, Lazy(n, (1, 1, 1), lambda i: Examples(part.x[i], label[i]))):
        got = nearness.pool(train)
        assert len(got.x) == min(n, diversity.POOL)
        counts = np.bincount(got.y, minlength=10)
        assert counts.min() >= (0 if n < 10 else 0.4 * len(got.x) / 10)
    asked = np.arange(64) % 10
    counts = np.bincount(nearness.pool(part, asked).y, minlength=10)
    assert counts[: min(n, 10)].tolist() == [min(-(-diversity.POOL // 10), c) for c in np.bincount(label) if c]
