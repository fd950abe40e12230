"""The VAE of sequences: its evidence against a Gaussian's, samples against the prior's density, masks, causality."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import quick_jit

from genjax import distributions, nets
from genjax.models import SequenceVAE
from genjax.types import Net

T, Z, KEYS = 6, 2, 5


def small(layers=2, dropout=0.0, remembers=False):
    likelihood = distributions.chords(4)
    decoder = nets.each_step(Z, likelihood.n_out(KEYS), (8,), dropout)
    if remembers:
        decoder, chain = nets.remembering(Z, KEYS, T, 8, 1, hidden=4)
        likelihood = distributions.autoregressive(chain, likelihood)
    return SequenceVAE(
        nets.centred_convs(KEYS, 2 * Z, 8, 2, dropout),
        nets.causal_convs(Z, 2 * Z, 8, layers, dropout),
        decoder,
        Z, T, nets.memory(layers), likelihood, KEYS,
    )  # fmt: skip


def made(vae, seed=0):
    """A model whose prior depends on what was: its last layer begins near 0."""
    params, state = quick_jit(vae.init)(jax.random.key(seed))
    params["vae"]["transition"]["out"]["kernel"] *= 8.0
    params["vae"]["start"] = jnp.array([0.7, -0.3])
    return params, state


def parts(vae, params, state, x, **more):
    """log p(x | z), and the rate of each step."""

    def run(x):
        out = vae.forward(params, state, x, key=jax.random.key(1), **more)
        return distributions.log_prob(out.p, x, more.get("event_mask")), out.rate

    return quick_jit(run)(x)


def linear(gain, bias=0.0, logvar=0.0):
    """A step's mean as a multiple of what stands there, and one variance."""

    def apply(params, state, x, train=False, key=None, y=None, event_mask=None):
        return jnp.concatenate([gain * x + bias, jnp.full_like(x, logvar)], -1), state

    return Net(lambda key: ({}, {}), apply)


def test_the_bound_is_the_evidence_where_the_posterior_is_exact():
    """One step, z ~ N(0, 1), x | z ~ N(z, 1): q = N(x / 2, 1 / 2), and the mean bound is log N(x; 0, 2)."""
    exact = linear(0.5, logvar=np.log(0.5) + 2.0)  # the model adds -2
    decoder = Net(lambda key: ({}, {}), lambda params, state, z, train=False, key=None, y=None: (z, state))
    vae = SequenceVAE(exact, linear(0.0), decoder, 1, 1, 1, distributions.gaussian(1.0), 1)
    params, state = quick_jit(vae.init)(jax.random.key(0))
    x = jnp.full((20_000, 1, 1), 1.3)
    distortion, rate = parts(vae, params, state, x)
    bound = (distortion - rate.sum(1)).mean()
    expected = -0.5 * (np.log(2 * np.pi * 2) + 1.3**2 / 2)
    assert float(bound) == pytest.approx(expected, abs=0.02)


def test_weights_of_samples_of_a_markov_chain_give_the_evidence_of_a_kalman_filter():
    """z_t = a z_(t-1) + N(0, s2), x_t = z_t + N(0, 1): importance samples against the Gaussian's own density."""
    from genjax.metrics.likelihood import iw_log_likelihood

    a, s2 = 0.8, 0.5
    decoder = Net(lambda key: ({}, {}), lambda params, state, z, train=False, key=None, y=None: (z, state))
    encoder = linear(0.4, logvar=np.log(0.4) + 2.0)
    vae = SequenceVAE(encoder, linear(a, logvar=np.log(s2)), decoder, 1, 3, 1, distributions.gaussian(1.0), 1)
    params, state = quick_jit(vae.init)(jax.random.key(0))
    x = np.array([[0.5, -0.2, 1.0], [1.0, 2.0, 0.0]], np.float32)
    mask = np.array([[True] * 3, [True, True, False]])
    found = iw_log_likelihood(
        vae, params, state, jnp.asarray(x)[:, :, None], jax.random.key(0), 4000, event_mask=jnp.asarray(mask)
    )
    for i, n in enumerate((3, 2)):
        lags = np.array([[a ** abs(p - q) for q in range(n)] for p in range(n)])
        var = np.array([s2 * sum(a ** (2 * k) for k in range(t + 1)) for t in range(n)])
        cov = np.array([[lags[p, q] * var[min(p, q)] for q in range(n)] for p in range(n)]) + np.eye(n)
        _, logdet = np.linalg.slogdet(cov)
        expected = -0.5 * (n * np.log(2 * np.pi) + logdet + x[i, :n] @ np.linalg.solve(cov, x[i, :n]))
        assert float(found.log_likelihood[i]) == pytest.approx(expected, abs=0.03)


