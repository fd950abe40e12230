"""Layers against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from genjax import nets
from genjax.nets import blocks


def rngs() -> nnx.Rngs:
    return nnx.Rngs(jax.random.key(0))


def test_batch_norm_in_training_is_the_closed_form():
    bn = blocks.BatchNorm(3, rngs=rngs())
    bn.scale[...], bn.bias[...] = jnp.array([1.0, 2.0, 0.5]), jnp.array([0.0, -1.0, 3.0])
    x = 5.0 + 2.0 * np.random.default_rng(0).standard_normal((4, 5, 6, 3)).astype(np.float32)
    y = bn(jnp.asarray(x), train=True)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    want = (x - mean) / np.sqrt(var + 1e-5) * np.array([1.0, 2.0, 0.5]) + np.array([0.0, -1.0, 3.0])
    np.testing.assert_allclose(y, want, atol=2e-5)
    np.testing.assert_allclose(bn.mean[...], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(bn.var[...], 0.9 + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-5)


def test_batch_norm_in_evaluation_uses_running_statistics_and_keeps_them():
    bn = blocks.BatchNorm(2, rngs=rngs())
    bn.mean[...], bn.var[...] = jnp.array([1.0, -1.0]), jnp.array([4.0, 9.0])
    x = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32))
    y = bn(x, train=False)
    np.testing.assert_allclose(y, (x - bn.mean[...][None]) / jnp.sqrt(bn.var[...] + 1e-5)[None], rtol=1e-5)
    assert bn.mean[...].tolist() == [1.0, -1.0]
    assert bn.var[...].tolist() == [4.0, 9.0]


def test_running_statistics_converge_to_the_population():
    """With one batch again and again, the running statistics tend to its mean and unbiased variance."""
    bn = blocks.BatchNorm(1, momentum=0.5, rngs=rngs())
    x = jnp.array([[1.0], [2.0], [6.0]])
    for _ in range(30):
        bn(x, train=True)
    assert float(bn.mean[0]) == pytest.approx(3.0, rel=1e-6)
    assert float(bn.var[0]) == pytest.approx(7.0, rel=1e-6)


def test_batch_variance_is_two_pass():
    """A mean of 10^4 with deviations of 0.1 loses every digit of E[x^2] - E[x]^2 in float32."""
    x = 1e4 + 0.1 * np.random.default_rng(0).standard_normal((256, 1))
    x = x.astype(np.float32)
    y = blocks.BatchNorm(1, eps=0.0, rngs=rngs())(jnp.asarray(x), train=True)
    assert float(y.std()) == pytest.approx(1.0, rel=1e-3)


def plainly_normal(x, scale, bias, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes, keepdims=True)
    var = ((x - mean) ** 2).mean(axes, keepdims=True)
    wide = (1,) * (x.ndim - 1) + (-1,)
    return (x - mean) / jnp.sqrt(var + eps) * scale.reshape(wide) + bias.reshape(wide)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 2, 3)])
def test_batch_norm_s_gradients_of_first_and_second_order_are_autodiff_s(shape):
    """In float64, against autodiff of the formula: only rounding is left."""
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 5)
        x, w = (jax.random.normal(k, shape, jnp.float64) for k in keys[:2])
        scale, bias, v = (jax.random.normal(k, (3,), jnp.float64) for k in keys[2:])

        def orders(f):
            def value(x, scale, bias):
                return (f(x, scale, bias) ** 3 * w).sum()

            def slope(x, scale, bias):
                d_x, d_scale, d_bias = jax.grad(value, (0, 1, 2))(x, scale, bias)
                return (d_x**2 * w).sum() + (d_scale * v).sum() + (d_bias**2 * v).sum()

            at = (x, scale, bias)
            return value(*at), jax.grad(value, (0, 1, 2))(*at), jax.grad(slope, (0, 1, 2))(*at)

        ours = orders(lambda *a: blocks.batch_normal(1e-5, *a)[0])
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(orders(plainly_normal)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_batch_norm_over_devices_is_the_whole_batch_s():
    """Values, statistics and gradients, where devices hold examples of very different means, far from zero."""
    mesh = jax.make_mesh((8,), ("data",))
    x = 1e3 + 30.0 * jnp.repeat(jnp.arange(8.0), 4).reshape(32, 1, 1) + jax.random.normal(jax.random.key(0), (32, 5, 3))
    scale, bias = jnp.array([1.0, 2.0, -1.0]), jnp.array([0.0, 1.0, 2.0])

    def all_of(x, scale, bias):
        def loss(*a):
            y, mean, var = blocks.batch_normal(1e-5, *a)
            return (jnp.sin(y) * jnp.arange(3.0).reshape(1, 1, 3)).mean(), (y, mean, var)

        return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(x, scale, bias)

    def on_mesh(*a):
        with nets.batches_over(mesh):
            return all_of(*a)

    split = jax.device_put(x, jax.NamedSharding(mesh, jax.P("data")))
    program = jax.jit(on_mesh).lower(split, scale, bias).compile()
    assert program.as_text().count(" all-gather(") == 1
    one, many = jax.jit(all_of)(x, scale, bias), program(split, scale, bias)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(many[0][1][2], np.var(np.asarray(x, np.float64), axis=(0, 1)), rtol=1e-5)


def test_batch_norm_of_a_single_value_is_finite():
    bn = blocks.BatchNorm(2, rngs=rngs())
    assert jnp.isfinite(bn(jnp.ones((1, 2)), train=True)).all()
    assert jnp.isfinite(bn.var[...]).all()


def test_group_norm_against_flax_and_ignorant_of_other_examples():
    x = jax.random.normal(jax.random.key(1), (3, 4, 5, 16)) * 3.0 + 1.0
    ours = blocks.GroupNorm(16)
    theirs = nnx.GroupNorm(16, num_groups=ours.groups, epsilon=1e-5, rngs=rngs())
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)
    np.testing.assert_allclose(ours(x)[:1], ours(x[:1]), atol=1e-6)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (7, 1), (8, 2), (12, 3), (16, 4), (32, 8), (256, 8)])
def test_groups_divide_the_channels(channels, groups):
    assert blocks.GroupNorm(channels).groups == groups


def test_half_precision_keeps_its_type_with_float32_statistics():
    x = jnp.full((4, 2, 2, 4), 300.0, jnp.bfloat16)  # 300**2 * 64 is far beyond half precision's digits
    assert blocks.GroupNorm(4)(x).dtype == jnp.bfloat16
    bn = blocks.BatchNorm(4, rngs=rngs())
    assert bn(x, train=True).dtype == jnp.bfloat16
    assert bn.mean[...].dtype == jnp.float32


def test_initialisations_keep_the_variance():
    """LeCun's for linear maps, He's through leaky ReLU, also where a transposed convolution sees few taps."""
    x = jax.random.normal(jax.random.key(1), (16, 8, 8, 64))
    assert float(blocks.Conv(64, 64, 3, rngs=rngs())(x)[:, 1:-1, 1:-1].var()) == pytest.approx(1.0, rel=0.1)
    assert float(blocks.ConvTranspose(64, 64, rngs=rngs())(x)[:, 2:-2, 2:-2].var()) == pytest.approx(1.0, rel=0.1)
    h = blocks.Dense(64, 512, init=blocks.he(0.2), rngs=rngs())(x[:, 0, 0])
    assert float((blocks.leaky(h) ** 2).mean()) == pytest.approx(1.0, rel=0.15)
    assert float(blocks.Dense(100, 400, init=blocks.normal(0.02), rngs=rngs()).kernel[...].std()) == pytest.approx(
        0.02, rel=0.05
    )


def test_residual_block_begins_as_the_identity():
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 8))
    assert (blocks.ResBlock(8, rngs=rngs())(x) == x).all()


def test_layers_without_bias_have_none():
    for layer in (
        blocks.Dense(2, 3, bias=False, rngs=rngs()),
        blocks.Conv(2, 3, bias=False, rngs=rngs()),
        blocks.ConvTranspose(2, 3, bias=False, rngs=rngs()),
    ):
        assert layer.bias is None


def test_transposed_convolution_needs_equal_taps():
    with pytest.raises(ValueError, match="multiple of stride"):
        blocks.ConvTranspose(2, 3, 3, 2, rngs=rngs())


def test_labels_are_demanded():
    with pytest.raises(ValueError, match="n_classes=3"):
        blocks.Embed(3, 2, rngs=rngs())(None)
