import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from quick import few, normal

from genjax import distributions
from genjax.types import UsageError

LIKELIHOODS = {
    "bernoulli": distributions.bernoulli(),
    "gaussian": distributions.gaussian(),
    "gaussian_global": distributions.gaussian_global(),
    "gaussian_per_pixel": distributions.gaussian_per_pixel(),
    "discretized_logistic": distributions.discretized_logistic(),
    "discretized_logistic_mixture": distributions.discretized_logistic_mixture(4),
    "categorical": distributions.categorical(),
    "categorical_16": distributions.categorical(16),
}
BATCH, HEIGHT, WIDTH = 2, 3, 5
ALL = pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS)
CHANNELS = pytest.mark.parametrize("channels", few([1, 3], 3))


def images(likelihood, channels, seed=0):
    v = np.random.default_rng(seed).integers(0, 256, (BATCH, HEIGHT, WIDTH, channels))
    v[0, 0, 0], v[0, 0, 1] = 0, 255
    ranges = {"bits": v > 127, "unit": v / 255, "signed": v / 127.5 - 1, "levels": v}
    return jnp.array(ranges[likelihood.support[0]], jnp.float32)


@ALL
@CHANNELS
def test_shapes_and_ranges(likelihood, channels):
    out = normal(0, (BATCH, HEIGHT, WIDTH, likelihood.n_out(channels)))
    x = images(likelihood, channels)

    @jax.jit
    def all_of_it(params, out, key):
        p = likelihood.apply(params, out)
        return p, p.log_prob(x), (p.sample(key), p.mean, p.mode, likelihood.picture(p))

    p, log_prob, values = all_of_it(likelihood.init(channels), out, jax.random.key(1))
    assert log_prob.shape == (BATCH,)
    assert log_prob.dtype == jnp.float32
    low, high = {"bits": (0, 1), "unit": (0, 1), "signed": (-1, 1), "levels": (0, 255)}[likelihood.support[0]]
    for value in values:
        assert value.shape == x.shape
        if not isinstance(p, distributions.Normal):
            assert low <= value.min()
            assert value.max() <= high


@ALL
@pytest.mark.parametrize("pattern", few(["high", "low", "random"], "high", "low"))
def test_finite_value_and_gradient_whatever_the_decoder_says(likelihood, pattern):
    shape = (BATCH, HEIGHT, WIDTH, likelihood.n_out(3))
    sign = {"high": 1.0, "low": -1.0, "random": jax.random.rademacher(jax.random.key(2), shape, jnp.float32)}[pattern]
    out = jnp.full(shape, 1e4) * sign
    params = jax.tree.map(lambda a: a + 1e4 * (1 if pattern == "high" else -1), likelihood.init(3))

    def f(params, out):
        return likelihood.apply(params, out).log_prob(images(likelihood, 3)).sum()

    value, grads = jax.jit(jax.value_and_grad(f, argnums=(0, 1)))(params, out)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


@ALL
def test_half_precision_decoders_are_upcast(likelihood):
    out = normal(3, (BATCH, HEIGHT, WIDTH, likelihood.n_out(3))).astype(jnp.bfloat16)
    x, params = images(likelihood, 3), likelihood.init(3)
    got = likelihood.apply(params, out).log_prob(x)
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, likelihood.apply(params, out.astype(jnp.float32)).log_prob(x))


def test_gaussian_sigma_is_the_standard_deviation():
    out = jnp.zeros((1, 2, 2, 1))
    p = distributions.gaussian(0.25).apply({}, out)
    np.testing.assert_allclose(p.scale, 0.25, rtol=1e-6)
    expected = -4 * (0.5 * np.log(2 * np.pi) + np.log(0.25) + 0.5 * (0.5 / 0.25) ** 2)
    np.testing.assert_allclose(p.log_prob(out + 0.5), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "gaussian_learned", "gaussian_per_pixel"])
def test_normal_pixels_have_scipy_s_density(name):
    likelihood = distributions.likelihood_of(name, None)
    rng = np.random.default_rng(6)
    out = jnp.asarray(rng.normal(size=(2, 3, 4, likelihood.n_out(3))), jnp.float32)
    x = jnp.asarray(rng.uniform(size=(2, 3, 4, 3)), jnp.float32)
    params = jax.tree.map(lambda a: a + 0.7, likelihood.init(3))  # of sigma 0.1

    def clamped(raw):  # the definition of `softclamp` to [-6, 6], in float64
        above = -6 + np.log1p(np.exp(np.asarray(raw, np.float64) + 6))
        return 6 - np.log1p(np.exp(6 - above))

    raw = {"gaussian_learned": np.log(0.1) + 0.7, "gaussian_per_pixel": out[..., 3:]}
    sigma = np.exp(clamped(raw[name])) if name in raw else 0.1
    wanted = scipy.stats.norm.logpdf(np.asarray(x, np.float64), np.asarray(out[..., :3], np.float64), sigma)
    np.testing.assert_allclose(likelihood.apply(params, out).log_prob(x), wanted.sum((1, 2, 3)), rtol=1e-5)


