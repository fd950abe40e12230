import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from genjax import losses
from genjax.distributions import Normal


def linear_gaussian_elbo(mu_q, var_q, x=1.3, w=0.8, s=0.5, b=0.2):
    """ELBO of z ~ N(0, 1), x|z ~ N(w z + b, s^2) at q = N(mu_q, var_q); D by Gauss-Hermite quadrature (exact here)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    z = mu_q + np.sqrt(var_q) * nodes
    p = Normal(jnp.array(w * z + b, jnp.float32)[:, None], jnp.full((1, 1), 2 * np.log(s)))
    log_p = np.asarray(p.log_prob(jnp.full((20, 1), x)), np.float64)
    distortion = -(weights * log_p).sum() / weights.sum()
    rate = losses.kl_std_normal(Normal(jnp.full((1, 1), mu_q), jnp.full((1, 1), np.log(var_q))))
    return float(losses.elbo(jnp.array([distortion], jnp.float32), rate)[0]), scipy.stats.norm.logpdf(
        x, b, np.sqrt(w**2 + s**2)
    )


def test_elbo_is_the_evidence_at_the_true_posterior():
    x, w, s, b = 1.3, 0.8, 0.5, 0.2
    var = 1 / (1 + w**2 / s**2)
    bound, evidence = linear_gaussian_elbo(var * w * (x - b) / s**2, var)
    assert bound == pytest.approx(evidence, abs=2e-6)


@pytest.mark.parametrize(("mu_q", "var_q"), [(0.0, 1.0), (1.0, 0.3), (-1.0, 0.1), (0.9, 2.0)])
def test_elbo_is_below_the_evidence_elsewhere(mu_q, var_q):
    bound, evidence = linear_gaussian_elbo(mu_q, var_q)
    assert bound < evidence - 1e-3


def test_elbo_in_half_precision_is_float32():
    out = losses.elbo(jnp.ones(3, jnp.bfloat16), jnp.full(3, 0.001, jnp.bfloat16))
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, -1.001, rtol=1e-4)


KL = jnp.array([[0.0, 3.0, 0.9], [0.2, 5.0, 1.5]])  # group means 0.1, 4.0, 1.2


def test_free_bits_take_the_maximum_after_the_batch_mean():
    # The maximum per example and then the mean would give 0.5 + 4 + 1.2 too, but 1.0 -> 1.0 + 4.0 + 1.25.
    assert float(losses.free_bits(KL, 1.0)) == pytest.approx(1.0 + 4.0 + 1.2)


def test_zero_free_bits_are_the_rate():
    assert float(losses.free_bits(KL, 0.0)) == pytest.approx(float(KL.sum(1).mean()))


def test_groups_below_lambda_have_no_gradient():
    grad = jax.grad(lambda kl: losses.free_bits(kl, 1.0))(KL)
    np.testing.assert_allclose(grad, [[0.0, 0.5, 0.5]] * 2)


def test_masked_examples_do_not_enter_the_batch_mean():
    padded = jnp.concatenate([KL, jnp.full((1, 3), 77.0)])
    mask = jnp.array([True, True, False])
    assert float(losses.free_bits(padded, 1.0, mask)) == pytest.approx(float(losses.free_bits(KL, 1.0)))
    assert float(losses.free_bits(padded, 1.0, jnp.zeros(3))) == 3.0


def test_lambda_may_be_traced():
    lams = jnp.array([0.0, 1.0, 2.0])
    swept = jax.jit(jax.vmap(lambda lam: losses.free_bits(KL, lam)))(lams)
    np.testing.assert_allclose(swept, [float(losses.free_bits(KL, lam)) for lam in (0, 1, 2)], rtol=1e-6)


def test_free_bits_in_half_precision_are_float32():
    assert losses.free_bits(KL.astype(jnp.bfloat16), 1).dtype == jnp.float32
