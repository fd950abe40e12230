"""Nets for waves (batch, samples): WaveGAN's generator and discriminator, an encoder and a decoder.

A net shortens (or lengthens) the wave by four in as many stages as leave at least 8 places, with windows of 25 samples:
8,192 samples take five stages, from 8 places, 16,384 five from 16. Waves that the stages do not divide are filled up
with silence at the end; generated ones are cut there.
"""

from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import Dense, GroupNorm, Init, embed, he, leaky, lecun, normal, plus, projection
from genjax.nets.conv1d import conv1d, conv1d_transpose
from genjax.nets.frames import SpectralFrames
from genjax.nets.functional import functional
from genjax.types import Key, Net, UsageError

Waves = Float[Array, "batch samples"]
Maps = Float[Array, "batch t c"]
Labels = Int[Array, " batch"] | None

SIZE, STRIDE, LEAST = 25, 4, 8
"""Samples of a window, samples from window to window, and the least number of places of the last stage."""
FRAMED = 3
"""The last stages that spectra can stand in for: 64 samples from one to the next."""


def wavegan_generator(z_dim: int, n_samples: int, width: int = 64, n_classes: int = 0, spectra: bool = False) -> Net:
    """z [batch, z_dim] -> waves [batch, n_samples] in (-1, 1): transposed convolutions of 25 taps and stride 4.

    Args:
        z_dim: latent dimensions.
        n_samples: of a wave; 16,384 in the paper.
        width: channels of the last hidden stage, doubled by each earlier one; the paper's d.
        n_classes: with more than 0, `apply` needs labels `y` [batch]; their embedding is joined to z.
        spectra: the wave is made of short spectra (`SpectralFrames`) in the place of the last three stages, which
            takes half of the operations and finds formants sooner.

    Raises:
        UsageError: the wave is too short for its stages.

    Source:
        Donahue et al. 2019, Adversarial Audio Synthesis, table 3. Weights begin as He's normal instead of uniform.

    Example:
        >>> net = wavegan_generator(4, 2048, width=2)
        >>> params, state = jax.eval_shape(net.init, jax.random.key(0))
        >>> jax.eval_shape(net.apply, params, state, jnp.zeros((3, 4)))[0].shape
        (3, 2048)
    """
    return functional(
        lambda rngs: WaveGenerator(z_dim, n_samples, width, n_classes, spectra, rngs=rngs), range="signed"
    )


def wavegan_discriminator(n_samples: int, width: int = 64, shuffle: int = 2, n_classes: int = 0) -> Net:
    """Waves [batch, n_samples] -> logits [batch]: convolutions of 25 taps and stride 4, phase shuffle between them.

    Args:
        n_samples: of a wave.
        width: channels of the first stage, doubled by each further one; the paper's d.
        shuffle: places by which the maps between the stages are moved at random while it trains, see `phase_shuffle`;
            0 for none, 2 is the paper's.
        n_classes: with more than 0, `apply` needs labels `y` [batch], which enter by projection onto the last map
            (Miyato & Koyama 2018).

    Source:
        Donahue et al. 2019, Adversarial Audio Synthesis, table 4 and section 3.3.
    """
    return functional(lambda rngs: WaveDiscriminator(n_samples, width, shuffle, n_classes, rngs=rngs))


def wave_encoder(n_samples: int, n_out: int, width: int = 16, n_classes: int = 0) -> Net:
    """Waves [batch, n_samples] -> [batch, n_out]: strided convolutions, group norm and SiLU, then a linear layer.

    Args:
        n_samples: of a wave.
        n_out: outputs, twice z_dim for a diagonal normal.
        width: channels of the first stage, doubled by each further one up to 8 * width.
        n_classes: with more than 0, `apply` needs labels `y` [batch], whose embedding joins the first stage.
    """
    return functional(lambda rngs: WaveEncoder(n_samples, n_out, width, n_classes, rngs=rngs))


def wave_decoder(
    z_dim: int, n_samples: int, n_out: int = 1, width: int = 16, n_classes: int = 0, spectra: bool = False
) -> Net:
    """z [batch, z_dim] -> [batch, n_samples, n_out], the likelihood's raw parameters: mirrors `wave_encoder`.

    With `spectra` the first parameter is a wave of short spectra (`SpectralFrames`) in the place of the last three
    stages, and the others are constant over 64 samples.

    Raises:
        UsageError: the wave is too short for its stages.

    Example:
        >>> net = wave_decoder(4, 2000, 2, width=4)
        >>> params, state = jax.eval_shape(net.init, jax.random.key(0))
        >>> jax.eval_shape(net.apply, params, state, jnp.zeros((3, 4)))[0].shape
        (3, 2000, 2)
    """
    return functional(lambda rngs: WaveDecoder(z_dim, n_samples, n_out, width, n_classes, spectra, rngs=rngs))


