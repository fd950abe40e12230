"""Likelihoods: how a decoder's last layer becomes a distribution over images.

A decoder knows nothing of probabilities: it gives `likelihood.n_out(channels)` numbers per pixel, and the likelihood
turns them into a distribution. Log-scales are soft-clamped here, so that value and gradient stay finite whatever the
decoder says.

Recipes name theirs: `--likelihood` is one of `LIKELIHOODS`, and empty chooses by the data (`likelihood_of`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from genjax.distributions.discrete import Bernoulli, Categorical
from genjax.distributions.gaussian import Normal
from genjax.distributions.laplace import DiscretizedLaplace
from genjax.distributions.logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from genjax.distributions.numerics import at_least_float32, softclamp
from genjax.types import Params, Range, UsageError

LOG_SIGMA_RANGE = (-6.0, 6.0)
"""Range of log sigma for Gaussian pixels in [0, 1]: exp(-6) is below the distance of two grey levels."""
LOG_SCALE_RANGE = (-7.0, 7.0)
"""Range of log scales for logistic pixels in [-1, 1]: at exp(-7) one level can hold all but 3 % of the mass."""
SOUND_SCALE_RANGE = (-14.0, 2.0)
"""Range of log scales for samples of sound in [-1, 1): at exp(-14) the nearest level holds all but exp(-18)."""
SOUND_SCALE_START = -4.0
"""What a decoder's output of 0 stands for: the log scale of speech that is predicted badly."""


DENSITY: tuple[Range, ...] = ("unit", "signed", "real")
"""Ranges of normal values: any scale near 1. Not bits: a density of two points grows without end."""
EIGHT_BITS = "gaussian_learned"
"""The likelihood of colour and natural images where none is named."""
TWO_TONED = 0.5
"""Contrast of grey images (`data.Spec.contrast`) from which binarised pixels are more image than noise."""


@dataclass(frozen=True)
class Likelihood:
    """How numbers per pixel become a distribution over pixels.

    Attributes:
        n_out: `n_out(channels)`: decoder outputs per pixel for images of so many channels.
        init: `init(channels) -> Params`: parameters of the likelihood's own; `{}` where there are none.
        apply: `apply(params, out)`: `out` (batch, h, w, n_out) to a distribution over (batch, h, w, channels).
        name: as `--likelihood` has it.
        support: the ranges of x that it is for, the best first; empty where that is not known.
        of: what p(x | z) is a probability of: `bits` (binary pixels), `levels` (8-bit grey levels), or a `density`.
        picture: `picture(distribution)`: the image that stands for a distribution, (batch, h, w, channels).
        shown: what `picture` is, in words.
        tempered: whether the distribution's `sample(key, temperature)` takes a temperature for each example.
    """

    n_out: Callable[[int], int]
    init: Callable[[int], Params]
    apply: Callable[[Params, Any], Any]
    name: str = ""
    support: tuple[Range, ...] = ()
    of: Literal["bits", "levels", "density", ""] = ""
    picture: Callable[[Any], Float[Array, "batch *hw channels"]] = lambda p: p.mean
    shown: str = "the mean of the decoder"
    tempered: bool = False

    def seen(self, x: Any) -> Any:
        """What an encoder sees of x: of the integers 0 ... 255 numbers in [-1, 1]; all else as it is."""
        levels = self.support == ("levels",) and jnp.issubdtype(x.dtype, jnp.integer)
        return x.astype(jnp.float32) / 127.5 - 1.0 if levels else x


def bernoulli() -> Likelihood:
    """Pixels as coin flips, x in {0, 1}.

    Grey values in [0, 1] are taken too, as a cross-entropy that pulls the mean to them; only binarised images give it
    the meaning of a likelihood (`Bernoulli.log_prob`).
    """
    return Likelihood(_channels, _no_params, lambda params, out: Bernoulli(out), "bernoulli", ("bits", "unit"), "bits")


def gaussian(sigma: ScalarLike = 0.1) -> Likelihood:
    """Normal pixels of one fixed standard deviation, in units of x in [0, 1].

    Args:
        sigma: standard deviation, > 0; may be traced. It weighs distortion against rate as a beta-VAE's beta does.

    Source:
        Rybkin et al. 2021, Simple and Effective VAE Training with Calibrated Decoders, on the role of sigma.
    """

    def apply(params: Params, out: Float[Array, "batch *hw n_out"]) -> Normal:
        return _normal(out, jnp.log(jnp.asarray(sigma, jnp.float32)))

    return Likelihood(_channels, _no_params, apply, "gaussian", DENSITY, "density")


