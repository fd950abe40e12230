"""Spectral norm as a transform, against NumPy's singular values and the derivative of W / sigma(W) in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from quick import few, normal, quick_jit

from genjax import nets
from genjax.nets.spectral import largest_singular_value

SHAPE = (8, 8, 2)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


@pytest.mark.parametrize("shape", few([[7, 5], [3, 3, 4, 6], [9, 1], [1, 4]], [3, 3, 4, 6], [1, 4]))
def test_many_iterations_find_the_singular_value(shape):
    w = normal(0, shape)
    u = normal(1, shape[-1:])
    sigma, u = quick_jit(lambda w, u: largest_singular_value(w, u, 60))(w, u)
    matrix = np.asarray(w, np.float64).reshape(-1, shape[-1])
    np.testing.assert_allclose(sigma, np.linalg.svd(matrix, compute_uv=False)[0], rtol=1e-5)
    np.testing.assert_allclose(largest_singular_value(w, u, 0)[0], sigma, rtol=1e-5)


def test_the_estimate_never_exceeds_the_singular_value_and_grows():
    w = normal(0, (12, 9))
    u = normal(1, (9,))
    u = u / jnp.linalg.norm(u)
    found = [float(largest_singular_value(w, u, n)[0]) for n in (0, 1, 2, 5, 20)]
    assert found == sorted(found)
    assert found[-1] <= np.linalg.svd(np.asarray(w), compute_uv=False)[0] * (1 + 1e-6)


def test_gradient_is_that_of_the_quotient_with_constant_vectors():
    """d/dW of <G, W / sigma> with sigma = v'Wu is (G - <G, W/sigma> v u') / sigma (Miyato et al. 2018, eq. 12)."""
    net = nets.spectral_norm(nets.mlp_discriminator((2, 3, 1), ()))
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = normal(1, (4, 2, 3, 1))
    got = jax.grad(lambda p: net.apply(p, state, x, train=True)[0].sum())(params)["logit"]["kernel"]
    w, u = np.asarray(params["logit"]["kernel"], np.float64), np.asarray(state["u"]["logit/kernel"], np.float64)
    v = w @ u / np.linalg.norm(w @ u)
    u = v @ w / np.linalg.norm(v @ w)
    v = w @ u / np.linalg.norm(w @ u)
    sigma = v @ w @ u
    g = np.asarray(x, np.float64).reshape(4, -1).sum(0)[:, None]
    np.testing.assert_allclose(got, (g - (g * w).sum() / sigma * np.outer(v, u)) / sigma, rtol=1e-4, atol=1e-5)


def test_layers_become_one_lipschitz():
    """A linear net of one layer, iterated long, stretches nothing."""
    net = nets.spectral_norm(nets.mlp_discriminator((4, 4, 1), ()), n_iterations=50)
    params, state = quick_jit(net.init)(jax.random.key(0))
    params = jax.tree.map(lambda p: 7.0 * p, params)
    slope = jax.grad(lambda x: net.apply(params, state, x, train=True)[0].sum())(jnp.ones((1, 4, 4, 1)))
    np.testing.assert_allclose(jnp.linalg.norm(slope), 1.0, rtol=1e-5)


def test_every_kernel_and_label_table_is_normalised_and_nothing_else():
    net = nets.resnet_discriminator(SHAPE, 4, n_classes=3)
    params, state = jax.eval_shape(net.init, jax.random.key(0))
    paths = {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    kernels = {p: s[-1:] for p, s in paths.items() if p.split("/")[-1] in ("kernel", "table")}
    assert {p: u.shape for p, u in state["u"].items()} == kernels
    assert "label/table" in kernels
    plain, _ = jax.eval_shape(nets.resnet_discriminator(SHAPE, 4, n_classes=3, spectral=False).init, jax.random.key(0))
    assert plain == params


def test_u_moves_in_training_alone_and_scale_does_not_matter():
    net = nets.spectral_norm(nets.dcgan_discriminator(SHAPE, 4))
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = normal(1, (3, *SHAPE))
    train, test = (quick_jit(lambda p, s, t=t: net.apply(p, s, x, train=t)) for t in (True, False))
    _, after = train(params, state)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    moved = [p for p, u in after["u"].items() if not np.array_equal(u, state["u"][p])]
    assert set(moved) >= {p for p, u in state["u"].items() if u.size > 1}
    jax.tree.map(np.testing.assert_array_equal, test(params, after)[1], after)
    larger = jax.tree_util.tree_map_with_path(lambda p, v: 3.0 * v if "kernel" in str(p[-1]) else v, params)
    np.testing.assert_allclose(test(larger, after)[0], test(params, after)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_coupling_is_the_nets_own(norm):
    inner = nets.dcgan_discriminator((16, 16, 1), 4, norm)
    net = nets.spectral_norm(inner)
    assert net.couples_examples == inner.couples_examples
    state = jax.eval_shape(net.init, jax.random.key(0))[1]
    assert state["net"] == jax.eval_shape(inner.init, jax.random.key(0))[1]


def test_training_lowers_for_every_platform():
    net = nets.resnet_discriminator(SHAPE, 4)
    params, state = jax.eval_shape(net.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((3, *SHAPE), jnp.float32)

    def gradient(p, s, x):
        return jax.grad(lambda p: net.apply(p, s, x, train=True)[0].sum())(p)

    platforms = ("cpu", "cuda", "tpu")
    assert export.export(jax.jit(gradient), platforms=platforms)(params, state, x).platforms == platforms


def test_no_iterations_are_refused():
    with pytest.raises(ValueError, match="n_iterations=0"):
        nets.spectral_norm(nets.mlp_discriminator(SHAPE), n_iterations=0)
