"""How a net computes: in bfloat16 where that is asked for and nowhere else, or with less memory the same values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr
from quick import few, normal, quick_jit

from genjax import nets
from genjax.losses import penalty

SHAPE, Z, N = (16, 16, 1), 6, 4
NETS = {
    "mlp_encoder": lambda k: nets.mlp_encoder(SHAPE, 4, (16,), k),
    "mlp_decoder": lambda k: nets.mlp_decoder(Z, SHAPE, (16,), k),
    "mlp_generator": lambda k: nets.mlp_generator(Z, SHAPE, (16,), k),
    "mlp_discriminator": lambda k: nets.mlp_discriminator(SHAPE, (16, 8), k),
    "conv_encoder": lambda k: nets.conv_encoder(SHAPE, 4, 8, n_classes=k),
    "conv_decoder": lambda k: nets.conv_decoder(Z, SHAPE, 8, n_classes=k),
    "dcgan_generator": lambda k: nets.dcgan_generator(Z, SHAPE, 8, "batch", k),
    "dcgan_discriminator": lambda k: nets.dcgan_discriminator(SHAPE, 8, "batch", k),
    "dcgan_discriminator_none": lambda k: nets.dcgan_discriminator(SHAPE, 8, "none", k),
    "plain_encoder": lambda k: nets.plain_encoder(SHAPE, 4, 8, k),
    "plain_decoder": lambda k: nets.plain_decoder(Z, SHAPE, 8, k),
    "upsampling_generator": lambda k: nets.upsampling_generator(Z, SHAPE, 8, k),
    "dropout_discriminator": lambda k: nets.dropout_discriminator(SHAPE, 8, k),
    "resnet_generator": lambda k: nets.resnet_generator(Z, SHAPE, 8, k),
    "resnet_discriminator": lambda k: nets.resnet_discriminator(SHAPE, 8, k, spectral=False),
}


def example(name, n_classes=3):
    """(net, params, state, x, y)"""
    net = NETS[name](n_classes)
    params, state = quick_jit(net.init)(jax.random.key(0))
    shape = (N, Z) if name.endswith(("decoder", "generator")) else (N, *SHAPE)
    x = normal(1, shape)
    return net, params, state, x, jnp.arange(N) % n_classes if n_classes else None


def equations(jaxpr):
    """Every equation of a program, those of its inner programs too; of a choice by platform both sides."""
    for eqn in jaxpr.eqns:
        yield eqn
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple | list) else [value]:
                if isinstance(inner, ClosedJaxpr):
                    yield from equations(inner.jaxpr)
                elif isinstance(inner, Jaxpr):
                    yield from equations(inner)


def dtypes(jaxpr):
    return {str(v.aval.dtype) for e in equations(jaxpr) for v in (*e.invars, *e.outvars) if hasattr(v.aval, "dtype")}


def loss_of(net, state, y):
    def loss(params, x):
        out, after = net.apply(params, state, x, train=True, key=jax.random.key(2), y=y)
        # linear in the output: a small one, which is a sum that cancels, does not set the size of the gradient
        return (out * jnp.cos(jnp.arange(out.size, dtype=out.dtype)).reshape(out.shape)).sum(), (out, after)

    return jax.value_and_grad(loss, has_aux=True, argnums=(0, 1))


@pytest.mark.parametrize("name", few(NETS, *list(NETS)[::8]))
def test_products_are_in_bfloat16_and_everything_that_lasts_in_float32(name):
    """Forward and backward: all dense and convolutional products but a discriminator's logit; results float32."""
    net, params, state, x, y = example(name)
    half = nets.compute(net, "bf16")
    jaxpr, out = jax.make_jaxpr(loss_of(half, state, y), return_shape=True)(params, x)
    assert {str(v.dtype) for v in jax.tree.leaves(out)} == {"float32"}
    products = [e for e in equations(jaxpr.jaxpr) if e.primitive.name in ("dot_general", "conv_general_dilated")]
    kinds = [tuple(str(v.aval.dtype) for v in e.invars) for e in products]
    wide = [e for e, k in zip(products, kinds, strict=True) if k != ("bfloat16", "bfloat16")]
    if "discriminator" in name:  # the logit: forward, and the gradients of its kernel and of its input
        assert len(wide) == 3
        assert all(1 in {d for v in (*e.invars, *e.outvars) for d in v.aval.shape} for e in wide)
        assert all(str(v.aval.dtype) == "float32" for e in wide for v in e.invars)
    else:
        assert wide == []
    assert len(products) > len(wide)
    sums = [e for e in equations(jaxpr.jaxpr) if e.primitive.name in ("reduce_sum", "cumsum", "scatter-add")]
    assert sums
    # Biases, statistics, labels; what is summed in bfloat16 is the four copies of an upsampled pixel's gradient.
    assert all(e.params["axes"] == (2, 4) for e in sums if str(e.outvars[0].aval.dtype) == "bfloat16")


@pytest.mark.parametrize("name", few(NETS, *list(NETS)[::8]))
def test_nothing_is_in_bfloat16_unless_asked_for(name):
    net, params, state, x, y = example(name)
    assert nets.compute(net) is net
    assert "bfloat16" not in dtypes(jax.make_jaxpr(loss_of(net, state, y))(params, x).jaxpr)


@pytest.mark.parametrize("name", few(["conv_encoder", "conv_decoder"]))
def test_bfloat16_computes_the_same_to_its_precision(name):
    """Outputs and the whole gradient to a few units of 2**-8 in relative L2.

    For nets without kinks: where rounding moves a value across that of a ReLU, a gradient changes altogether.
    """
    net, params, state, x, y = example(name)
    found = [quick_jit(loss_of(n, state, y))(params, x) for n in (net, nets.compute(net, "bf16"))]
    vectors = [np.concatenate([np.ravel(v).astype(np.float64) for v in jax.tree.leaves(f)]) for f in found]
    assert 1e-5 < np.linalg.norm(vectors[0] - vectors[1]) / np.linalg.norm(vectors[0]) < 4 * 2**-8


