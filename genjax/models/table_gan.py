"""The conditional GAN of a table's rows: asked for a category, it gives a whole row that has it."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax.distributions import scaled
from genjax.distributions.product import Part, relaxed, stretches
from genjax.types import Key, Net, Params, PerExample, State


@dataclass(frozen=True)
class TableGAN:
    """A generator of coded rows from z ~ N(0, I) and a condition, and a critic of rows and their condition.

    The condition is one category of one column. In training it comes with the real rows (`objectives.table_gan`);
    samples are asked for a column at random and a category as often as the data have it, so that they are rows of
    the data's own distribution. The players are `"g"` and `"d"`.

    Args:
        generator: (batch, z_dim + conditions) -> (batch, n), raw outputs.
        discriminator: (batch, n + conditions) -> (batch,) logits.
        parts: how a coded row is made up, see `distributions.product`.
        shares: of each column with conditions, its place among the parts and how often each category is there.
        z_dim: latent dimensions, at least 1.
        tau: temperature of the generator's choices.

    Source:
        Xu et al. 2019, Modeling Tabular Data using Conditional GAN.
    """

    generator: Net
    discriminator: Net
    parts: tuple[Part, ...]
    shares: tuple[tuple[int, tuple[float, ...]], ...]
    z_dim: int
    tau: float = 0.2
    n_classes: int = field(default=0, init=False)

    family = "GAN"

    def __post_init__(self):
        if self.z_dim < 1:
            raise ValueError(f"z_dim={self.z_dim} must be at least 1.")

    @property
    def n_conditions(self) -> int:
        """Categories that may be asked for, of all columns."""
        return sum(len(share) for _, share in self.shares)

    @property
    def width(self) -> int:
        """Numbers of a coded row."""
        return sum(p.size for p in self.parts)

    def init(self, key: Key) -> tuple[Params, State]:
        k_g, k_d = jax.random.split(key)
        (g, s_g), (d, s_d) = self.generator.init(k_g), self.discriminator.init(k_d)
        return {"g": g, "d": d}, {"g": s_g, "d": s_d}

    def noise(self, key: Key, n: int, temperature: float | int = 1.0) -> Float[Array, "n m"]:
        """Normal draws of n samples: z, then one for each number of a row, then one for each condition."""
        m = self.z_dim + self.width + self.n_conditions
        return scaled(jax.random.normal(key, (n, m), jnp.float32), temperature)

    def _draws(self, noise: Float[Array, "n m"]):
        """z, the Gumbel draws of a row's choices, and the condition that the noise asks for; None without any."""
        z, of_row, of_condition = jnp.split(noise, [self.z_dim, self.z_dim + self.width], axis=1)
        if not self.shares:
            return z, _gumbel(of_row), None
        share = jnp.array([s / len(self.shares) for _, each in self.shares for s in each], jnp.float32)
        return z, _gumbel(of_row), (jnp.log(share)[None] + _gumbel(of_condition)).argmax(1)

    def condition(self, y: Int[Array, " batch"]) -> Float[Array, "batch conditions"]:
        """What is asked for as the nets see it."""
        return jax.nn.one_hot(y, self.n_conditions)

    def outputs(self, params: Params, state: State, noise: Float[Array, "n m"], y=None, *, train=False, key=None):
        """The generator's raw outputs and its state, from those of the player `"g"`."""
        z, _, own = self._draws(noise)
        y = own if y is None else y
        h = z if y is None else jnp.concatenate([z, self.condition(y)], 1)
        return self.generator.apply(params, state, h, train=train, key=key)

    def fake(self, params: Params, state: State, noise: Float[Array, "n m"], y=None, *, train=False, key=None):
        """Relaxed rows, and the generator's state."""
        out, s = self.outputs(params, state, noise, y, train=train, key=key)
        return relaxed(self.parts, out, self._draws(noise)[1], self.tau), s

    def logits(self, params: Params, state: State, x, y=None, *, train=False, key=None) -> tuple[PerExample, State]:
        """The critic's logits of coded rows and what they were asked for, from the player `"d"`'s; likewise its state.

        Without y a row is asked for its own categories, one column after the other; the logit is their mean.
        """
        if y is not None or not self.shares:
            h = x if y is None else jnp.concatenate([x, self.condition(y)], 1)
            return self.discriminator.apply(params, state, h, train=train, key=key)
        own = [self.logits(params, state, x, y, train=train, key=key)[0] for y in self.conditions_of(x)]
        return jnp.stack(own).mean(0), state

    def conditions_of(self, x: Float[Array, "batch n"]) -> list[Int[Array, " batch"]]:
        """The number of each row's own category among all conditions, for each column that has some."""
        pairs, found, before = stretches(self.parts, x), [], 0
        for place, share in self.shares:
            found.append(before + pairs[place][1].argmax(-1))
            before += len(share)
        return found

    def sample(self, params: Params, state: State, key: Key, n: int, y: Int[Array, " batch"] | None = None):
        """n coded rows (n, width), from parameters and states over players."""
        return self.generate(params, state, self.noise(key, n), y)

    def generate(self, params: Params, state: State, noise: Any, y: Int[Array, " batch"] | None = None):
        """Relaxed rows of noise, with running statistics."""
        return self.fake(params["g"], state["g"], noise, y)[0]

    def draw(self, params: Params, state: State, noise: Any, key: Key, y: Int[Array, " batch"] | None = None):
        """As `generate`: the noise of choices is a part of `noise`."""
        return self.generate(params, state, noise, y)


def _gumbel(normal: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Normal draws as standard Gumbel ones, -log(-log Phi): the largest of shifted ones is a draw of a choice."""
    return -jnp.log(-jax.scipy.special.log_ndtr(normal))
