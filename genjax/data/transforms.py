"""From stored examples to what a likelihood is defined on, and back.

A `Transform` is `(key, batch) -> batch`, run inside the compiled step on examples as they are stored (raw `uint8`
pixels of images), for resident and streamed data alike. It changes `batch.x` only. Its inverse takes data or samples of
the model back: to pixels 0..255, to whatever is stored of other data.

A transform says what range it gives. A likelihood, or a generator's tanh, is made for one; `check_range` refuses a pair
that does not fit, which nothing else would notice: the loss falls, and the pictures are wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, UInt8

from genjax.types import RANGES, Batch, Key, Range, UsageError

U = 65536.0


@dataclass(frozen=True)
class Transform:
    """A map from stored examples towards a model's range, with its inverse.

    Attributes:
        apply: `apply(key, batch) -> batch`; also by calling the transform. Deterministic ones leave the key alone.
        inverse: `inverse(x) -> pixels`, float 0..255 in the range of pixels; of a model's samples it may fall outside
            where they do: round and clip when writing an image.
        levels: grey levels that a unit of x holds, where noise has made a density of pixels possible (`dequantize`);
            0 where it has not.
        range: what `apply` gives; None where it is not known, and then nothing checks it.
        name: of the constructor, for messages.
        values: how many values an element of what it takes can have (`data.Spec.n_values`): 256 of pixels, 2 of bits, 0
            of real numbers; None where it takes any.
    """

    apply: Callable[[Key, Batch], Batch]
    inverse: Callable[[Num[Array, "*s"]], Num[Array, "*s"]]
    levels: int = 0
    range: Range | None = None
    name: str = ""
    values: int | None = None

    def __call__(self, key: Key, batch: Batch) -> Batch:
        return self.apply(key, batch)


def compose(*transforms: Transform) -> Transform:
    """One transform after the other, each with a key of its own; the inverses in reverse order.

    The first of `to_unit, to_signed, to_levels, dequantize, binarize` takes pixels, so it stands first, or after
    transforms that keep pixels (a flip).

    Example:
        >>> negative = Transform(lambda key, b: b._replace(x=255 - b.x), lambda x: 255 - x)
        >>> t = compose(negative, to_unit())
        >>> b = t(jax.random.key(0), Batch(jnp.array([[0, 255]], jnp.uint8)))
        >>> b.x.tolist(), t.inverse(b.x).tolist()
        ([[1.0, 0.0]], [[0.0, 255.0]])
    """

    def apply(key: Key, batch: Batch) -> Batch:
        for i, t in enumerate(transforms):
            batch = t.apply(jax.random.fold_in(key, i), batch)
        return batch

    def inverse(x):
        for t in reversed(transforms):
            x = t.inverse(x)
        return x

    # The last that leaves the pixels' scale says where they are: after one that says nothing, nobody knows.
    moving = [t for t in transforms if t.range != "pixels"]
    name = " then ".join(t.name or "a transform" for t in transforms)
    values = transforms[0].values if transforms else None
    if not moving:
        return Transform(apply, inverse, 0, "pixels", name or "no transform", values)
    return Transform(apply, inverse, moving[-1].levels, moving[-1].range, name, values)


def for_range(range: Range) -> Transform:
    """The transform to a range, from 8-bit pixels where they have one, with noise where a density needs it.

    Example:
        >>> [for_range(range).name for range in ("bits", "unit", "signed", "levels")]
        ['binarize', 'dequantize', 'to_signed', 'to_levels']
    """
    return {
        "bits": binarize, "unit": dequantize, "signed": to_signed, "levels": to_levels,
        "integers": to_integers, "real": as_reals,
    }[range]()  # fmt: skip


def check_range(transform: Transform, wanted: Sequence[Range], whose: str) -> None:
    """Raises `UsageError` for a transform that gives none of the wanted ranges; an unknown range is not checked.

    Args:
        transform: what makes the model's data.
        wanted: the ranges that it may give, the best first.
        whose: who wants them, as "the bernoulli likelihood".

    Example:
        >>> check_range(to_signed(), ("unit",), "the gaussian likelihood")
        Traceback (most recent call last):
        genjax.errors.UsageError: to_signed gives values in [-1, 1], but the gaussian likelihood is for [0, 1].
        Use data.dequantize().
    """
    if transform.range is None or not wanted or transform.range in wanted:
        return
    given, meant = RANGES[transform.range], " or ".join(RANGES[r] for r in wanted)
    of_pixels = [r for r in wanted if r not in ("integers", "real")]
    fits = " or ".join(f"data.{for_range(r).name}()" for r in of_pixels or wanted)
    raise UsageError(
        f"{transform.name or 'The transform'} gives values in {given}, but {whose} is for {meant}.\nUse {fits}."
    )


def check_values(transform: Transform, n_values: int, name: str) -> None:
    """Raises `UsageError` for a transform of data whose elements take another number of values.

    Args:
        transform: what makes the model's data.
        n_values: of the data, as their `Spec` has it.
        name: of the data.

    Example:
        >>> check_values(to_unit(), 2, "chorales")
        Traceback (most recent call last):
        genjax.errors.UsageError: to_unit takes elements of 256 values, and those of chorales have 2.
    """
    if transform.values is None or transform.values == n_values:
        return
    takes, has = (f"{n} values" if n else "real numbers" for n in (transform.values, n_values))
    of = transform.name or "The transform"
    raise UsageError(f"{of} takes elements of {takes}, and those of {name} have {n_values or has}.")


def to_unit() -> Transform:
    """Pixels to [0, 1]: x / 255.

    Example:
        >>> to_unit()(jax.random.key(0), Batch(jnp.array([[0, 255]], jnp.uint8))).x.tolist()
        [[0.0, 1.0]]
    """
    return _pointwise("to_unit", "unit", lambda key, x: x.astype(jnp.float32) / 255.0, lambda y: y * 255.0)


def to_signed() -> Transform:
    """Pixels to [-1, 1]: x / 127.5 - 1, the range of a tanh generator and of the discretised logistic."""
    return _pointwise(
        "to_signed", "signed", lambda key, x: x.astype(jnp.float32) / 127.5 - 1.0, lambda y: (y + 1.0) * 127.5
    )


def to_plane() -> Transform:
    """Points of the plane (float32) as they are; pixels to [-1, 1] as `to_signed`, so that a recipe takes either.

    The inverse is that of `to_signed`: of points it gives shades of grey, for a glance.
    """
    signed = to_signed()

    def apply(key: Key, batch: Batch) -> Batch:
        return batch if batch.x.dtype == jnp.float32 else signed(key, batch)

    return replace(signed, apply=apply, name="to_plane", values=None)


def to_levels() -> Transform:
    """Pixels as integers 0..255 (int32), the range of the categorical likelihood."""
    return _pointwise("to_levels", "levels", lambda key, x: x.astype(jnp.int32), lambda y: y.astype(jnp.float32))


def dequantize() -> Transform:
    """Pixels to (0, 1) by uniform noise: (x + u) / 256, u ~ U(0, 1) drawn again at every visit.

    A density model of the result bounds a discrete model of the pixels: bits per dimension on the scale 0..255 are
    those of the density plus 8. u takes the 32,768 midpoints (2k + 1) / 65536, so that x + u is exact in float32,
    never reaches x + 1, and the inverse floor(256 y) gives back every pixel.

    Source:
        Theis, van den Oord & Bethge 2016, A note on the evaluation of generative models.
    """

    def apply(key: Key, x: UInt8[Array, "*s"]) -> Float[Array, "*s"]:
        k = jax.random.bits(key, x.shape, jnp.uint16) >> 1
        u = (2.0 * k.astype(jnp.float32) + 1.0) / U
        return (x.astype(jnp.float32) + u) / 256.0

    return _pointwise("dequantize", "unit", apply, lambda y: jnp.clip(jnp.floor(y * 256.0), 0.0, 255.0), 256)


def binarize() -> Transform:
    """Pixels to {0, 1}: a Bernoulli draw with probability x / 255, repeated at every visit (dynamic binarisation).

    The inverse, 255 y, takes bits, and equally a model's probabilities, to pixels.

    Source:
        Salakhutdinov & Murray 2008, On the quantitative analysis of deep belief networks (binarised MNIST); drawn
        anew at every visit as in Burda, Grosse & Salakhutdinov 2016, Importance weighted autoencoders.
    """

    def apply(key: Key, x: UInt8[Array, "*s"]) -> Float[Array, "*s"]:
        return jax.random.bernoulli(key, x.astype(jnp.float32) / 255.0).astype(jnp.float32)

    return _pointwise("binarize", "bits", apply, lambda y: y * 255.0)


def _pointwise(name: str, range: Range, apply, inverse, levels: int = 0) -> Transform:
    """A transform of every element of x, which must be raw pixels: twice scaled data is a silent error otherwise."""

    def checked(key: Key, batch: Batch) -> Batch:
        if batch.x.dtype != jnp.uint8:
            raise TypeError(
                f"{name} takes raw uint8 pixels, got {batch.x.dtype}: give it the source's batches, and use one of "
                "to_unit, to_signed, to_levels, dequantize, binarize, not two."
            )
        return batch._replace(x=apply(key, batch.x))

    return Transform(checked, inverse, levels, range, name, 256)


def as_bits() -> Transform:
    """Stored 0 and 1 as floats, the range of the Bernoulli likelihood; nothing is drawn. The inverse is the identity.

    Example:
        >>> as_bits()(jax.random.key(0), Batch(jnp.array([[0, 1]], jnp.uint8))).x.tolist()
        [[0.0, 1.0]]
    """
    return Transform(_cast(jnp.float32), lambda y: y, range="bits", name="as_bits", values=2)


def to_integers() -> Transform:
    """Numbers of symbols as int32, the range of categorical likelihoods. The inverse is the identity."""
    return Transform(_cast(jnp.int32), lambda y: y, range="integers", name="to_integers")


def as_reals() -> Transform:
    """Real numbers as they are, in float32. The inverse is the identity."""
    return Transform(_cast(jnp.float32), lambda y: y, range="real", name="as_reals", values=0)


def _cast(dtype) -> Callable[[Key, Batch], Batch]:
    return lambda key, batch: batch._replace(x=batch.x.astype(dtype))
