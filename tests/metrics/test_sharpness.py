"""Sharpness: sinusoids, white noise and blur in closed form, the Laplacian against SciPy's."""

import numpy as np
import pytest
from quick import few
from scipy import ndimage

from genjax import metrics
from genjax.errors import UsageError


def stripes(h, w, ky, kx, amplitude=50.0, mean=120.0):
    """A wave of ky by kx periods, (1, h, w, 1)."""
    y, x = np.mgrid[:h, :w]
    return (mean + amplitude * np.cos(2 * np.pi * (ky * y / h + kx * x / w) + 0.7))[None, :, :, None]


@pytest.mark.parametrize(("ky", "kx"), [(0, 1), (3, 0), (5, 6), (8, 0), (7, 7), (9, 2), (0, 15), (8, 8)])
@pytest.mark.parametrize("cutoff", [0.1, 0.25, 0.4])
def test_a_wave_is_above_the_cutoff_or_below(ky, kx, cutoff):
    f = np.hypot(ky, kx) / 32
    share = metrics.high_frequency_share(stripes(32, 32, ky, kx), cutoff, window=False)
    assert share[0] == pytest.approx(float(f > cutoff), abs=1e-6)
    if abs(f - cutoff) > 2 / 32:  # the window spreads a wave over its neighbours
        share = metrics.high_frequency_share(stripes(32, 32, ky, kx), cutoff)
        assert share[0] == pytest.approx(float(f > cutoff), abs=1e-4)


def test_two_waves_share_their_power():
    x = stripes(32, 48, 2, 3, amplitude=40.0) + stripes(32, 48, 12, 10, amplitude=20.0)
    assert metrics.high_frequency_share(x, window=False)[0] == pytest.approx(0.2, abs=1e-5)


def high(h, w, cutoff=0.25):
    f = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None])
    return f > cutoff + 1e-9


@pytest.mark.parametrize(("h", "w"), [(28, 28), (9, 16), (1, 12), (7, 1)])
def test_white_noise_has_the_share_of_frequencies(h, w):
    """Without window exactly, in the mean: a Gaussian direction in h w - 1 dimensions, projected on some of them."""
    x = np.random.default_rng(0).normal(100, 20, (4000, h, w, 1))
    share = metrics.high_frequency_share(x, window=False)
    assert abs(share.mean() - high(h, w).sum() / (h * w - 1)) < 4 * share.std() / np.sqrt(4000)


def test_white_noise_under_the_window():
    """E|F(k)|^2 = s^2 sum_j w_j^2 |e_jk - W(k) / W(0)|^2, in float64 from the definition; the means' ratio."""
    h, w = 12, 10
    taper = np.outer(*(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in (h, w)))
    waves = np.exp(-2j * np.pi * np.einsum("k,j->kj", np.arange(h) / h, np.arange(h)))[:, None, :, None]
    waves = waves * np.exp(-2j * np.pi * np.einsum("k,j->kj", np.arange(w) / w, np.arange(w)))[None, :, None, :]
    centred = waves - ((waves * taper).sum((2, 3)) / taper.sum())[..., None, None]
    power = (np.square(taper) * np.square(np.abs(centred))).sum((2, 3))
    expected = power[high(h, w)].sum() / power.sum()
    x = np.random.default_rng(0).normal(0, 1, (20_000, h, w, 1))
    share = metrics.high_frequency_share(x)
    # a mean of ratios of about 40 free values: what separates it from the ratio of means is below 0.005
    assert share.mean() == pytest.approx(expected, abs=0.005)
    spectrum = metrics.radial_spectrum(x)
    rings = np.rint(np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None]) * h).astype(int)
    want = [power[rings == r].mean() / np.square(taper).sum() for r in range(1, rings.max() + 1) if (rings == r).any()]
    np.testing.assert_allclose(spectrum.power, want, rtol=0.05)