def phase_shuffle(h: Maps, key: Key | None, n: int, train: bool) -> Maps:
    """Moves each example's maps by -n to n places, all equally likely, mirrored at the end; in training only.

    A transposed convolution leaves traces at fixed phases, which a discriminator would otherwise learn to see.

    Raises:
        ValueError: training without a key.

    Source:
        Donahue et al. 2019, Adversarial Audio Synthesis, section 3.3. There all of a batch move alike.
    """
    if not train or n == 0:
        return h
    if key is None:
        raise ValueError("This net has phase shuffle: in training call it with key=.")
    moves = jax.random.randint(key, (h.shape[0], 1, 1), 0, 2 * n + 1)
    wide, t = jnp.pad(h, ((0, 0), (n, n), (0, 0)), mode="reflect"), h.shape[1]
    # A choice among shifted copies: no gather, whose gradient would be a slow scatter.
    return jnp.asarray(sum(jnp.where(moves == i, wide[:, i : i + t], 0.0) for i in range(2 * n + 1)), h.dtype)


@dataclass(frozen=True)
class Stages:
    """The sizes of a net's stages for waves of `n_samples`, with `width` channels in the first one."""

    n_samples: int
    width: int
    most: int = 16
    """The most channels of a stage, in widths."""

    def __post_init__(self):
        if self.n_samples < LEAST * STRIDE or self.width < 1:
            raise UsageError(
                f"n_samples={self.n_samples} must be at least {LEAST * STRIDE}, and width={self.width} at least 1."
            )

    @property
    def n(self) -> int:
        """How often the wave becomes four times shorter."""
        n = 1
        while self.n_samples >= LEAST * STRIDE ** (n + 1):
            n += 1
        return n

    @property
    def base(self) -> int:
        """Places of the last stage."""
        return -(-self.n_samples // STRIDE**self.n)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels after each stage, from the wave inward."""
        return tuple(self.width * min(2**i, self.most) for i in range(self.n))

    @property
    def n_features(self) -> int:
        """Elements of the last map."""
        return self.base * self.widths[-1]

    def outward(self, spectra: bool) -> tuple[int, ...]:
        """Channels from the last stage to the wave, or to where spectra stand in for the rest."""
        if spectra and self.n < FRAMED:
            raise UsageError(f"n_samples={self.n_samples}: spectra need at least {LEAST * STRIDE**FRAMED} samples.")
        return self.widths[::-1][: self.n - FRAMED + 1 if spectra else None]

    def fill(self, x: Waves) -> Maps:
        """Silence after waves, until the stages divide them, and a channel axis."""
        return jnp.pad(x, ((0, 0), (0, self.base * STRIDE**self.n - self.n_samples)))[..., None]


class StridedConv1d(nnx.Module):
    """Convolution along t with stride `STRIDE`."""

    def __init__(self, n_in: int, n_out: int, *, init: Init = lecun, rngs: nnx.Rngs):
        self.kernel = nnx.Param(init(rngs.params(), (SIZE, n_in, n_out)))
        self.bias = nnx.Param(jnp.zeros(n_out, jnp.float32))

    def __call__(self, x: Maps) -> Float[Array, "batch t2 c2"]:
        return plus(conv1d(x, self.kernel[...].astype(x.dtype), STRIDE), self.bias[...][None, None])


class ConvTranspose1d(nnx.Module):
    """Transposed convolution along t. The initialiser sees the fan-in of one sample, n_in * SIZE / STRIDE."""

    def __init__(self, n_in: int, n_out: int, *, init: Init = lecun, rngs: nnx.Rngs):
        # As if STRIDE convolutions made the samples between two places: of 7 taps each, one of 6 in truth.
        taps = -(-SIZE // STRIDE)
        kernel = init(rngs.params(), (taps, n_in, STRIDE * n_out))
        kernel = kernel.reshape(taps, n_in, STRIDE, n_out).transpose(0, 2, 3, 1)
        self.kernel = nnx.Param(kernel.reshape(taps * STRIDE, n_out, n_in)[:SIZE])
        self.bias = nnx.Param(jnp.zeros(n_out, jnp.float32))

    def __call__(self, x: Maps) -> Float[Array, "batch t2 c2"]:
        return plus(conv1d_transpose(x, self.kernel[...].astype(x.dtype), STRIDE), self.bias[...][None, None])


class WaveGenerator(nnx.Module):
    """See `wavegan_generator`."""

    def __init__(self, z_dim: int, n_samples: int, width: int, n_classes: int, spectra: bool, *, rngs: nnx.Rngs):
        self.stages = Stages(n_samples, width)
        sizes = self.stages.outward(spectra)
        n = self.stages.n_features
        self.label = embed(n_classes, z_dim, rngs=rngs)
        self.stem = Dense(z_dim * (2 if n_classes else 1), n, init=he(), rngs=rngs)
        self.up = nnx.List([ConvTranspose1d(a, b, init=he(), rngs=rngs) for a, b in pairwise(sizes)])
        if spectra:
            self.out = SpectralFrames(sizes[-1], STRIDE**FRAMED, rngs=rngs)
        else:
            self.out = ConvTranspose1d(sizes[-1], 1, rngs=rngs)

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y: Labels) -> Waves:
        h = z if self.label is None else jnp.concatenate([z, self.label(y).astype(z.dtype)], 1)
        h = jax.nn.relu(self.stem(h)).reshape(z.shape[0], self.stages.base, -1)
        for up in self.up:
            h = jax.nn.relu(up(h))
        wave = self.out(h).reshape(z.shape[0], -1)[:, : self.stages.n_samples]
        return jnp.tanh(at_least_float32(wave))


class WaveDiscriminator(nnx.Module):
    """See `wavegan_discriminator`."""

    def __init__(self, n_samples: int, width: int, shuffle: int, n_classes: int, *, rngs: nnx.Rngs):
        self.stages, self.shuffle = Stages(n_samples, width), shuffle
        n = self.stages.n_features
        pairs = pairwise((1, *self.stages.widths))
        self.down = nnx.List([StridedConv1d(a, b, init=he(0.2), rngs=rngs) for a, b in pairs])
        self.logit = Dense(n, 1, rngs=rngs)
        self.label = embed(n_classes, n, init=normal(n**-0.5), rngs=rngs)

    def __call__(self, x: Waves, *, train: bool, key: Key | None, y: Labels) -> Float[Array, " batch"]:
        h = self.stages.fill(x)
        for i, down in enumerate(self.down):
            if i:
                h = phase_shuffle(h, None if key is None else jax.random.fold_in(key, i), self.shuffle, train)
            h = leaky(down(h))
        h = at_least_float32(h).reshape(x.shape[0], -1)
        return self.logit(h)[:, 0] + projection(h, self.label, y)


class WaveEncoder(nnx.Module):
    """See `wave_encoder`."""

    def __init__(self, n_samples: int, n_out: int, width: int, n_classes: int, *, rngs: nnx.Rngs):
        self.stages = Stages(n_samples, width, most=8)
        sizes = self.stages.widths
        self.down = nnx.List([StridedConv1d(a, b, rngs=rngs) for a, b in pairwise((1, *sizes))])
        self.norms = nnx.List([GroupNorm(c) for c in sizes])
        self.label = embed(n_classes, sizes[0], rngs=rngs)
        self.out = Dense(self.stages.n_features, n_out, rngs=rngs)

    def __call__(self, x: Waves, *, train: bool, key, y: Labels) -> Float[Array, "batch n_out"]:
        h = self.stages.fill(x)
        for i, (down, norm) in enumerate(zip(self.down, self.norms, strict=True)):
            h = down(h)
            if i == 0 and self.label is not None:
                h = plus(h, self.label(y)[:, None, :])
            h = jax.nn.silu(norm(h[:, None])[:, 0])
        return self.out(h.reshape(x.shape[0], -1))


class WaveDecoder(nnx.Module):
    """See `wave_decoder`."""

    def __init__(
        self, z_dim: int, n_samples: int, n_out: int, width: int, n_classes: int, spectra: bool, *, rngs: nnx.Rngs
    ):
        self.stages = Stages(n_samples, width, most=8)
        sizes = self.stages.outward(spectra)
        self.stem = Dense(z_dim, self.stages.n_features, rngs=rngs)
        self.label = embed(n_classes, self.stages.n_features, rngs=rngs)
        self.norms = nnx.List([GroupNorm(c) for c in sizes])
        self.up = nnx.List([ConvTranspose1d(a, b, rngs=rngs) for a, b in pairwise(sizes)])
        self.wave = SpectralFrames(sizes[-1], STRIDE**FRAMED, rngs=rngs) if spectra else None
        if spectra:
            self.out = Dense(sizes[-1], n_out - 1, rngs=rngs)
        else:
            self.out = ConvTranspose1d(sizes[-1], n_out, rngs=rngs)

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y: Labels) -> Float[Array, "batch t n_out"]:
        h = self.stem(z)
        if self.label is not None:
            h = plus(h, self.label(y))
        h = h.reshape(z.shape[0], self.stages.base, -1)
        for norm, up in zip(list(self.norms)[:-1], self.up, strict=True):
            h = up(jax.nn.silu(norm(h[:, None])[:, 0]))
        h = jax.nn.silu(self.norms[-1](h[:, None])[:, 0])
        out = self.out(h)
        if self.wave is not None:
            rest = jnp.repeat(at_least_float32(out), STRIDE**FRAMED, axis=1)
            out = jnp.concatenate([self.wave(h)[..., None], rest], axis=-1)
        return out[:, : self.stages.n_samples]