def gaussian_global(start: float = 1.0) -> Likelihood:
    """Normal pixels of one learned standard deviation for all pixels of all images (sigma-VAE), x in [0, 1].

    The parameter `log_sigma` is soft-clamped to `LOG_SIGMA_RANGE`.

    Args:
        start: standard deviation to begin with, > 0. Adam moves its logarithm by at most the learning rate a step, so
            that from 1 to a pixel's 0.1 are 2300 steps at 1e-3; until then the latents have nothing to gain.

    Source:
        Rybkin et al. 2021, Simple and Effective VAE Training with Calibrated Decoders.

    Example:
        >>> p = gaussian_global()
        >>> p.apply(p.init(1), jnp.zeros((2, 8, 8, 1))).logvar.shape
        (1, 1, 1, 1)
    """

    def init(channels: int) -> Params:
        return {"log_sigma": jnp.full((), math.log(start), jnp.float32)}

    def apply(params: Params, out: Float[Array, "batch *hw n_out"]) -> Normal:
        return _normal(out, softclamp(at_least_float32(params["log_sigma"]), *LOG_SIGMA_RANGE))

    return Likelihood(_channels, init, apply, "gaussian_learned", DENSITY, "density")


def gaussian_per_pixel() -> Likelihood:
    """Normal pixels whose mean and log standard deviation both come from the decoder, x in [0, 1].

    Log sigma is soft-clamped to `LOG_SIGMA_RANGE`: without a floor a pixel that never changes drives the density,
    and the gradients, to infinity.
    """

    def apply(params: Params, out: Float[Array, "batch *hw n_out"]) -> Normal:
        mu, raw = jnp.split(at_least_float32(out), 2, axis=-1)
        return Normal(mu, 2.0 * softclamp(raw, *LOG_SIGMA_RANGE))

    return Likelihood(lambda channels: 2 * channels, _no_params, apply, "gaussian_per_pixel", DENSITY, "density")


def discretized_logistic() -> Likelihood:
    """One discretised logistic per channel over 256 levels, x in [-1, 1]; log-scales within `LOG_SCALE_RANGE`."""

    def apply(params: Params, out: Float[Array, "batch *hw n_out"]) -> DiscretizedLogistic:
        mu, raw = jnp.split(at_least_float32(out), 2, axis=-1)
        return DiscretizedLogistic(mu, softclamp(raw, *LOG_SCALE_RANGE))

    return Likelihood(lambda channels: 2 * channels, _no_params, apply, "logistic", ("signed",), "levels", _smooth)