@pytest.mark.parametrize("window", [True, False])
def test_gaussian_blur_lowers_both_monotonically(window):
    """On real-like pictures (filtered noise) and on white noise; around the edges, as a circular blur is exact."""
    noise = np.random.default_rng(0).normal(128, 40, (20, 28, 28, 1))
    for x in (noise, ndimage.gaussian_filter(noise, (0, 1, 1, 0), mode="wrap")):
        blurred = [ndimage.gaussian_filter(x, (0, s, s, 0), mode="wrap") if s else x for s in (0, 0.4, 0.7, 1, 1.5, 2)]
        shares = np.stack([metrics.high_frequency_share(b, window=window) for b in blurred])
        variances = np.stack([metrics.laplacian_variance(b) for b in blurred])
        assert (np.diff(shares, axis=0) < 0).all()
        assert (np.diff(variances, axis=0) < 0).all()


SIZES = [(28, 28), (5, 9), (1, 7), (6, 1), (1, 1), (2, 2)]


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize(("h", "w"), few(SIZES, *SIZES[1:]))  # `make test` compiles sums that lose digits in long rows
def test_laplacian_equals_scipy(h, w, c):
    x = np.random.default_rng(0).integers(0, 256, (5, h, w, c), np.uint8)
    each = [[ndimage.laplace(i[..., k].astype(float), mode="nearest").var() for k in range(c)] for i in x]
    np.testing.assert_allclose(metrics.laplacian_variance(x), np.mean(each, 1), rtol=2e-6)


def test_laplacian_of_a_cosine_and_of_noise():
    """cos(pi k (i + 1/2) / n) is an eigenvector: variance (2 - 2 cos(pi k / n))^2 A^2 / 2. Noise: 20 s^2 inside."""
    n, k, a = 32, 9, 30.0
    x = np.broadcast_to((100 + a * np.cos(np.pi * k * (np.arange(n) + 0.5) / n))[None, :, None, None], (1, n, 5, 1))
    want = (2 - 2 * np.cos(np.pi * k / n)) ** 2 * a**2 / 2
    assert metrics.laplacian_variance(x)[0] == pytest.approx(want, rel=1e-5)
    assert metrics.laplacian_variance(x.transpose(0, 2, 1, 3))[0] == pytest.approx(want, rel=1e-5)
    h, w = 12, 20
    noise = np.random.default_rng(0).normal(128, 10, (4000, h, w, 1))
    got = metrics.laplacian_variance(noise)
    want = 100 * (20 * (h - 2) * (w - 2) + 12 * 2 * (h + w - 4) + 6 * 4) / (h * w)
    assert abs(got.mean() - want) < 4 * got.std() / np.sqrt(4000)


@pytest.mark.parametrize("shape", [(8, 8, 1), (1, 8, 3), (8, 1, 1), (1, 1, 3), (5, 7, 2)])
@pytest.mark.parametrize("value", [0, 37, 255, 0.1, 1e6 / 3, 1e-30])
def test_constant_images_have_neither(shape, value):
    x = np.full((3, *shape), value) * np.ones(shape[-1])
    assert metrics.high_frequency_share(x).tolist() == [0, 0, 0]
    assert metrics.high_frequency_share(x, 0.0, window=False).tolist() == [0, 0, 0]
    assert metrics.laplacian_variance(x).tolist() == [0, 0, 0]
    assert (metrics.radial_spectrum(x).power == 0).all()


def test_a_constant_colour_is_constant_and_grey_in_rgb_is_grey():
    colour = np.broadcast_to(np.array([10, 200, 77], np.uint8), (1, 6, 6, 3))
    assert metrics.high_frequency_share(colour)[0] == metrics.laplacian_variance(colour)[0] == 0
    x = np.random.default_rng(0).integers(0, 256, (4, 11, 8, 1), np.uint8)
    for f in (metrics.high_frequency_share, metrics.laplacian_variance):
        np.testing.assert_allclose(f(x.repeat(3, axis=3)), f(x), rtol=1e-5)