def test_gaussian_sigma_may_be_traced():
    x = jnp.ones((1, 2, 2, 1))

    def log_prob(sigma):
        return distributions.gaussian(sigma).apply({}, jnp.zeros_like(x)).log_prob(x)[0]

    sigmas = jnp.array([0.5, 1.0])
    np.testing.assert_allclose(jax.jit(jax.vmap(log_prob))(sigmas), [log_prob(0.5), log_prob(1.0)], rtol=1e-6)


def test_the_learned_global_sigma_finds_the_root_mean_square_error():
    # Optimal-sigma: the maximum over sigma is where sigma^2 is the mean squared error, in closed form.
    likelihood = distributions.gaussian_global()
    x = 0.3 * normal(4, (4, 8, 8, 1))
    params = likelihood.init(1)
    assert float(likelihood.apply(params, x).scale[0, 0, 0, 0]) == pytest.approx(1.0, abs=0.01)

    def loss(params):
        return -likelihood.apply(params, jnp.zeros_like(x)).log_prob(x).mean() / x[0].size

    params = jax.lax.fori_loop(
        0, 300, lambda _, p: jax.tree.map(lambda a, g: a - 0.2 * g, p, jax.grad(loss)(p)), params
    )
    sigma = likelihood.apply(params, x).scale[0, 0, 0, 0]
    assert float(sigma) == pytest.approx(float(jnp.sqrt(jnp.square(x).mean())), rel=1e-3)


def test_log_scales_are_clamped_softly():
    for likelihood, field in (
        (distributions.gaussian_per_pixel(), "logvar"),
        (distributions.discretized_logistic(), "log_scale"),
    ):
        value = getattr(likelihood.apply({}, jnp.full((1, 1, 1, 2), -9.0)), field)
        slope = jax.grad(lambda out, lik=likelihood, f=field: getattr(lik.apply({}, out), f).sum())(
            jnp.full((1, 1, 1, 2), -9.0)
        )
        low = 2 * -6.0 if field == "logvar" else -7.0
        assert low - 1e-3 < float(value[0, 0, 0, 0]) < low + 0.5
        assert float(slope[0, 0, 0, 1]) > 0.01  # a hard clip would have none


def test_the_mixture_reads_the_rows_it_counts():
    likelihood = distributions.discretized_logistic_mixture(10)
    assert [likelihood.n_out(c) for c in (1, 2, 3, 4)] == [30, 60, 100, 150]
    p = likelihood.apply({}, jnp.arange(100.0).reshape(1, 1, 1, 100) / 100)
    assert (p.logits.shape, p.mu.shape, p.coeffs.shape) == ((1, 1, 1, 10), (1, 1, 1, 3, 10), (1, 1, 1, 3, 10))
    np.testing.assert_allclose(p.logits[0, 0, 0], np.arange(10) / 100)
    np.testing.assert_allclose(p.mu[0, 0, 0, 1], np.arange(20, 30) / 100, rtol=1e-6)
    np.testing.assert_allclose(p.coeffs[0, 0, 0, 2], np.tanh(np.arange(90, 100) / 100), rtol=1e-6)
    with pytest.raises(ValueError, match="n_out"):
        likelihood.apply({}, jnp.zeros((1, 1, 1, 40)))


@pytest.mark.parametrize("n_levels", [1, 4, 256])
def test_categorical_of_any_number_of_bins_is_a_distribution_over_256_levels(n_levels):
    likelihood = distributions.categorical(n_levels)
    out = jnp.broadcast_to(normal(5, (1, 1, 1, n_levels)), (256, 1, 1, n_levels))
    log_prob = likelihood.apply({}, out).log_prob(jnp.arange(256).reshape(256, 1, 1, 1))
    assert float(jnp.exp(log_prob).sum()) == pytest.approx(1.0, abs=1e-5)
    if n_levels == 1:
        np.testing.assert_allclose(log_prob, -np.log(256), rtol=1e-6)  # 8 bits per dimension, exactly


@pytest.mark.parametrize("make", [lambda: distributions.categorical(10), lambda: distributions.categorical(0)])
def test_levels_must_divide_256(make):
    with pytest.raises(UsageError, match=r"n_levels=.*divide 256"):
        make()


def test_a_mixture_has_components():
    with pytest.raises(UsageError, match="n_components=0"):
        distributions.discretized_logistic_mixture(0)
