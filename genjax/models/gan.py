"""The generative adversarial network as a bundle of pure functions."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax import distributions
from genjax.models.labels import labels_for
from genjax.types import Key, Net, Params, PerExample, Range, State, masked


@dataclass(frozen=True)
class GAN:
    """A generator x = G(z, y) with z ~ N(0, I), and a discriminator that gives each x a logit.

    The players are `"g"` and `"d"`.

    Args:
        generator: (batch, z_dim) -> (batch, *event).
        discriminator: (batch, *event) -> (batch,) logits.
        z_dim: latent dimensions, at least 1.
        n_classes: 0 for an unconditional model.

    Source:
        Goodfellow et al. 2014, Generative Adversarial Nets.
    """

    generator: Net
    discriminator: Net
    z_dim: int
    n_classes: int = 0

    family = "GAN"

    def __post_init__(self):
        if self.z_dim < 1:
            raise ValueError(f"z_dim={self.z_dim} must be at least 1.")

    @property
    def ranges(self) -> tuple[tuple[Range, ...], str]:
        """The range of x that the generator can reach, where it is known, and whose it is."""
        return () if self.generator.range is None else (self.generator.range,), "the generator's output"

    def init(self, key: Key) -> tuple[Params, State]:
        k_g, k_d = jax.random.split(key)
        (g, s_g), (d, s_d) = self.generator.init(k_g), self.discriminator.init(k_d)
        return {"g": g, "d": d}, {"g": s_g, "d": s_d}

    def noise(self, key: Key, n: int, temperature: float | int = 1.0) -> Float[Array, "n z"]:
        """Latents of n samples: N(0, temperature^2 I)."""
        return distributions.scaled(jax.random.normal(key, (n, self.z_dim), jnp.float32), temperature)

    def fake(self, params: Params, state: State, z: Float[Array, "batch z"], y=None, *, train=False, key=None):
        """G(z, y) and the generator's state, from those of the player `"g"`."""
        return self.generator.apply(params, state, z, train=train, key=key, y=y)

    def logits(
        self, params: Params, state: State, x, y=None, *, train=False, key=None, event_mask=None
    ) -> tuple[PerExample, State]:
        """D(x, y) per example and the discriminator's state, from those of the player `"d"`."""
        return self.discriminator.apply(params, state, x, train=train, key=key, y=y, **masked(event_mask))

    def sample(self, params: Params, state: State, key: Key, n: int, y: Int[Array, " batch"] | None = None):
        """n samples (n, *event) in the generator's range, from parameters and states over players."""
        return self.generate(params, state, self.noise(key, n), y)

    def draw(self, params: Params, state: State, noise, key: Key, y: Int[Array, " batch"] | None = None):
        """As `generate`, and with what noise the generator adds itself: that of Gumbel-softmax."""
        return self.fake(params["g"], state["g"], noise, labels_for(noise.shape[0], self.n_classes, y), key=key)[0]

    def generate(self, params: Params, state: State, z: Float[Array, "batch z"], y: Int[Array, " batch"] | None = None):
        """G(z) with running statistics; labels default to 0, 1, 2, ... in turn for a conditional model."""
        return self.fake(params["g"], state["g"], z, labels_for(z.shape[0], self.n_classes, y))[0]
