"""Up-sampling and pooling: against written-out sums, and fused with a convolution against the plain form."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from quick import few, quick_jit

from genjax import nets


def plain_up(x, w, method="nearest"):
    return nets.conv(nets.upsample(x, method), w)


def plain_pool(x, w):
    return nets.mean_pool(nets.conv(x, w))


bilinear = functools.partial(nets.upsample_conv, method="bilinear")
PAIRS = {
    "nearest": (nets.upsample_conv, plain_up),
    "bilinear": (bilinear, functools.partial(plain_up, method="bilinear")),
    "pool": (nets.conv_pool, plain_pool),
}


def value_and_two_derivatives(f, x, w, ct):
    """The value, its derivatives along ct, and the derivatives of all of those once more."""

    def first(x, w, ct):
        out, pull = jax.vjp(f, x, w)
        return out, *pull(ct)

    out, pull = jax.vjp(first, x, w, ct)
    return out, pull(jax.tree.map(jnp.cos, out))


CASES = [(name, "float64") for name in PAIRS] + [("nearest", "float32"), ("pool", "float32")]


@pytest.mark.parametrize(("name", "dtype"), few(CASES, ("bilinear", "float64")))
def test_fused_equals_plain_in_value_and_two_derivatives(name, dtype):
    """Kernels 1x1, 3x3 and 3x5; to 1e-12 of the largest value in double precision, 1e-5 in single."""
    tol = {"float64": 1e-12, "float32": 1e-5}[dtype]
    with jax.enable_x64(dtype == "float64"):
        draw = np.random.default_rng(0)
        cases = []
        shapes = [((1, 1), (4, 6)), ((3, 3), (2, 2)), ((3, 5), (6, 4))]
        for kernel, size in shapes[: 1 if name == "bilinear" else 3]:  # larger ones are the same call, but for nearest
            x = jnp.asarray(draw.standard_normal((2, *size, 3)), dtype)
            w = jnp.asarray(draw.standard_normal((*kernel, 3, 2)), dtype)
            shape = jax.eval_shape(PAIRS[name][0], x, w).shape
            cases.append((x, w, jnp.asarray(draw.standard_normal(shape), dtype)))

        def run(f):
            return quick_jit(lambda cases: [value_and_two_derivatives(f, *c) for c in cases])(cases)

        fused, plain = map(run, PAIRS[name])
        for a, b in zip(jax.tree.leaves(fused), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tol * float(np.abs(b).max()))


def test_nearest_repeats_pixels_and_mean_pool_undoes_it():
    x = jax.random.normal(jax.random.key(0), (2, 3, 5, 2))
    up = nets.upsample(x)
    np.testing.assert_array_equal(up, np.repeat(np.repeat(x, 2, 1), 2, 2))
    np.testing.assert_allclose(nets.mean_pool(up), x, rtol=1e-6)


def test_bilinear_samples_half_way_between_centres():
    """Output row i sits at (i + 1/2) / 2 - 1/2 of the input's rows, kept inside the map."""
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 2)).astype(np.float32)

    def weights(n):
        at = np.clip((np.arange(2 * n) + 0.5) / 2 - 0.5, 0, n - 1)
        return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n)))

    expected = np.einsum("ih,jw,nhwc->nijc", weights(3), weights(4), x)
    np.testing.assert_allclose(nets.upsample(jnp.asarray(x), "bilinear"), expected, rtol=1e-5, atol=1e-6)


def convolutions(f, x, w, platform):
    """The convolutions of value and gradients as exported, operands left out, and the text of the module."""
    loss = jax.value_and_grad(lambda x, w: (f(x, w) ** 2).sum(), (0, 1))
    text = export.export(jax.jit(loss), platforms=(platform,))(x, w).mlir_module()
    return sorted(re.findall(r"stablehlo\.convolution\([^)]*\) (.*?) loc\(", text)), text


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
@pytest.mark.parametrize("name", PAIRS)
def test_accelerators_get_the_plain_layers(name, platform):
    x, w = jnp.ones((2, 4, 4, 3)), jnp.ones((3, 3, 3, 2))
    (ours, text), (expected, _) = (convolutions(f, x, w, platform) for f in PAIRS[name])
    assert len(ours) == 3
    assert ours == expected
    assert "optimization_barrier" not in text


def test_refusals_in_words():
    x = jnp.ones((1, 4, 4, 1))
    with pytest.raises(ValueError, match="3x4 cannot be halved"):
        nets.mean_pool(x[:, :3])
    with pytest.raises(ValueError, match="4x3 cannot be halved"):
        nets.conv_pool(x[:, :, :3], jnp.ones((3, 3, 1, 1)))
    with pytest.raises(ValueError, match="2x3 has no middle"):
        nets.upsample_conv(x, jnp.ones((2, 3, 1, 1)))
    with pytest.raises(Exception, match="cubic"):  # the tests' type checker is faster than our own words
        nets.upsample(x, "cubic")
