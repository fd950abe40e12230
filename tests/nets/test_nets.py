"""Every net of the room, through one battery."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from quick import few, normal, quick_jit

from genjax import nets
from genjax.nets.image import Pyramid

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (20, 36, 2), (7, 5, 1), (1, 1, 1), (3, 17, 4)]
Z, OUT = 5, 6

INWARD = {  # shape -> net of images
    "mlp_encoder": lambda shape, k: nets.mlp_encoder(shape, OUT, (16,), n_classes=k),
    "conv_encoder": lambda shape, k: nets.conv_encoder(shape, OUT, 8, n_classes=k),
    "mlp_discriminator": lambda shape, k: nets.mlp_discriminator(shape, (16, 8), n_classes=k),
    "dcgan_discriminator": lambda shape, k: nets.dcgan_discriminator(shape, 8, "batch", k),
    "dcgan_discriminator_none": lambda shape, k: nets.dcgan_discriminator(shape, 8, "none", k),
    "plain_encoder": lambda shape, k: nets.plain_encoder(shape, OUT, 8, k),
    "dropout_discriminator": lambda shape, k: nets.dropout_discriminator(shape, 4, k),
    "resnet_discriminator": lambda shape, k: nets.resnet_discriminator(shape, 6, k),
}
OUTWARD = {  # shape -> net of latents
    "mlp_decoder": lambda shape, k: nets.mlp_decoder(Z, shape, (16,), n_classes=k),
    "conv_decoder": lambda shape, k: nets.conv_decoder(Z, shape, 8, n_classes=k),
    "mlp_generator": lambda shape, k: nets.mlp_generator(Z, shape, (16, 8), n_classes=k),
    "dcgan_generator": lambda shape, k: nets.dcgan_generator(Z, shape, 8, "batch", k),
    "dcgan_generator_none": lambda shape, k: nets.dcgan_generator(Z, shape, 8, "none", k),
    "plain_decoder": lambda shape, k: nets.plain_decoder(Z, shape, 8, k),
    "mlp_generator_batch": lambda shape, k: nets.mlp_generator(Z, shape, (16, 8), k, "batch"),
    "upsampling_generator": lambda shape, k: nets.upsampling_generator(Z, shape, 4, k),
    "resnet_generator": lambda shape, k: nets.resnet_generator(Z, shape, 6, k),
}
NETS = INWARD | OUTWARD
BATCH_NORMED = (
    "dcgan_discriminator", "dcgan_generator", "dropout_discriminator", "mlp_generator_batch", "resnet_generator",
    "upsampling_generator",
)  # fmt: skip
STATEFUL = (*BATCH_NORMED, "resnet_discriminator")
N = 3
SOME = (
    "mlp_encoder",
    "conv_encoder",
    "dcgan_discriminator",
    "dropout_discriminator",
    "mlp_generator_batch",
    "plain_decoder",
)
"""In `make test`: with batch norm and without, with dropout, inward and outward."""


@functools.cache
def built(name: str, shape=(16, 18, 1), n_classes: int = 0):
    """(net, params, state, inputs, labels), parameters shifted off their zeros so that nothing is hidden by them."""
    net = NETS[name](shape, n_classes)
    params, state = quick_jit(net.init)(jax.random.key(0))
    params = jax.tree.map(
        lambda p: jnp.asarray(p + np.cos(np.arange(p.size)).reshape(p.shape) / 100, p.dtype), jax.device_get(params)
    )
    x = normal(1, (N, *shape) if name in INWARD else (N, Z))
    return net, params, state, x, jnp.array([0, 2, 1]) if n_classes else None


def trained(net, params, state, x, y=None):
    """(out, state) of a training call, with a key for those who drop."""
    return net.apply(params, state, x, train=True, key=jax.random.key(9), y=y)


def out_shape(name: str, shape):
    if name in OUTWARD:
        return (N, *shape)
    return (N, OUT) if "encoder" in name else (N,)


SHAPED = few([(s, n) for s in SHAPES for n in (0, 3)], (SHAPES[2], 0), (SHAPES[4], 0), (SHAPES[0], 3))


@pytest.mark.parametrize(("shape", "n_classes"), SHAPED)
@pytest.mark.parametrize("name", NETS)
def test_shapes(name, shape, n_classes):
    net = NETS[name](shape, n_classes)
    x = jax.ShapeDtypeStruct((N, *shape) if name in INWARD else (N, Z), jnp.float32)
    y = jax.ShapeDtypeStruct((N,), jnp.int32) if n_classes else None
    params, state = jax.eval_shape(net.init, jax.random.key(0))
    for train in (False, True):
        call = functools.partial(trained, net) if train else lambda p, s, x, y: net.apply(p, s, x, y=y)
        out, after = jax.eval_shape(call, params, state, x, y)
        assert out.shape == out_shape(name, shape)
        assert after == state


@pytest.mark.parametrize("name", few(NETS, "mlp_encoder"))
def test_labels_are_demanded_heeded_or_ignored(name):
    net, params, state, x, y = built(name, n_classes=3)
    with pytest.raises(ValueError, match="n_classes=3"):
        net.apply(params, state, x)
    score = quick_jit(lambda y: net.apply(params, state, x, y=y)[0])
    a, b = score(y), score((y + 1) % 3)
    assert float(jnp.abs(a - b).max()) > 1e-6
    plain, params, state, x, _ = built(name)
    score = quick_jit(lambda y: plain.apply(params, state, x, y=y)[0])
    assert (score(y) == score(None)).all()


@pytest.mark.parametrize("name", few(NETS, *SOME))
def test_examples_are_coupled_exactly_where_the_net_says_so(name):
    """In training only batch norm couples; in evaluation nothing does: row i of a sample depends on row i alone."""
    net, params, state, x, _ = built(name)
    moved = np.array(x)
    moved[1] += 1.0

    def others(train):
        f = quick_jit(lambda x: (trained(net, params, state, x) if train else net.apply(params, state, x))[0])
        return float(np.abs(np.asarray(f(x)) - f(moved))[[0, 2]].max())

    assert net.couples_examples == (name in BATCH_NORMED)
    assert (others(train=True) > 1e-6) == net.couples_examples
    assert others(train=False) == 0.0


@pytest.mark.parametrize("name", few(NETS, *SOME, "resnet_discriminator"))
def test_state_changes_in_training_alone(name):
    net, params, state, x, _ = built(name)
    assert bool(state) == (name in STATEFUL)
    jax.tree.map(np.testing.assert_array_equal, quick_jit(lambda: net.apply(params, state, x)[1])(), state)
    after = quick_jit(lambda: trained(net, params, state, x)[1])()
    changed = jax.tree.map(lambda a, b: bool((a != b).any()) or a.size == 1, after, state)
    assert all(jax.tree.leaves(changed))


@pytest.mark.parametrize("name", few(BATCH_NORMED, "dcgan_generator", "mlp_generator_batch"))
def test_no_bias_stands_before_batch_norm(name):
    """In training the output must not change when any bias but batch norm's own and the last layer's moves."""
    net, params, state, x, _ = built(name)
    if name.startswith("dcgan"):
        kept = {"norms", "out", "logit", "first"}
        before = {k: v for k, v in params.items() if k not in kept}
        assert not any("bias" in jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(before))

    # Every bias that is there has a gradient that is no rounding error.
    def loss(p):
        return (trained(net, p, state, x)[0] ** 2).sum()

    for path, g in jax.tree_util.tree_leaves_with_path(quick_jit(jax.grad(loss))(params)):
        assert "bias" not in jax.tree_util.keystr(path) or float(jnp.abs(g).max()) > 1e-6, path


def test_discriminator_has_no_batch_norm_on_its_first_layer():
    params, state = jax.eval_shape(nets.dcgan_discriminator((32, 32, 3), 8).init, jax.random.key(0))
    assert set(state["norms"]) == {"0", "1"}
    assert [v["kernel"].shape[3] for v in params["down"].values()] == [16, 32]
    assert set(params["first"]) == {"kernel", "bias"}


@pytest.mark.parametrize("name", few(NETS, "dcgan_discriminator_none"))
def test_gradient_of_a_gradient_is_finite_and_not_zero(name):
    net, params, state, x, y = built(name, (7, 5, 1), 3)

    def penalty(p):
        g = jax.grad(lambda x: jnp.sin(trained(net, p, state, x, y)[0]).sum())(x)
        return (g**2).sum()

    leaves = jax.tree.leaves(quick_jit(jax.grad(penalty))(params))
    assert all(bool(jnp.isfinite(g).all()) for g in leaves)
    assert sum(float((g**2).sum()) for g in leaves) > 0


@pytest.mark.parametrize("name", few(NETS, "mlp_decoder"))
def test_loop_equals_python_loop(name):
    net, params, state, x, _ = built(name)

    def descend(_, carry):
        p, s = carry

        def loss(p):
            out, after = trained(net, p, s, x)
            return (out**2).mean(), after

        grads, s = jax.grad(loss, has_aux=True)(p)
        return jax.tree.map(lambda a, g: a - 0.01 * g, p, grads), s

    looped = quick_jit(lambda c: lax.fori_loop(0, 2, descend, c))((params, state))
    once = quick_jit(lambda c: descend(0, c))
    for a, b in zip(jax.tree.leaves(looped), jax.tree.leaves(once(once((params, state)))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", few(NETS, "mlp_encoder", "dcgan_discriminator", "upsampling_generator"))
def test_lowers_for_every_platform(name):
    """Forward in evaluation for any batch size, and a training gradient."""
    net, params, state, x, y = built(name, (7, 5, 1), 3)
    (b,) = export.symbolic_shape("b")
    spec = jax.ShapeDtypeStruct((b, *x.shape[1:]), x.dtype)
    labels = jax.ShapeDtypeStruct((b,), y.dtype)

    def sample(p, s, x, y):
        return net.apply(p, s, x, y=y)[0]

    def gradient(p, s, x, y):
        return jax.grad(lambda p: (trained(net, p, s, x, y)[0] ** 2).sum())(p)

    platforms = ("cpu", "cuda", "tpu")
    made = export.export(jax.jit(sample), platforms=platforms)(params, state, spec, labels)
    assert made.platforms == platforms
    assert export.export(jax.jit(gradient), platforms=platforms)(params, state, x, y).platforms == platforms


def test_vmap_over_seeds_is_one_net_after_another():
    net = nets.dcgan_discriminator((16, 18, 1), 4)
    keys = jax.random.split(jax.random.key(0), 2)
    x = normal(1, (N, 16, 18, 1))

    def score(key):
        return net.apply(*net.init(key), x, train=True)[0]

    both, one = quick_jit(jax.vmap(score))(keys), quick_jit(score)
    for i in range(2):
        np.testing.assert_allclose(both[i], one(keys[i]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_padding_is_cropped_back(shape):
    pyramid = Pyramid(shape, 8)
    x = normal(0, (2, *shape))
    padded = pyramid.pad(x)
    assert padded.shape[1] == pyramid.base[0] * 2**pyramid.n_stages
    assert padded.shape[2] == pyramid.base[1] * 2**pyramid.n_stages
    np.testing.assert_array_equal(pyramid.crop(padded), x)
    assert np.square(np.asarray(padded)).sum() == pytest.approx(np.square(np.asarray(x)).sum(), rel=1e-5)
    assert all(0 <= b - a <= 1 for a, b in pyramid.margins)


def test_stages_and_widths_follow_the_shape():
    found = {
        s: (Pyramid(s, 16).base, Pyramid(s, 16).widths) for s in [(8, 8, 1), (28, 28, 1), (64, 64, 3), (20, 36, 2)]
    }
    assert found == {
        (8, 8, 1): ((4, 4), (16,)),
        (28, 28, 1): ((7, 7), (16, 32)),
        (64, 64, 3): ((4, 4), (16, 32, 64, 128)),
        (20, 36, 2): ((5, 9), (16, 32)),
    }


@pytest.mark.parametrize("name", few([n for n in OUTWARD if "generator" in n], "mlp_generator", "dcgan_generator"))
def test_generators_stay_within_pixels(name):
    net, params, state, z, _ = built(name)
    assert np.abs(quick_jit(net.apply)(params, state, 100.0 * z)[0]).max() <= 1.0


@pytest.mark.parametrize("name", ["mlp_discriminator", "dcgan_discriminator_none"])
def test_conditional_logit_is_the_projection(name):
    """Miyato & Koyama 2018: logits of two labels differ by an inner product linear in the label's embedding."""
    net, params, state, x, y = built(name, n_classes=3)

    @quick_jit
    def logit(table):
        return net.apply(params | {"label": {"table": table}}, state, x, y=y)[0]

    table = params["label"]["table"]
    zero, one, two = (logit(c * table) for c in (0.0, 1.0, 2.0))
    np.testing.assert_allclose(two - zero, 2.0 * (one - zero), rtol=1e-3, atol=1e-5)