def test_gradient_of_a_bias_is_summed_in_float32():
    """The sum of 4096 ones; in bfloat16 it would stand still at 256."""
    net = nets.compute(nets.mlp_encoder((1, 1, 1), 1, (), 0), "bf16")
    params, state = quick_jit(net.init)(jax.random.key(0))
    grads = quick_jit(jax.grad(lambda p: net.apply(p, state, jnp.ones((4096, 1, 1, 1)))[0].sum()))(params)
    assert float(grads["layers"]["0"]["bias"][0]) == 4096.0


@pytest.mark.slow
def test_gradient_penalty_through_bfloat16_is_float32():
    net, params, state, x, _ = example("dcgan_discriminator_none", 0)

    def value(n):
        return quick_jit(
            jax.value_and_grad(lambda p: penalty.squared_grad_norm(lambda x: n.apply(p, state, x)[0], x).mean())
        )(params)

    (a, ga), (b, gb) = value(net), value(nets.compute(net, "bf16"))
    assert {str(v.dtype) for v in jax.tree.leaves((b, gb))} == {"float32"}
    assert abs(float(a - b)) < 0.02 * float(a)
    assert jax.tree.structure(ga) == jax.tree.structure(gb)


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match=r"precision='fp8' must be one of f32, bf16"):
        nets.compute(NETS["mlp_encoder"](0), "fp8")


def deep(n_blocks=2):
    net = nets.conv_encoder((16, 16, 1), 4, 16, n_blocks)
    params, state = quick_jit(net.init)(jax.random.key(0))
    params = jax.device_get(params)
    params = jax.tree.map(lambda p: jnp.asarray(p + np.cos(np.arange(p.size)).reshape(p.shape) / 50, p.dtype), params)
    return net, params, state, normal(1, (64, 16, 16, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "second", [pytest.param(False, id="first order"), pytest.param(True, id="gradient penalty", marks=pytest.mark.slow)]
)
def test_remat_gives_the_same_in_less_memory(second):
    """Values and gradients to 1e-6; temporary memory of the compiled program below half."""
    net, params, state, x = deep()

    def compiled(n):
        def loss(params, x):
            def score(x):
                return n.apply(params, state, x, train=True)[0].sum(1)

            return penalty.squared_grad_norm(score, x).mean() if second else jnp.square(score(x)).mean()

        return quick_jit(jax.value_and_grad(loss)).lower(params, x).compile()

    programs = [compiled(n) for n in (net, nets.compute(net, remat=True))]
    (a, ga), (b, gb) = (p(params, x) for p in programs)
    assert abs(float(a - b)) <= 1e-6 * abs(float(a))
    va, vb = (np.concatenate([np.ravel(v) for v in jax.tree.leaves(g)]) for g in (ga, gb))
    assert np.linalg.norm(va - vb) <= 1e-6 * np.linalg.norm(va)
    kept, recomputed = (p.memory_analysis().temp_size_in_bytes for p in programs)
    assert recomputed < 0.5 * kept


@pytest.mark.slow
def test_recomputed_segments_keep_net_state_and_any_order_of_use():
    """A segment that assigns a running statistic, under vmap, in a loop, with bfloat16."""
    from flax import nnx

    from genjax.nets.blocks import BatchNorm, Dense
    from genjax.nets.functional import functional
    from genjax.nets.recompute import segment

    class Normed(nnx.Module):
        def __init__(self, rngs):
            self.dense, self.norm, self.out = Dense(3, 4, rngs=rngs), BatchNorm(4, rngs=rngs), Dense(4, 1, rngs=rngs)

        def __call__(self, x, *, train, key, y):
            return self.out(segment(Normed._inside, self, x))

        def _inside(self, x):
            return jnp.tanh(self.norm(self.dense(x), train=True))

    net = functional(Normed, couples_examples=True)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = normal(1, (5, 8, 3))

    def run(n):
        def loss(params, x):
            out, after = n.apply(params, state, x, train=True)
            return jnp.square(out).mean(), after

        one = jax.value_and_grad(loss, has_aux=True)
        mapped = jax.jit(jax.vmap(one, (None, 0)))(params, x)
        looped = jax.jit(lambda p, x: jax.lax.map(lambda v: one(p, v), x))(params, x)
        return mapped, looped

    for precision in ("f32", "bf16"):
        plain, again = run(nets.compute(net, precision)), run(nets.compute(net, precision, remat=True))
        assert jax.tree.structure(plain) == jax.tree.structure(again)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), plain, again)
    assert not np.allclose(plain[0][0][1]["norm"]["mean"], 0)


@pytest.mark.slow
def test_on_accelerators_a_segment_waits_behind_a_barrier():
    """Lowered for TPU and GPU: no branch (a GPU would wait for the host), a barrier for each block."""
    net, params, state, x = deep(1)
    half = nets.compute(net, remat=True)

    def grads(params, x):
        return jax.grad(lambda p: jnp.square(half.apply(p, state, x)[0]).mean())(params)

    def text_for(platform):
        return jax.export.export(jax.jit(grads), platforms=[platform])(params, x).mlir_module()

    cpu = text_for("cpu")
    for platform in ("tpu", "cuda"):
        text = text_for(platform)
        assert text.count("stablehlo.optimization_barrier") == 2
        assert cpu.count("stablehlo.case") - text.count("stablehlo.case") == 2  # the others choose by platform
        assert "0x7FC00000" not in text  # what the branch of NaN gives
    assert "0x7FC00000" in cpu