def test_samples_follow_the_priors_own_density():
    """Latents made step by step are those whose noise the density finds again: (z - mu(z_<t)) / sigma is the noise."""
    vae = small()
    params, state = made(vae)
    noise = vae.noise(jax.random.key(1), 3)
    z = quick_jit(vae.latents)(params, state, noise)
    p = quick_jit(vae.transition_of)(params["vae"], state["vae"], z.reshape(3, T, Z))
    np.testing.assert_allclose((z.reshape(3, T, Z) - p.mean) / p.scale, noise.reshape(3, T, Z), atol=2e-4)
    assert float(jnp.abs(p.mean[:, 1:] - p.mean[:, :1]).max()) > 1e-3  # it does depend on what was


def test_the_prior_sees_no_future():
    vae = small()
    params, state = made(vae)
    z = np.random.default_rng(0).normal(size=(1, T, Z)).astype(np.float32)
    jacobian = quick_jit(jax.jacobian(lambda z: vae.transition_of(params["vae"], state["vae"], z).mean[0]))
    jac = np.asarray(jacobian(z))[:, :, 0]
    for t in range(T):
        assert (jac[t, :, t:] == 0).all()
    assert np.abs(jac[3, :, 2]).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("remembers", [False, True])
def test_what_does_not_count_changes_nothing(remembers):
    vae = small(remembers=remembers)
    params, state = made(vae)
    mask = jnp.arange(T)[None] < jnp.array([[4], [6]])
    x = jnp.asarray(np.random.default_rng(0).integers(0, 2, (2, T, KEYS)), jnp.float32)
    other = jnp.where(mask[:, :, None], x, 1.0 - x)
    (log_p, rate), (log_p2, rate2) = (parts(vae, params, state, v, event_mask=mask) for v in (x, other))
    np.testing.assert_allclose(rate, rate2, rtol=1e-6)
    assert (np.asarray(rate)[0, 4:] == 0).all()
    np.testing.assert_allclose(log_p, log_p2, rtol=1e-5)


def test_training_draws_and_evaluation_does_not():
    vae = small(dropout=0.5)
    params, state = made(vae)
    x = jnp.ones((2, T, KEYS))
    training = quick_jit(lambda key: vae.encode(params["vae"], state["vae"], x, train=True, key=key)[0].mu)
    a, b = (np.asarray(training(jax.random.key(k))) for k in (0, 1))
    c, d = (np.asarray(quick_jit(lambda: vae.encode(params["vae"], state["vae"], x)[0].mu)()) for _ in range(2))
    assert np.abs(a - b).max() > 0
    assert (c == d).all()


@pytest.mark.parametrize("remembers", [False, True])
def test_samples_are_binary_rolls_and_lower_for_every_platform(remembers):
    vae = small(remembers=remembers)
    params, state = made(vae)
    x = quick_jit(lambda key: vae.draw(params, state, vae.noise(key, 4), jax.random.fold_in(key, 1)))(jax.random.key(0))
    assert x.shape == (4, T, KEYS)
    assert set(np.unique(x)) <= {0.0, 1.0}
    jax.export.export(jax.jit(lambda key: vae.sample(params, state, key, 4)), platforms=("cpu", "cuda", "tpu"))(
        jax.random.key(0)
    )
