"""Spectra and the spectral distance against scipy's short-time Fourier transform and against plain NumPy."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from quick import quick_jit
from scipy import signal

from genjax import losses
from genjax.errors import UsageError
from genjax.losses.spectral import FLOOR, RESOLUTIONS


def waves(n: int, t: int, seed: int = 0) -> jax.Array:
    draw = np.random.default_rng(seed)
    return jnp.asarray(0.2 * draw.standard_normal((n, t)) * np.linspace(1.0, 0.0, t), jnp.float32)


def scipy_power(x, window: int, hop: int) -> np.ndarray:
    """|STFT|^2 of float64 waves by scipy, (n, frames, bins)."""
    transform = signal.ShortTimeFFT(signal.get_window("hann", window), hop, 1.0)
    half = window // 2
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (half, half)), mode="reflect")
    n = 1 + x.shape[1] // hop
    out = transform.stft(padded, p0=half // hop, p1=half // hop + n)
    return np.abs(out).transpose(0, 2, 1) ** 2


@pytest.mark.parametrize(("window", "hop", "t"), [(64, 16, 512), (64, 32, 500), (256, 64, 1000), (16, 1, 40)])
def test_power_spectrum_equals_scipy(window, hop, t):
    x = waves(2, t)
    ours = np.asarray(quick_jit(lambda x: losses.power_spectrum(x, window, hop))(x))
    assert ours.shape == (2, 1 + t // hop, window // 2 + 1)
    np.testing.assert_allclose(ours, scipy_power(x, window, hop), rtol=1e-4, atol=1e-4)


def test_both_forms_agree_in_value_and_two_derivatives():
    module = sys.modules["genjax.losses.spectral"]
    windows = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, 64)), jnp.float32)

    def all_of(form):
        loss = lambda w: jnp.log(form(w) + 0.1).sum()  # noqa: E731
        slope = jax.grad(loss)
        return quick_jit(lambda w: (form(w), slope(w), jax.grad(lambda w: (slope(w) ** 2).sum())(w)))(windows)

    for a, b in zip(all_of(module._by_fft), all_of(module._by_products), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(jnp.abs(b).max()))


def test_the_form_is_chosen_by_platform_when_lowered():
    x = jax.ShapeDtypeStruct((2, 512), jnp.float32)
    power = jax.jit(lambda x: losses.power_spectrum(x, 64, 16))
    assert "stablehlo.fft" in power.lower(x).as_text()
    for platform in ("cuda", "tpu"):
        text = export.export(power, platforms=[platform])(x).mlir_module()
        assert "stablehlo.fft" not in text
        assert "stablehlo.dot_general" in text


def test_a_sine_has_its_power_at_its_frequency():
    """Amplitude a at an exact frequency of a Hann window of n samples: (a n / 4)^2 there."""
    x = 0.5 * jnp.cos(2 * jnp.pi * 1000 / 8000 * jnp.arange(4096.0))[None]
    power = losses.power_spectrum(x, 256, 64)[0, 10]
    assert int(power.argmax()) == 32
    assert float(power[32]) == pytest.approx((0.5 * 256 / 4) ** 2, rel=1e-3)


def test_mel_filters_are_triangles_equally_wide_in_mel():
    filters = losses.mel_filters(8000, 512, 20)
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    peaks = np.linspace(0, 4000, 257)[filters.argmax(0)]
    steps = np.diff(mel(peaks))
    np.testing.assert_allclose(steps[4:], mel(4000) / 21, rtol=0.15)
    inside = filters.sum(1)[(np.linspace(0, 4000, 257) > peaks[0]) & (np.linspace(0, 4000, 257) < peaks[-1])]
    np.testing.assert_allclose(inside, 1.0, atol=1e-9)  # the bands are a partition between the outer centres
    with pytest.raises(UsageError, match="hold no frequency"):
        losses.mel_filters(8000, 64, 64)


def test_log_mel_equals_a_direct_computation():
    x = waves(2, 1024)
    power = scipy_power(x, 256, 64)
    f = np.linspace(0, 4000, 129)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 42) / 2595) - 1)
    direct = np.zeros((2, power.shape[1], 40))
    for band in range(40):
        low, centre, high = edges[band : band + 3]
        for k, hz in enumerate(f):
            weight = (hz - low) / (centre - low) if hz <= centre else (high - hz) / (high - centre)
            direct[..., band] += max(weight, 0.0) * power[..., k]
    np.testing.assert_allclose(losses.log_mel(x), np.log(direct + FLOOR**2), rtol=1e-4, atol=1e-4)


def test_spectral_distance_equals_a_direct_computation():
    x, y = waves(3, 2048), waves(3, 2048, 1)
    total = np.zeros(3)
    for window, hop in RESOLUTIONS:
        a, b = (np.sqrt(scipy_power(v, window, hop) + FLOOR**2) for v in (x, y))
        convergence = np.linalg.norm((a - b).reshape(3, -1), axis=1) / np.linalg.norm(b.reshape(3, -1), axis=1)
        total += convergence + np.abs(np.log(a) - np.log(b)).mean((1, 2))
    np.testing.assert_allclose(quick_jit(losses.spectral_distance)(x, y), total / len(RESOLUTIONS), rtol=1e-3)


def test_spectral_distance_is_zero_of_equals_and_does_not_see_phase():
    x = waves(1, 4096)
    assert float(losses.spectral_distance(x, x)[0]) == 0.0
    tone = lambda phase: 0.5 * jnp.sin(2 * jnp.pi * 0.1 * jnp.arange(4096.0) + phase)[None]  # noqa: E731
    same, other = losses.spectral_distance(tone(0.0), tone(1.0)), losses.spectral_distance(tone(0.0), 0.1 * tone(0.0))
    assert float(same[0]) < 0.2 * float(other[0])


@pytest.mark.slow
def test_gradients_are_finite_also_in_silence_and_of_second_order():
    silent, x = jnp.zeros((1, 2048)), waves(1, 2048)
    slope = jax.grad(lambda a, b: losses.spectral_distance(a, b).sum())
    grad, twice = quick_jit(slope), quick_jit(jax.grad(lambda a, b: (slope(a, b) ** 2).sum()))
    for a in (silent, x):
        for b in (silent, x):
            assert bool(jnp.isfinite(grad(a, b)).all())
            assert bool(jnp.isfinite(twice(a, b)).all())
    assert float(jnp.abs(grad(silent, silent)).max()) < 1e-3


def test_lowers_for_every_platform():
    x = jax.ShapeDtypeStruct((2, 2048), jnp.float32)
    both = lambda x: losses.spectral_distance(x, 0.5 * x).sum() + losses.log_mel(x).sum()  # noqa: E731
    made = export.export(jax.jit(jax.grad(both)), platforms=("cpu", "cuda", "tpu"))(x)
    assert made.platforms == ("cpu", "cuda", "tpu")


def test_refuses_what_cannot_be_framed():
    with pytest.raises(UsageError, match="hop=48"):
        losses.power_spectrum(jnp.zeros((1, 512)), 128, 48)
    with pytest.raises(UsageError, match="too short"):
        losses.power_spectrum(jnp.zeros((1, 64)), 128, 32)
