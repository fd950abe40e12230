import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_softmax, logsumexp

from genjax.distributions import DiscretizedLogistic, DiscretizedLogisticMixture

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # distrax's own, at import
    import distrax

LEVELS = np.arange(256) / 127.5 - 1.0
log_prob = jax.jit(lambda d, x: d.log_prob(x))


def mass64(mu, log_scale):
    """Masses of the 256 levels, float64, straight from the definition: [..., 256]."""
    edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 127.5 - 1.0, [np.inf]])
    z = (edges - np.asarray(mu, np.float64)[..., None]) / np.exp(np.asarray(log_scale, np.float64))[..., None]
    low, high = z[..., :-1], z[..., 1:]
    # Above the mode the difference of the upper tails keeps its digits.
    return np.where(low > 0, expit(-low) - expit(-high), expit(high) - expit(low))


def random_parameters(seed, *shape):
    rng = np.random.default_rng(seed)
    mu, log_scale = rng.uniform(-1.5, 1.5, shape), rng.uniform(-7.0, 2.0, shape)
    return jnp.array(mu, jnp.float32), jnp.array(log_scale, jnp.float32)


def random_mixture(seed, channels, k=3, batch=1):
    rng = np.random.default_rng(seed)

    def uniform(low, high, *shape):
        return jnp.array(rng.uniform(low, high, (1, *shape)), jnp.float32)

    d = DiscretizedLogisticMixture(
        uniform(-2, 2, k),
        uniform(-1, 1, channels, k),
        uniform(-6, -1, channels, k),
        uniform(-0.9, 0.9, channels * (channels - 1) // 2, k),
    )
    return DiscretizedLogisticMixture(*(jnp.broadcast_to(a, (batch, *a.shape[1:])) for a in d))


def mixture64(d, x):
    """log p(x) of one pixel x [channels] in float64, channel by channel as the paper writes it."""
    logits, mu, log_scale, coeffs = (np.asarray(a, np.float64)[0] for a in d)
    tiny = 1e-300
    level = np.round((np.asarray(x) + 1) * 127.5).astype(int)
    total = log_softmax(logits)
    for i in range(len(logits)):
        m = [mu[0, i]]
        if len(x) > 1:
            m.append(mu[1, i] + coeffs[0, i] * x[0])
        if len(x) > 2:
            m.append(mu[2, i] + coeffs[1, i] * x[0] + coeffs[2, i] * x[1])
        for c in range(len(x)):
            total[i] += np.log(mass64(m[c], log_scale[c, i])[level[c]] + tiny)
    return logsumexp(total)


# One logistic


@pytest.mark.parametrize("seed", range(8))
def test_256_probabilities_sum_to_one(seed):
    mu, log_scale = random_parameters(seed, 1, 1)
    d = DiscretizedLogistic(jnp.broadcast_to(mu, (256, 1)), jnp.broadcast_to(log_scale, (256, 1)))
    p = np.exp(np.asarray(log_prob(d, jnp.array(LEVELS, jnp.float32)[:, None]), np.float64))
    # float32 knows an edge to 6e-8 and a scale of exp(-7) magnifies that to 7e-5 of it.
    assert p.sum() == pytest.approx(1.0, abs=5e-5)


def test_log_prob_is_exact_also_where_the_difference_of_sigmoids_underflows():
    # Against the definition in float64, at scales and distances for which PixelCNN++'s fall-back is off by nats.
    for log_scale in (-7.0, -6.0, -4.0, 0.0, 3.0):
        mu = 0.1
        d = DiscretizedLogistic(jnp.full((256, 1), mu), jnp.full((256, 1), log_scale))
        got = np.asarray(d.log_prob(jnp.array(LEVELS, jnp.float32)[:, None]))
        expected = mass64(np.float32(mu), log_scale)
        ok = expected > 1e-300  # below, float64 underflows
        np.testing.assert_allclose(got[ok], np.log(expected[ok]), rtol=2e-4, atol=2e-4)


def test_tails_fall_linearly_in_log():
    # Far below mu the mass falls by exp(-bin / scale) a level: closed form where every difference underflows.
    d = DiscretizedLogistic(jnp.full((2, 1), 0.9), jnp.full((2, 1), -5.0))
    low, high = d.log_prob(jnp.array(LEVELS[[10, 11]], jnp.float32)[:, None])
    assert float(high - low) == pytest.approx(2 / 255 * np.exp(5.0), rel=1e-3)


def test_equals_distrax_quantized():
    mu, log_scale = 0.2, -2.5
    base = distrax.Logistic((mu + 1) * 127.5 - 0.5, np.exp(log_scale) * 127.5)
    v = jnp.arange(256.0)
    d = DiscretizedLogistic(jnp.full((256, 1), mu), jnp.full((256, 1), log_scale))
    got = d.log_prob(jnp.array(LEVELS, jnp.float32)[:, None])
    # distrax rounds up, hence the half; its differences lose digits far from the mode.
    near = slice(70, 240)
    expected = distrax.Quantized(base, low=0, high=255).log_prob(v)
    np.testing.assert_allclose(got[near], expected[near], rtol=2e-3)


@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_finite_at_huge_locations(extreme):
    x = jnp.array([[-1.0, 0.0, 1.0]])

    def f(mu):
        return DiscretizedLogistic(mu, jnp.full((1, 3), -7.0)).log_prob(x).sum()

    value, grad = jax.value_and_grad(f)(jnp.full((1, 3), extreme))
    assert np.isfinite(value)
    assert np.isfinite(grad).all()


def test_gradient_equals_finite_differences():
    with jax.enable_x64(True):
        x = jnp.array(LEVELS[[0, 3, 100, 128, 200, 255]])[None]
        mu, log_scale = jnp.full((1, 6), 0.15), jnp.full((1, 6), -3.0)

        @jax.jit
        def f(mu, log_scale):
            return DiscretizedLogistic(mu, log_scale).log_prob(x).sum()

        grads = jax.grad(f, argnums=(0, 1))(mu, log_scale)
        h = 1e-6
        for arg in (0, 1):
            for i in range(6):
                e = jnp.zeros((1, 6)).at[0, i].set(h)
                up = f(*((a + e) if j == arg else a for j, a in enumerate((mu, log_scale))))
                down = f(*((a - e) if j == arg else a for j, a in enumerate((mu, log_scale))))
                assert float(grads[arg][0, i]) == pytest.approx(float(up - down) / (2 * h), rel=1e-6, abs=1e-6)


def test_mean_and_mode_equal_brute_force():
    mu, log_scale = random_parameters(3, 1, 200)
    d = DiscretizedLogistic(mu, log_scale)
    p = mass64(mu, log_scale)
    np.testing.assert_allclose(d.mean, p @ LEVELS, atol=5e-5)
    chosen = np.round((np.asarray(d.mode) + 1) * 127.5).astype(int)
    # The mode need not be unique to rounding: its mass must be the largest.
    np.testing.assert_allclose(np.take_along_axis(p, chosen[..., None], -1)[..., 0], p.max(-1), rtol=1e-4)


def test_the_smooth_mean_is_the_integral_and_within_half_a_level_of_the_mean():
    """E[clip(x, -1, 1)] of a logistic, by numerical integration of its distribution function."""
    mu, log_scale = random_parameters(5, 40, 1)
    got = np.asarray(DiscretizedLogistic(mu, log_scale).smooth_mean)
    t = np.linspace(-1, 1, 400_001)
    for g, m, s in zip(got.ravel(), np.asarray(mu).ravel(), np.exp(np.asarray(log_scale)).ravel(), strict=True):
        assert g == pytest.approx(1 - np.trapezoid(expit((t - m) / s), t), abs=1e-5)
    np.testing.assert_allclose(got, DiscretizedLogistic(mu, log_scale).mean, atol=1 / 255)
    d = random_mixture(3, 3)
    np.testing.assert_allclose(d.smooth_mean, d.mean, atol=2.5 / 255)  # blue's mean sees red's and green's


def test_samples_follow_the_masses():
    n = 50_000
    mu, log_scale = -0.97, -4.0  # a tail beyond the lowest level
    x = DiscretizedLogistic(jnp.full((n, 1), mu), jnp.full((n, 1), log_scale)).sample(jax.random.key(0))
    v = np.round((np.asarray(x)[:, 0] + 1) * 127.5).astype(int)
    np.testing.assert_allclose(np.asarray(x)[:, 0], LEVELS[v], atol=1e-6)
    p = mass64(mu, log_scale)
    frequency = np.bincount(v, minlength=256) / n
    assert (abs(frequency - p) < 5 * np.sqrt(p * (1 - p) / n) + 5 / n).all()


# The mixture


@pytest.mark.parametrize("seed", range(5))
def test_mixture_of_one_channel_sums_to_one(seed):
    d = random_mixture(seed, channels=1, batch=256)
    p = np.exp(np.asarray(log_prob(d, jnp.array(LEVELS, jnp.float32)[:, None]), np.float64))
    assert p.sum() == pytest.approx(1.0, abs=5e-5)


@pytest.mark.parametrize("seed", range(3))
def test_chain_of_three_channels_sums_to_one(seed):
    """Summed over blue the mass of three channels is that of two; over green, that of one; and that sums to 1."""
    d3 = random_mixture(seed, channels=3, batch=256)
    d2 = DiscretizedLogisticMixture(d3.logits, d3.mu[:, :2], d3.log_scale[:, :2], d3.coeffs[:, :1])
    d1 = DiscretizedLogisticMixture(d3.logits, d3.mu[:, :1], d3.log_scale[:, :1], d3.coeffs[:, :0])
    levels = jnp.array(LEVELS, jnp.float32)
    for r, g in np.random.default_rng(seed).integers(0, 256, (8, 2)):
        red, green = (jnp.full(256, LEVELS[v], jnp.float32) for v in (r, g))
        over_blue = np.exp(np.asarray(log_prob(d3, jnp.stack([red, green, levels], 1)), np.float64)).sum()
        over_green = np.exp(np.asarray(log_prob(d2, jnp.stack([red, levels], 1)), np.float64))
        over_red = np.exp(np.asarray(log_prob(d1, levels[:, None]), np.float64))
        assert over_blue == pytest.approx(over_green[g], rel=1e-4)
        assert over_green.sum() == pytest.approx(over_red[r], rel=1e-4)
        assert over_red.sum() == pytest.approx(1.0, abs=5e-5)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_mixture_equals_the_definition_in_float64(channels):
    d = random_mixture(7, channels)
    for v in np.random.default_rng(8).integers(0, 256, (40, channels)):
        expected = mixture64(d, LEVELS[v])
        if expected > -600:  # below, float64 underflows
            got = float(log_prob(d, jnp.array(LEVELS[v], jnp.float32)[None])[0])
            assert got == pytest.approx(expected, rel=3e-4, abs=3e-4)


def test_a_mixture_of_one_component_is_the_logistic():
    mu, log_scale = random_parameters(9, 4, 5, 1)
    x = jnp.array(LEVELS[np.random.default_rng(10).integers(0, 256, (4, 5, 1))], jnp.float32)
    mixture = DiscretizedLogisticMixture(
        jnp.zeros((4, 5, 1)), mu[..., None], log_scale[..., None], jnp.zeros((4, 5, 0, 1))
    )
    single = DiscretizedLogistic(mu, log_scale)
    got, expected = (jax.jit(lambda d: (d.log_prob(x), d.mean, d.mode))(d) for d in (mixture, single))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_five_channels_have_ten_pairs():
    d = random_mixture(11, channels=5)
    assert d.coeffs.shape == (1, 10, 3)
    x, mean, mode = jax.jit(lambda d, key: (d.sample(key), d.mean, d.mode))(d, jax.random.key(0))
    assert x.shape == mean.shape == mode.shape == (1, 5)
    # The last channel hears each of the others.
    shift = jax.grad(lambda x: d._location(4, [x[..., c, None] for c in range(4)]).sum())(x)
    np.testing.assert_allclose(shift[0], [*d.coeffs[0, 6:10].sum(1), 0.0], rtol=1e-6)


@pytest.mark.slow
def test_samples_of_the_chain_follow_the_joint_masses():
    n = 40_000
    d = random_mixture(12, channels=3, batch=n)
    x = np.asarray(jax.jit(lambda d, key: d.sample(key))(d, jax.random.key(1)), np.float64)
    v = np.round((x + 1) * 127.5).astype(int)
    np.testing.assert_allclose(x, LEVELS[v], atol=1e-6)
    # Coarse joint frequencies of (red, green) against sums of masses, in 4 x 4 cells of 64 x 64 levels.
    rg = np.stack(np.meshgrid(np.arange(256), np.arange(256), indexing="ij"), -1).reshape(-1, 2)
    d2 = DiscretizedLogisticMixture(d.logits[:1], d.mu[:1, :2], d.log_scale[:1, :2], d.coeffs[:1, :1])
    d2 = jax.tree.map(lambda a: jnp.broadcast_to(a, (len(rg), *a.shape[1:])), d2)
    p = np.exp(np.asarray(log_prob(d2, jnp.array(LEVELS[rg], jnp.float32)), np.float64))
    cells = p.reshape(4, 64, 4, 64).sum((1, 3))
    assert cells.sum() == pytest.approx(1.0, abs=1e-4)
    frequency = np.zeros((4, 4))
    np.add.at(frequency, (v[:, 0] // 64, v[:, 1] // 64), 1 / n)
    assert (abs(frequency - cells) < 5 * np.sqrt(cells * (1 - cells) / n) + 5 / n).all()


@pytest.mark.slow
def test_mean_and_mode_of_the_chain_are_linear_away_from_the_ends():
    """Without clipping means pass through the chain: m_c = mu_c + sum of coeffs times earlier m, in each component."""
    rng = np.random.default_rng(15)
    mu, coeffs = rng.uniform(-0.3, 0.3, (1, 3, 2)), rng.uniform(-0.8, 0.8, (1, 3, 2))
    weights = np.array([0.3, 0.7])
    red = mu[0, 0]
    green = mu[0, 1] + coeffs[0, 0] * red
    blue = mu[0, 2] + coeffs[0, 1] * red + coeffs[0, 2] * green
    parameters = np.log(weights)[None], mu, np.full((1, 3, 2), -3.5), coeffs
    d = DiscretizedLogisticMixture(*(jnp.array(a, jnp.float32) for a in parameters))
    np.testing.assert_allclose(d.mean[0], [weights @ red, weights @ green, weights @ blue], atol=1e-4)
    # Rounding to a level, up to 1/255 a channel, is passed on by the coefficients.
    np.testing.assert_allclose(d.mode[0], [red[1], green[1], blue[1]], atol=2.6 / 255)


def test_huge_mixture_parameters_are_finite():
    d = random_mixture(13, channels=3)
    big = DiscretizedLogisticMixture(d.logits * 1e4, d.mu * 1e4, d.log_scale, d.coeffs)
    for x in ([-1.0, 1.0, 0.0], [1.0, 1.0, 1.0]):
        point = jnp.array([x])
        value, grads = jax.value_and_grad(lambda d, point=point: d.log_prob(point).sum())(big)
        assert np.isfinite(value)
        assert all(np.isfinite(g).all() for g in grads)


def test_half_precision_parameters_are_computed_in_float32():
    d = DiscretizedLogisticMixture(*(a.astype(jnp.bfloat16) for a in random_mixture(14, channels=3)))
    exact = DiscretizedLogisticMixture(*(a.astype(jnp.float32) for a in d))
    x = jnp.array([[0.0, -1.0, 1.0]])
    assert d.log_prob(x).dtype == d.mean.dtype == d.sample(jax.random.key(0)).dtype == jnp.float32
    np.testing.assert_array_equal(d.log_prob(x), exact.log_prob(x))
