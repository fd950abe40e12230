"""At zero input, zero parameters and zero gradients every value and every derivative is finite."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import few, normal, quick_jit
from train_toys import Linear

from genjax import losses, nets
from genjax.nets.spectral import largest_singular_value
from genjax.train.step import Move, make_step
from genjax.types import Aux, Batch, Game

SHAPE = (8, 8, 1)
NETS = {
    "spectral": lambda: nets.spectral_norm(nets.mlp_discriminator(SHAPE, (4,))),
    "spectral_resnet": lambda: nets.resnet_discriminator(SHAPE, 4),
    "batch_norm": lambda: nets.dcgan_discriminator((16, 16, 1), 4, "batch"),
    "group_norm": lambda: nets.conv_encoder(SHAPE, 2, 4),
    "classifier": lambda: nets.classifier(SHAPE, 3, 4),
}


def all_finite(tree):
    return all(np.isfinite(np.asarray(v)).all() for v in jax.tree.leaves(tree))


@pytest.mark.parametrize("zero", few(["input", "both"], "both"))
@pytest.mark.parametrize("name", few(NETS, "batch_norm"))
def test_nets(name, zero):
    net = NETS[name]()
    params, state = quick_jit(net.init)(jax.random.key(0))
    if zero == "both":
        params = jax.tree.map(jnp.zeros_like, params)
    x = jnp.zeros((2, *((16, 16, 1) if name == "batch_norm" else SHAPE)))

    def square(params, x):
        out, after = net.apply(params, state, x, train=True)
        return sum(jnp.square(v).sum() + v.sum() for v in jax.tree.leaves(out)), after

    assert all_finite(quick_jit(jax.value_and_grad(square, (0, 1), has_aux=True))(params, x))


def test_a_kernel_that_begins_at_zero_is_normalised_once_it_is_not():
    """Its vector u is not lost while there is nothing to iterate on."""
    net = nets.spectral_norm(nets.mlp_discriminator((2, 2, 1), ()), n_iterations=3)
    params, state = quick_jit(net.init)(jax.random.key(0))
    zero = jax.tree.map(jnp.zeros_like, params)
    out, state_after = net.apply(zero, state, jnp.ones((1, 2, 2, 1)), train=True)
    assert np.asarray(out).tolist() == [0.0]
    np.testing.assert_array_equal(state_after["u"]["logit/kernel"], state["u"]["logit/kernel"])
    sigma = largest_singular_value(params["logit"]["kernel"], state_after["u"]["logit/kernel"], 30)[0]
    want = np.linalg.svd(np.asarray(params["logit"]["kernel"]), compute_uv=False)[0]
    np.testing.assert_allclose(sigma, want, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_kernels_of_any_ordinary_size_are_divided_as_ever(scale):
    w, u = scale * normal(0, (7, 5)), normal(1, (5,))
    sigma, after = largest_singular_value(w, u, 2)
    v = w @ u / (jnp.linalg.norm(w @ u) + 1e-12)
    for _ in range(2):
        u = v @ w / (jnp.linalg.norm(v @ w) + 1e-12)
        v = w @ u / (jnp.linalg.norm(w @ u) + 1e-12)
    np.testing.assert_array_equal(sigma, v @ w @ u)
    np.testing.assert_array_equal(after, u)


PENALTIES = {
    "r1": losses.r1(1.0), "r2": losses.r2(1.0), "gp": losses.gradient_penalty(10.0),
    "zero_centred": losses.gradient_penalty(10.0, 0.0),
}  # fmt: skip
PAIRS = {name: getattr(losses, name) for name in
         ("hinge", "least_squares", "minimax", "nonsaturating", "relativistic", "wasserstein")}  # fmt: skip


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_of_a_critic_that_is_zero(name):
    x = jnp.zeros((3, 2, 2, 1))

    def loss(w):
        return PENALTIES[name](Game(lambda x: (x * w).sum((1, 2, 3)), x, x, jax.random.key(0))).sum()

    assert all_finite(jax.value_and_grad(loss)(jnp.zeros((1, 1, 1, 1))))


@pytest.mark.parametrize("logit", [0.0, 300.0, -300.0])
@pytest.mark.parametrize("name", PAIRS)
def test_adversarial_losses(name, logit):
    at = jnp.full((3,), logit)
    for side in (PAIRS[name].d, PAIRS[name].g):
        assert all_finite(jax.value_and_grad(lambda r, f, side=side: side(r, f).sum(), (0, 1))(at, at))


@pytest.mark.parametrize("tx", [optax.adam(0.1), optax.adamw(0.1), optax.sgd(0.1, 0.9), optax.rmsprop(0.1)])
def test_a_step_whose_gradient_is_zero(tx):
    def flat(params, batch, ctx):
        return 0.0 * sum(jnp.square(v).sum() for v in jax.tree.leaves(params)), Aux({})

    step = make_step(Move("p", flat, tx, clip=1.0, norms=True, skip_nonfinite=True))
    state, row = quick_jit(step)(step.init(Linear, jax.random.key(0)), Batch(jnp.zeros((1, 4, 3))), jax.random.key(0))
    assert all_finite((state, row))
    assert float(row["skipped"]) == 0.0