@pytest.mark.slow
def test_along_an_axis_of_one_pixel_nothing_varies():
    row = np.random.default_rng(0).integers(0, 256, (6, 1, 16, 1), np.uint8)
    for f in (metrics.high_frequency_share, metrics.laplacian_variance):
        np.testing.assert_allclose(f(row), f(row.transpose(0, 2, 1, 3)), rtol=1e-6)
    share = metrics.high_frequency_share(row, window=False)
    np.testing.assert_allclose(share, metrics.high_frequency_share(row.repeat(4, 1), window=False), rtol=1e-5)
    np.testing.assert_allclose(4 * metrics.laplacian_variance(row), 4 * metrics.laplacian_variance(row.repeat(4, 1)))


def test_share_ignores_brightness_and_contrast_and_parts_do_not_matter(monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1)).astype(np.float32)
    share, variance = metrics.high_frequency_share(x), metrics.laplacian_variance(x)
    for scale, offset in ((0.25, 3.0), (1e-20, 0.0), (1e15, 0.0), (-1.0, 1000.0)):
        np.testing.assert_allclose(metrics.high_frequency_share(scale * x + offset), share, rtol=1e-5)
    np.testing.assert_allclose(metrics.laplacian_variance(-0.5 * x + 7), variance / 4, rtol=1e-6)
    monkeypatch.setattr("genjax.metrics.pixels.ELEMENTS", 3 * 64)
    np.testing.assert_allclose(metrics.high_frequency_share(x), share, rtol=1e-6)
    np.testing.assert_allclose(metrics.laplacian_variance(x), variance, rtol=1e-6)


def test_spectrum_is_flat_for_noise_adds_up_to_the_variance_and_shows_a_wave():
    x = np.random.default_rng(0).normal(50, 8, (2000, 16, 12, 3))
    s = metrics.radial_spectrum(x, window=False)
    np.testing.assert_allclose(s.power, 64, rtol=0.05)
    assert (np.diff(s.frequency) > 0).all()
    assert 0.66 < s.frequency[-1] < np.sqrt(0.5)  # the mean of the last ring
    f = np.hypot(np.fft.fftfreq(16)[:, None], np.fft.fftfreq(12)[None]).ravel()
    n = np.bincount(np.rint(f * 16).astype(int))[1:]
    n = n[n > 0]
    assert (s.power * n).sum() / (16 * 12) == pytest.approx(x.var((1, 2)).mean(), rel=1e-5)
    wave = metrics.radial_spectrum(stripes(32, 32, 6, 0, amplitude=10.0), window=False)
    assert wave.frequency[wave.power.argmax()] == pytest.approx(6 / 32, abs=1 / 64)
    assert wave.power.max() / wave.power.sum() > 1 - 1e-6


def test_sharpness_is_relative_to_real_images():
    real = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 1), np.uint8)
    same = metrics.sharpness(real[:10], real[:10])
    assert (same.high_frequency_ratio, same.laplacian_ratio) == (1.0, 1.0)
    blurred = metrics.sharpness(ndimage.gaussian_filter(real.astype(float), (0, 1, 1, 0)), real)
    assert blurred.high_frequency_ratio < 0.3
    assert blurred.laplacian_ratio < 0.1
    assert blurred.real_laplacian == pytest.approx(metrics.laplacian_variance(real).mean())
    flat = np.zeros_like(real)
    assert metrics.sharpness(flat, real).laplacian_ratio == 0
    assert metrics.sharpness(flat, flat).high_frequency_ratio == 1
    assert metrics.sharpness(real, flat).high_frequency_ratio == np.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.high_frequency_share(np.zeros((3, 8, 8))), r"\(3, 8, 8\)"),
        (lambda: metrics.laplacian_variance(np.zeros((0, 8, 8, 1))), "at least one image"),
        (lambda: metrics.laplacian_variance(np.full((2, 8, 8, 1), np.nan)), "2 of 2 images hold NaN"),
        (lambda: metrics.high_frequency_share(np.zeros((1, 8, 8, 1)), cutoff=0.8), "0.7071"),
        (lambda: metrics.sharpness(np.zeros((1, 8, 8, 1)), np.zeros((1, 8, 9, 1))), "must agree"),
        (lambda: metrics.laplacian_variance(np.zeros((1, 8, 8, 1), complex)), "complex"),
    ],
)
def test_errors_teach(call, message):
    with pytest.raises(UsageError, match=message):
        call()
