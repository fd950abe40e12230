"""A language model as a bundle of pure functions: the likelihood of an autoencoder without latents."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax import distributions
from genjax.models.contract import Pass
from genjax.models.labels import labels_for
from genjax.types import Key, Net, Params, Range, State


@dataclass(frozen=True)
class LanguageModel:
    """p(x), or p(x | y), by an autoregressive decoder that gets no latents; the player is `"vae"`, as an autoencoder's.

    It is an autoencoder whose rate is 0 to whoever trains or measures one: `objectives.vae` is its exact likelihood.

    Args:
        decoder: (batch, 0) -> what the likelihood takes; from `nets.gru_decoder` with z_dim=0.
        likelihood: what p(x) is, `distributions.autoregressive(chain)`.
        n_classes: 0 for an unconditional model.
    """

    decoder: Net
    likelihood: distributions.Likelihood
    n_classes: int = 0

    family = ""
    z_dim = 0

    @property
    def ranges(self) -> tuple[tuple[Range, ...], str]:
        """The ranges of x that the model is for, and whose they are."""
        return self.likelihood.support, f"the {self.likelihood.name} likelihood"

    def init(self, key: Key) -> tuple[Params, State]:
        params, state = self.decoder.init(key)
        return {"vae": {"decoder": params}}, {"vae": {"decoder": state}}

    def of(self, params: Params, state: State, n: int, y=None, *, train=False, key=None) -> tuple[Any, State]:
        """p(x | y) of n examples, and the states, from those over players."""
        z, labels = jnp.zeros((n, 0), jnp.float32), labels_for(n, self.n_classes, y)
        mine = params["vae"]["decoder"], state["vae"]["decoder"]
        out, s = self.decoder.apply(*mine, z, train=train, key=key, y=labels)
        return self.likelihood.apply({}, out), {"vae": {"decoder": s}}

    def forward(self, params: Params, state: State, x, y=None, *, train=False, key=None, event_mask=None) -> Pass:
        """The distribution of x; nothing is encoded."""
        n = x.shape[0]
        p, s = self.of(params, state, n, y, train=train, key=key)
        return Pass(p, jnp.zeros((n, 1), jnp.float32), jnp.zeros((n, 0), jnp.float32), s)

    def noise(self, key: Key, n: int, temperature: float | int = 1.0) -> Float[Array, " n"]:
        """The temperature of each sample's draws: all of their noise is that of p(x)."""
        return jnp.full((n,), temperature, jnp.float32)

    def latents(self, params: Params, state: State, noise: Any) -> Float[Array, "n 0"]:
        """An array without columns, a row per sample: a language model has no latents."""
        return jnp.zeros((noise.shape[0], 0), jnp.float32)

    def picture(self, params: Params, state: State, z: Float[Array, "batch 0"], y: Int[Array, " batch"] | None = None):
        """As `generate`."""
        return self.generate(params, state, z, y)

    def generate(self, params: Params, state: State, noise: Any, y: Int[Array, " batch"] | None = None):
        """The likelihood's picture of p(x | y), the same for all examples of a label."""
        return self.likelihood.picture(self.of(params, state, noise.shape[0], y)[0])

    def draw(self, params: Params, state: State, noise: Any, key: Key, y: Int[Array, " batch"] | None = None):
        """Samples of p(x | y); at a temperature below 1 of likelier ones."""
        return self.of(params, state, noise.shape[0], y)[0].sample(key, noise)

    def sample(self, params: Params, state: State, key: Key, n: int, y: Int[Array, " batch"] | None = None):
        """n samples."""
        return self.draw(params, state, self.noise(key, n), key, y)