def test_exported_sampler_gives_the_same_images_for_any_batch_size():
    net, params, state, z, _ = built("dcgan_generator")
    (b,) = export.symbolic_shape("b")
    spec = jax.ShapeDtypeStruct((b, Z), z.dtype)
    made = export.export(jax.jit(lambda z: net.apply(params, state, z)[0]), platforms=("cpu", "cuda", "tpu"))(spec)
    want = quick_jit(lambda z: net.apply(params, state, z)[0])(z)
    for n in (1, 3):
        np.testing.assert_allclose(made.call(z[:n]), want[:n], rtol=1e-4, atol=1e-5)


def test_a_discriminator_too_small_for_batch_norm_does_not_claim_it():
    net = nets.dcgan_discriminator((7, 5, 1), 8, "batch")
    assert jax.eval_shape(net.init, jax.random.key(0))[1] == {}
    assert not net.couples_examples


@pytest.mark.parametrize("n_blocks", [0, 2])
def test_number_of_residual_blocks(n_blocks):
    enc = nets.conv_encoder((8, 8, 1), OUT, 8, n_blocks)
    params, state = jax.eval_shape(enc.init, jax.random.key(0))
    assert len(params.get("blocks", {}).get("0", {})) == n_blocks
    assert jax.eval_shape(enc.apply, params, state, jnp.ones((N, 8, 8, 1)))[0].shape == (N, OUT)


def test_unknown_norm_and_empty_images_are_refused():
    with pytest.raises(ValueError, match='norm=\'layer\' must be "batch" or "none"'):
        nets.dcgan_generator(Z, (8, 8, 1), norm="layer")
    with pytest.raises(ValueError, match="at least 1"):
        jax.eval_shape(nets.conv_encoder((0, 8, 1), OUT).init, jax.random.key(0))
