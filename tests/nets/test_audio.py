"""The nets for waves: published sizes, phase shuffle, and the battery that every net goes through."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from quick import few, normal, quick_jit

from genjax import nets
from genjax.errors import UsageError
from genjax.nets.audio import Stages, phase_shuffle
from genjax.nets.frames import overlapped

T, Z, OUT, N = 130, 5, 6, 3  # two stages; a length that they do not divide

NETS = {
    "wavegan_generator": (lambda k: nets.wavegan_generator(Z, T, 2, k), (N, Z), (N, T)),
    "of_spectra": (lambda k: nets.wavegan_generator(Z, 600, 2, k, spectra=True), (N, Z), (N, 600)),
    "wavegan_discriminator": (lambda k: nets.wavegan_discriminator(T, 2, 2, k), (N, T), (N,)),
    "wave_encoder": (lambda k: nets.wave_encoder(T, OUT, 4, k), (N, T), (N, OUT)),
    "decoder_of_spectra": (lambda k: nets.wave_decoder(Z, 600, 2, 4, k, spectra=True), (N, Z), (N, 600, 2)),
    "wave_decoder": (lambda k: nets.wave_decoder(Z, T, 2, 4, k), (N, Z), (N, T, 2)),
}


@functools.cache
def built(name: str, n_classes: int = 0):
    """(net, params, inputs, labels), parameters shifted off their zeros so that nothing is hidden by them."""
    make, takes, _ = NETS[name]
    net = make(n_classes)
    params, state = quick_jit(net.init)(jax.random.key(0))
    assert state == {}
    params = jax.device_get(params)
    params = jax.tree.map(lambda p: jnp.asarray(p + np.cos(np.arange(p.size)).reshape(p.shape) / 100, p.dtype), params)
    x = normal(1, takes)
    return net, params, x, jnp.array([0, 2, 1]) if n_classes else None


def trained(net, params, x, y=None):
    return net.apply(params, {}, x, train=True, key=jax.random.key(9), y=y)[0]


@pytest.mark.parametrize("name", few(NETS, "wavegan_generator"))
def test_shapes_labels_and_independence_of_examples(name):
    for n_classes in (0, 3):
        net, params, x, y = built(name, n_classes)
        f = quick_jit(functools.partial(trained, net))
        out = np.asarray(f(params, x, y))
        assert out.shape == NETS[name][2]
        other = np.array(x)
        other[1] += 1.0
        moved = np.asarray(f(params, other, y))
        assert (out[[0, 2]] == moved[[0, 2]]).all()
        assert np.abs(out - moved)[1].max() > 1e-6
        if n_classes:
            assert np.abs(out - f(params, x, (y + 1) % 3)).max() > 1e-6
            with pytest.raises(ValueError, match="n_classes=3"):
                net.apply(params, {}, x)


@pytest.mark.parametrize("name", few(NETS))
def test_gradient_of_a_gradient_is_finite_and_the_same_in_a_loop(name):
    net, params, x, y = built(name, 3)

    def penalty(p):
        g = jax.grad(lambda x: jnp.sin(trained(net, p, x, y)).sum())(x)
        return (g**2).sum()

    def descend(_, p):
        return jax.tree.map(lambda a, g: a - 1e-3 * g, p, jax.grad(penalty)(p))

    once = quick_jit(descend)(0, params)
    assert all(bool(jnp.isfinite(p).all()) for p in jax.tree.leaves(once))
    layers = next(name for name in ("down", "up", "stem") if name in once)
    assert all(bool((a != b).any()) for a, b in zip(*map(jax.tree.leaves, (once[layers], params[layers])), strict=True)
               if a.ndim > 1)  # fmt: skip
    looped = quick_jit(lambda p: lax.fori_loop(0, 1, descend, p))(params)
    for a, b in zip(jax.tree.leaves(looped), jax.tree.leaves(once), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", few(NETS, "wave_encoder", "wavegan_discriminator"))
def test_lowers_for_every_platform(name):
    """Forward in evaluation for any batch size, and a training gradient."""
    net, params, x, y = built(name, 3)
    (b,) = export.symbolic_shape("b")
    some, labels = jax.ShapeDtypeStruct((b, *x.shape[1:]), x.dtype), jax.ShapeDtypeStruct((b,), y.dtype)
    platforms = ("cpu", "cuda", "tpu")
    sample = jax.jit(lambda p, x, y: net.apply(p, {}, x, y=y)[0])
    gradient = jax.jit(lambda p, x, y: jax.grad(lambda p: (trained(net, p, x, y) ** 2).sum())(p))
    assert export.export(sample, platforms=platforms)(params, some, labels).platforms == platforms
    assert export.export(gradient, platforms=platforms)(params, x, y).platforms == platforms


def test_published_sizes():
    """Tables 3 and 4 of Donahue et al. at d = 64 and 16,384 samples: 16 places of 1,024 channels, and their weights."""
    assert (Stages(16384, 64).base, Stages(16384, 64).widths) == (16, (64, 128, 256, 512, 1024))
    assert (Stages(8192, 64).base, Stages(8192, 64).n) == (8, 5)
    taps = [25 * a * b for a, b in ((1, 64), (64, 128), (128, 256), (256, 512), (512, 1024))]
    biases = 64 + 128 + 256 + 512 + 1024
    sizes = {
        "g": (nets.wavegan_generator(100, 16384), 100 * 16384 + 16384 + sum(taps) + biases - 1024 + 1),
        "d": (nets.wavegan_discriminator(16384), sum(taps) + biases + 16384 + 1),
    }
    for net, expected in sizes.values():
        params, _ = jax.eval_shape(net.init, jax.random.key(0))
        assert sum(p.size for p in jax.tree.leaves(params)) == expected


@pytest.mark.slow
def test_activations_keep_their_size_through_an_untrained_net():
    for net, takes in (
        (nets.wave_decoder(64, 512, 1, 8), (8, 64)),
        (nets.wavegan_discriminator(512, 8), (8, 512)),
        (nets.wave_encoder(512, 32, 8), (8, 512)),
    ):
        params, _ = quick_jit(net.init)(jax.random.key(0))
        out = quick_jit(lambda p, x: net.apply(p, {}, x)[0])(params, jax.random.normal(jax.random.key(1), takes))  # noqa: B023
        assert 0.2 < float(out.std()) < 3.0


def test_phase_shuffle_moves_each_example_by_its_own_number_of_places():
    h = jnp.arange(20.0)[None, :, None] + jnp.zeros((200, 1, 1))
    moved = phase_shuffle(h, jax.random.key(0), 2, train=True)
    shifts = np.asarray(moved[:, 10, 0] - 10.0)
    assert set(shifts) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    assert np.bincount((shifts + 2).astype(int)).min() > 20
    by_one = np.asarray(moved)[np.argmax(shifts == 1.0), :, 0]
    assert by_one.tolist() == [*range(1, 20), 18.0]  # mirrored at the end
    assert (phase_shuffle(h, None, 2, train=False) == h).all()
    assert (phase_shuffle(h, None, 0, train=True) == h).all()
    with pytest.raises(ValueError, match="key="):
        phase_shuffle(h, None, 2, train=True)


def test_gradients_through_phase_shuffle_are_those_of_moved_places():
    h = jnp.ones((4, 8, 2))
    g = jax.grad(lambda h: (phase_shuffle(h, jax.random.key(0), 2, train=True) ** 2).sum() / 2)(h)
    assert float(g.sum()) == float(h.sum())


def test_refuses_waves_that_are_too_short():
    with pytest.raises(UsageError, match="n_samples=31"):
        nets.wave_encoder(31, 2).init(jax.random.key(0))
    with pytest.raises(UsageError, match="n_samples=511: spectra need"):
        nets.wavegan_generator(2, 511, 2, spectra=True).init(jax.random.key(0))


def test_overlapped_spectra_are_sound():
    """A tone from its spectrum in every window; any wave, twice, from the spectra of its windows as NumPy has them."""
    hop, t = 64, np.arange(1024)
    tone = np.zeros((16, hop + 1), complex)
    tone[:, 8] = hop / 2 * np.exp(1j * (np.pi * 8 * (np.arange(16) - 1) + 0.3))
    wave = np.random.default_rng(0).normal(size=1024)
    padded = np.pad(wave, hop)
    windows = np.stack([padded[i * hop : (i + 2) * hop] for i in range(16)])
    for spectra, expected in ((tone, np.cos(2 * np.pi * t * 8 / 128 + 0.3)), (np.fft.rfft(windows), 2 * wave)):
        parts = jnp.asarray(np.concatenate([spectra.real, spectra.imag], -1)[None], jnp.float32)
        got = np.asarray(quick_jit(lambda x: overlapped(x, hop))(parts))[0]
        np.testing.assert_allclose(got[:-hop], expected[:-hop], atol=2e-5)
