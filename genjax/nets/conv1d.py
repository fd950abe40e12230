"""One-dimensional convolution for waves: `conv` on maps of one row.

XLA's CPU backend has no fast path for a convolution of one axis; as one of two axes, the first of length one, it takes
the canonical form of `conv`: fast in every derivative, chosen by platform at lowering. Timed beside products of
matrices over folded waves, that was as fast or faster in every layer of WaveGAN (`experiments/bench/README.md`).
"""

from jaxtyping import Array, Float

from genjax.nets.conv import conv, conv_transpose

Sequences = Float[Array, "n t c"]


def conv1d(x: Sequences, w: Float[Array, "k c_in c_out"], stride: int = 1) -> Float[Array, "n t_out c_out"]:
    """Cross-correlation along the second axis, padded with zeros ("SAME"): ceil(t / stride) outputs.

    Raises:
        ValueError: channels disagree, or a stride below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> conv1d(jnp.ones((1, 8, 1)), jnp.ones((3, 1, 1)), 4)[0, :, 0].tolist()
        [3.0, 3.0]
    """
    return conv(x[:, None], w[None], (1, stride), "SAME")[:, 0]


def conv1d_transpose(g: Sequences, w: Float[Array, "k c_out c_in"], stride: int = 1) -> Float[Array, "n t_out c_out"]:
    """The transpose of `conv1d(., w, stride)`: `stride` times as long. The kernel is that of the convolution.

    Raises:
        ValueError: as `conv1d`.

    Example:
        >>> import jax.numpy as jnp
        >>> conv1d_transpose(jnp.ones((1, 2, 1)), jnp.ones((4, 1, 1)), 4)[0, :, 0].tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    return conv_transpose(g[:, None], w[None], (1, stride), "SAME")[:, 0]
