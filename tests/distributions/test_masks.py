"""Masks over the first axes of events: a masked likelihood is that of the elements that count, and of nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import few, quick_jit

from genjax import distributions, metrics, models, nets, objectives
from genjax.distributions.numerics import mask_event, sum_event
from genjax.types import Batch, Context, Net

R = np.random.default_rng(0)
T, C = 5, 3
LENGTHS = (5, 2, 1, 4)
MASK = jnp.asarray(np.arange(T) < np.array(LENGTHS)[:, None])


def normals(*shape):
    return jnp.asarray(R.normal(size=shape), jnp.float32)


def levels(*shape):
    return jnp.asarray(R.integers(0, 256, shape) / 127.5 - 1.0, jnp.float32)


DISTRIBUTIONS = {
    "bernoulli": (distributions.Bernoulli, (normals(4, T, C),), jnp.asarray(R.integers(0, 2, (4, T, C)))),
    "categorical": (distributions.Categorical, (normals(4, T, C, 7),), jnp.asarray(R.integers(0, 7, (4, T, C)))),
    "normal": (distributions.Normal, (normals(4, T, C), normals(4, T, C)), normals(4, T, C)),
    "one variance": (distributions.Normal, (normals(4, T, C), normals(1, 1, 1)), normals(4, T, C)),
    "logistic": (distributions.DiscretizedLogistic, (normals(4, T, C), normals(4, T, C)), levels(4, T, C)),
    "mixture": (
        distributions.DiscretizedLogisticMixture,
        (normals(4, T, 2), normals(4, T, C, 2), normals(4, T, C, 2), normals(4, T, 3, 2)),
        levels(4, T, C),
    ),
}


@pytest.mark.parametrize("name", few(DISTRIBUTIONS, "bernoulli", "categorical", "one variance"))
def test_a_masked_likelihood_is_that_of_what_counts(name):
    """Each example against itself, cut to its length; and nothing that is masked matters."""
    kind, fields, x = DISTRIBUTIONS[name]
    got = kind(*fields).log_prob(x, MASK)
    for i, n in enumerate(LENGTHS):
        cut = kind(*(f[i : i + 1, :n] if f.shape[0] > 1 else f for f in fields))
        np.testing.assert_allclose(got[i], cut.log_prob(x[i : i + 1, :n])[0], rtol=2e-5)
    everything = jnp.ones((4, T), bool)
    np.testing.assert_allclose(kind(*fields).log_prob(x, everything), kind(*fields).log_prob(x), rtol=2e-5)
    other = jnp.where(MASK[..., None], x, jnp.zeros((), x.dtype) if name == "categorical" else x[::-1])
    np.testing.assert_array_equal(kind(*fields).log_prob(other, MASK), got)


@pytest.mark.parametrize("name", few(DISTRIBUTIONS, *list(DISTRIBUTIONS)[:5]))
def test_what_is_masked_gets_no_gradient(name):
    kind, fields, x = DISTRIBUTIONS[name]
    grads = quick_jit(jax.grad(lambda fields: kind(*fields).log_prob(x, MASK).sum()))(fields)
    for g in grads:
        if g.shape[0] == 4:
            assert not np.asarray(g)[~np.asarray(MASK)].any()
            assert np.asarray(g)[np.asarray(MASK)].any()


def test_a_mask_may_be_over_the_whole_event_or_over_its_first_axes():
    values = normals(2, 3, 4)
    whole = jnp.asarray(R.integers(0, 2, (2, 3, 4)), bool)
    np.testing.assert_allclose(sum_event(values, whole), (values * whole).sum((1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(mask_event(values, None), values)
    for wrong in (jnp.ones((2, 4)), jnp.ones((2, 3, 4, 1))):
        with pytest.raises(ValueError, match="is not over the first axes of events"):
            sum_event(values, wrong)


def test_a_distribution_that_knows_no_masks_is_not_asked_about_them():
    class Plain:
        def log_prob(self, x):
            return x.sum(1)

    assert distributions.log_prob(Plain(), jnp.ones((2, 3)), None).tolist() == [3.0, 3.0]
    with pytest.raises(TypeError):
        distributions.log_prob(Plain(), jnp.ones((2, 3)), jnp.ones((2, 3), bool))


def model():
    encoder = nets.unmasked(nets.mlp_encoder((T, C), 4, (8,)))
    return models.VAE(encoder, nets.mlp_decoder(2, (T, C), (8,)), 2)


def batch(mask):
    x = jnp.asarray(np.random.default_rng(5).integers(0, 2, (4, T, C)), jnp.float32)
    return Batch(x * MASK[..., None], event_mask=mask)


OBJECTIVES = {
    "vae": objectives.vae,
    "beta_vae": lambda m: objectives.beta_vae(m, 2.0, free_bits=0.1),
    "iwae": lambda m: objectives.iwae(m, 3),
    "dreg": lambda m: objectives.dreg(m, 3),
}


@pytest.mark.parametrize("name", few(OBJECTIVES, "iwae"))
def test_objectives_take_the_distortion_of_what_counts(name):
    """In the mean over the same latents: less what the masked elements cost."""
    m = model()
    params, state = quick_jit(m.init)(jax.random.key(0))
    objective = quick_jit(OBJECTIVES[name](m))
    with jax.debug_key_reuse(False):
        terms = [
            objective(params, batch(mask), Context(state, jax.random.key(1), jnp.int32(0)))[1].metrics
            for mask in (None, MASK, jnp.ones((4, T), bool))
        ]
    whole, masked, all_of_it = (float(t["distortion"]) for t in terms)
    assert masked < whole - 1.0
    assert all_of_it == pytest.approx(whole, rel=1e-5)
    assert float(terms[1]["rate"]) == pytest.approx(float(terms[0]["rate"]), rel=1e-5)


@pytest.mark.slow
def test_importance_sampling_takes_the_likelihood_of_what_counts():
    m = model()
    params, state = quick_jit(m.init)(jax.random.key(0))
    b = batch(MASK)
    with jax.debug_key_reuse(False):
        got = metrics.iw_log_likelihood(m, params, state, b.x, jax.random.key(1), 64, event_mask=MASK)
        whole = metrics.iw_log_likelihood(m, params, state, b.x, jax.random.key(1), 64)
    counts = np.array(LENGTHS) * C
    assert (np.asarray(got.log_likelihood) > np.asarray(whole.log_likelihood))[counts < T * C].all()
    np.testing.assert_allclose(got.log_likelihood[0], whole.log_likelihood[0], rtol=1e-5)
    np.testing.assert_allclose(-np.asarray(got.distortion) / counts, -np.log(2), atol=0.2)
    np.testing.assert_allclose(metrics.bits_per_dim(got.log_likelihood, counts), 1.0, atol=0.3)


def test_a_discriminator_sees_real_and_generated_data_through_the_masks_of_the_batch():
    """One that counts what counts gives both the number of it."""

    def count(params, state, x, *, train=False, key=None, y=None, event_mask=None):
        return params["w"] * event_mask.sum(1), state

    gan = models.GAN(nets.mlp_generator(2, (T, C), (8,)), Net(lambda key: ({"w": jnp.ones(())}, {}), count), 2)
    params, state = quick_jit(gan.init)(jax.random.key(0))
    obj = objectives.gan(gan)
    with jax.debug_key_reuse(False):
        for side in (obj.d, obj.g):
            _, aux = side(params, batch(MASK), Context(state, jax.random.key(1), jnp.int32(0)))
            for name in aux.metrics.keys() & {"real_logit", "fake_logit"}:
                assert float(aux.metrics[name]) == np.mean(LENGTHS)
        scores = obj.score(params, state, batch(MASK), jax.random.key(2))
    assert scores["logit"].tolist() == list(LENGTHS)