def discretized_logistic_mixture(n_components: int = 10) -> Likelihood:
    """A mixture of discretised logistics per pixel with autoregressive channels, x in [-1, 1].

    Takes n_components * (1 + 2 c + c (c - 1) / 2) decoder outputs per pixel of c channels: mixing logits, locations,
    log-scales (within `LOG_SCALE_RANGE`) and, through tanh, the weights of earlier channels.

    Args:
        n_components: logistics per pixel, at least 1.

    Source:
        Salimans et al. 2017, PixelCNN++.

    Example:
        >>> discretized_logistic_mixture(10).n_out(3)
        100
    """
    if n_components < 1:
        raise UsageError(f"n_components={n_components}: a mixture needs at least 1 component. Try 10.")

    def n_out(channels: int) -> int:
        return n_components * _rows(channels)

    def apply(params: Params, out: Float[Array, "batch *hw n_out"]) -> DiscretizedLogisticMixture:
        rows = at_least_float32(out).reshape(*out.shape[:-1], out.shape[-1] // n_components, n_components)
        channels = next(c for c in range(1, rows.shape[-2] + 1) if _rows(c) >= rows.shape[-2])
        if _rows(channels) != rows.shape[-2]:
            raise ValueError(f"{out.shape[-1]} decoder outputs fit no number of channels; make them n_out(channels).")
        logits, mu, raw, coeffs = jnp.split(rows, (1, 1 + channels, 1 + 2 * channels), axis=-2)
        return DiscretizedLogisticMixture(logits[..., 0, :], mu, softclamp(raw, *LOG_SCALE_RANGE), jnp.tanh(coeffs))

    return Likelihood(n_out, _no_params, apply, "logistic_mixture", ("signed",), "levels", _smooth)


def categorical(n_levels: int = 256) -> Likelihood:
    """A free choice among the 256 levels of each channel, x the integers 0 ... 255.

    Args:
        n_levels: how many the decoder tells apart, a divisor of 256. With fewer than 256 it chooses among
            `n_levels` equally wide bins and the levels of a bin are equally likely, so that the log probability
            stays one of the 8-bit image and bits per dimension compare across `n_levels`.

    Source:
        van den Oord et al. 2016, Pixel Recurrent Neural Networks (256-way softmax).
    """
    if n_levels < 1 or 256 % n_levels:
        raise UsageError(f"n_levels={n_levels} must divide 256. Try 256, 64 or 16.")

    def apply(params: Params, out: Float[Array, "batch *hw n_out"]) -> Categorical:
        logits = out.reshape(*out.shape[:-1], out.shape[-1] // n_levels, n_levels)
        return Categorical(jnp.repeat(logits, 256 // n_levels, axis=-1))

    return Likelihood(lambda channels: n_levels * channels, _no_params, apply, "categorical", ("levels",), "levels")


def laplace16() -> Likelihood:
    """A Laplace distribution for each 16-bit sample of sound, x in [-1, 1): the decoder gives location and log scale.

    The decoder's waves are (batch, t, 2), and the distribution is over (batch, t). Its log probability is that of the
    stored samples, a discrete one. Log scales lie within `SOUND_SCALE_RANGE`.
    """

    def apply(params: Params, out: Float[Array, "batch t n_out"]) -> DiscretizedLaplace:
        out = at_least_float32(out)
        return DiscretizedLaplace(out[..., 0], softclamp(out[..., 1] + SOUND_SCALE_START, *SOUND_SCALE_RANGE))

    return Likelihood(lambda channels: 2 * channels, _no_params, apply, "laplace16", ("signed",), "levels")


NAMED: dict[str, Callable[[], Likelihood]] = {
    "bernoulli": bernoulli,
    "gaussian": gaussian,
    "gaussian_learned": partial(gaussian_global, start=0.1),
    "gaussian_per_pixel": gaussian_per_pixel,
    "logistic": discretized_logistic,
    "logistic_mixture": discretized_logistic_mixture,
    "categorical": categorical,
}
LIKELIHOODS = ("", *NAMED)
"""What a recipe's `--likelihood` may be; empty: chosen by the data."""


def likelihood_of(name: str, spec: Any) -> Likelihood:
    """The likelihood of that name, or without one that which fits the data of `spec`.

    The rule: grey images of which binarised pixels keep at least `TWO_TONED` of the information, as handwriting, get
    `bernoulli` (so do grey images whose contrast is not known); colour and natural images, a likelihood of 8-bit
    values. It reads `spec` alone, so that a run opens as it was trained, without its data.

    Args:
        name: one of `LIKELIHOODS`.
        spec: a `data.Spec`, of which `grey` and `contrast` are read.
    """
    return NAMED[name or chosen_for(spec)]()


def chosen_for(spec: Any) -> str:
    """The name that `likelihood_of` chooses."""
    return "bernoulli" if spec.grey and (spec.contrast is None or spec.contrast >= TWO_TONED) else EIGHT_BITS


def why_chosen(spec: Any) -> str:
    """What about the images made `likelihood_of` choose, in words: `grey images of contrast 0.83`.

    Example:
        >>> from types import SimpleNamespace
        >>> why_chosen(SimpleNamespace(grey=True, contrast=0.83))
        'grey images of contrast 0.83'
    """
    toned = "" if spec.contrast is None else f" of contrast {spec.contrast:g}"
    return f"{'grey' if spec.grey else 'colour'} images{toned}"


def _channels(channels: int) -> int:
    return channels


def _no_params(channels: int) -> Params:
    return {}


def _smooth(p: DiscretizedLogistic | DiscretizedLogisticMixture) -> Float[Array, "batch *hw channels"]:
    return p.smooth_mean


def _rows(channels: int) -> int:
    """Parameters per mixture component: a logit, locations, scales, pairs of channels."""
    return 1 + 2 * channels + channels * (channels - 1) // 2


def _normal(mu: Float[Array, "batch *hw c"], log_sigma: Float[Array, ""]) -> Normal:
    """Normal with one standard deviation for everything."""
    return Normal(mu, jnp.full((1,) * mu.ndim, 2.0 * log_sigma, jnp.float32))
