"""The convolution of waves against the library's own one-dimensional convolution and its derivatives."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from quick import quick_jit

from genjax import nets

SHAPES = [  # length, kernel, stride, channels in and out
    (64, 25, 4, 3, 5), (33, 25, 4, 2, 3), (16, 4, 4, 2, 2), (10, 3, 1, 1, 4), (9, 2, 3, 2, 2), (8, 25, 4, 1, 1),
]  # fmt: skip


def library(x, w, stride):
    return lax.conv_general_dilated(x, w, (stride,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


def library_transpose(g, w, stride):
    n, t, _ = g.shape
    out, pull = jax.vjp(lambda x: library(x, w, stride), jnp.zeros((n, t * stride, w.shape[1]), g.dtype))
    assert out.shape == g.shape
    return pull(g)[0]


def first_and_second(f):
    """(x, w, ct) -> the value, its two derivatives along ct, and the derivatives of all of those once more."""

    def first(x, w, ct):
        out, pull = jax.vjp(f, x, w)
        return out, *pull(ct)

    def both(x, w, ct):
        out, pull = jax.vjp(first, x, w, ct)
        return out, pull(jax.tree.map(jnp.cos, out))

    return both


@pytest.mark.slow
@pytest.mark.parametrize("transposed", [False, True], ids=["conv", "transposed"])
def test_equals_library_convolution_in_value_and_two_derivatives(transposed):
    forms = (nets.conv1d_transpose, library_transpose) if transposed else (nets.conv1d, library)
    with jax.enable_x64(True):
        draw = np.random.default_rng(0)

        def case(t, k, s, c, o):
            x = draw.standard_normal((2, t, o if transposed else c))
            ct = draw.standard_normal((2, t * s, c) if transposed else (2, -(-t // s), o))
            return x, draw.standard_normal((k, c, o)), ct

        args = [case(*shape) for shape in SHAPES]

        def run(form, args):
            return [
                first_and_second(functools.partial(form, stride=s))(*a)
                for (_, _, s, _, _), a in zip(SHAPES, args, strict=True)
            ]

        ours, theirs = (jax.tree.leaves(quick_jit(functools.partial(run, form))(args)) for form in forms)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * float(np.abs(b).max() + 1))


def test_pads_as_the_published_nets():
    """25 taps of stride 4 over a length that 4 divides: 10 zeros before, 11 after, as TensorFlow's "SAME"."""
    x = jnp.zeros((1, 16, 1)).at[0, 0, 0].set(1.0)
    w = jnp.arange(25.0).reshape(25, 1, 1)
    assert nets.conv1d(x, w, 4)[0, :, 0].tolist() == [10.0, 6.0, 2.0, 0.0]


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="channels"):
        nets.conv1d(jnp.zeros((1, 8, 2)), jnp.zeros((3, 1, 1)))
    with pytest.raises(ValueError, match="channels"):
        nets.conv1d_transpose(jnp.zeros((1, 8, 2)), jnp.zeros((3, 1, 1)))
    with pytest.raises(ValueError, match="stride"):
        nets.conv1d(jnp.zeros((1, 8, 1)), jnp.zeros((3, 1, 1)), 0)


def test_chooses_the_form_by_platform_when_lowered():
    """Two derivatives lower for each platform; those for CUDA and TPU are plain convolutions, no form of ours."""
    x, w = jnp.zeros((2, 16, 2)), jnp.zeros((25, 2, 3))

    def f(x, w):
        penalty = lambda x: (nets.conv1d_transpose(nets.conv1d(x, w, 4), w, 4) ** 2).sum()  # noqa: E731
        return (jax.grad(penalty)(x) ** 2).sum()

    grad = jax.jit(jax.grad(f, argnums=(0, 1)))
    assert export.export(grad, platforms=["cpu"])(x, w).platforms == ("cpu",)
    for platform in ("cuda", "tpu"):
        text = export.export(grad, platforms=[platform])(x, w).mlir_module()
        assert len(re.findall(r"stablehlo\.convolution", text)) > 5
        assert "stablehlo.dot_general" not in text


def test_the_same_inside_a_loop():
    x, w = jnp.ones((1, 16, 1)), jnp.ones((25, 1, 1))
    looped = quick_jit(lambda x: lax.fori_loop(0, 2, lambda _, x: nets.conv1d(x, w), x))(x)
    assert (looped == nets.conv1d(nets.conv1d(x, w), w)).all()
