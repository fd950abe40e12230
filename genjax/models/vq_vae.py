"""The vector-quantised autoencoder: latents from a codebook that follows the encoder by running means."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax import distributions
from genjax.models.contract import Pass
from genjax.models.labels import labels_for
from genjax.types import Key, Net, Params, PerExample, Range, Running, State, masked


@dataclass(frozen=True)
class VQVAE:
    """An encoder whose n_latents vectors are each replaced by the nearest of n_codes codes, and p(x | codes).

    The codes are running means of the encoder's vectors that chose them, the player `"codebook"`, which `players`
    brings to the step. The prior of each latent is how often it has chosen each code lately: with it
    -(distortion + rate) is a bound on log p(x), and samples are draws of independent codes. (Better ones take a learned
    prior over codes.)

    The one player with parameters is `"vae"`.

    Args:
        encoder: (batch, ...) data -> (batch, n_latents * code_dim).
        decoder: (batch, n_latents * code_dim) -> what the likelihood takes: (batch, h, w, likelihood.n_out(c)).
        n_latents: codes that an example is told by, at least 1.
        n_codes: codes to choose from, at least 2.
        code_dim: dimensions of a code, at least 1.
        likelihood: what p(x | codes) is.
        channels: channels c of the data.
        n_classes: 0 for an unconditional model.
        commitment: weight of the squared distance of the encoder's vectors to their codes; the paper's beta is 0.25.
        decay: of the running means in one update, 0 <= decay < 1.

    Source:
        van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning, appendix A.1 for the means.
    """

    encoder: Net
    decoder: Net
    n_latents: int
    n_codes: int
    code_dim: int
    likelihood: distributions.Likelihood = field(default_factory=distributions.bernoulli)
    channels: int = 1
    n_classes: int = 0
    commitment: Any = 0.25
    decay: float = 0.99

    family = "VAE"

    def __post_init__(self):
        for name, least in (("n_latents", 1), ("n_codes", 2), ("code_dim", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}.")

    @property
    def z_dim(self) -> int:
        """Numbers that the decoder gets of an example."""
        return self.n_latents * self.code_dim

    @property
    def ranges(self) -> tuple[tuple[Range, ...], str]:
        """The ranges of x that the model is for, and whose they are."""
        return self.likelihood.support, f"the {self.likelihood.name} likelihood"

    @property
    def players(self) -> dict[str, Running]:
        """The codebook: how often each code is chosen (in all and by each latent), and the sums of its vectors."""
        return {"codebook": Running(self._start, self._follow)}

    def _start(self, key: Key) -> State:
        count = jnp.full(self.n_codes, self.n_latents / self.n_codes, jnp.float32)
        usage = jnp.full((self.n_latents, self.n_codes), 1.0 / self.n_codes, jnp.float32)
        codes = jax.random.normal(key, (self.n_codes, self.code_dim))
        return {"count": count, "sum": count[:, None] * codes, "usage": usage}

    def _follow(self, state: State, observed: State, n: int) -> State:
        return jax.tree.map(lambda old, new: self.decay * old + (1.0 - self.decay) * new, state, observed)

    def init(self, key: Key) -> tuple[Params, State]:
        k_enc, k_dec = jax.random.split(key)
        (enc, s_enc), (dec, s_dec) = self.encoder.init(k_enc), self.decoder.init(k_dec)
        params = {"encoder": enc, "decoder": dec, "likelihood": self.likelihood.init(self.channels)}
        return {"vae": params}, {"vae": {"encoder": s_enc, "decoder": s_dec}}

    def codes(self, state: State) -> Float[Array, "k d"]:
        """The codebook; a code that nothing chooses any more stays where it was."""
        return state["codebook"]["sum"] / jnp.maximum(state["codebook"]["count"], 1e-12)[:, None]

    def log_prior(self, state: State) -> Float[Array, "n k"]:
        """Log probability of each code, for each latent, in nats; none is 0."""
        usage = state["codebook"]["usage"] + 1e-5
        return jnp.log(usage / usage.sum(1, keepdims=True))

    def forward(self, params: Params, state: State, x, y=None, *, train=False, key: Key, event_mask=None) -> Pass:
        """x encoded, quantised (the gradient passes straight through), and decoded."""
        mine, s, codes = params["vae"], state["vae"], self.codes(state)
        k_encode, k_decode = jax.random.split(key)
        mask = masked(event_mask)
        seen = self.likelihood.seen(x)
        h, s_enc = self.encoder.apply(mine["encoder"], s["encoder"], seen, train=train, key=k_encode, y=y, **mask)
        v = h.astype(jnp.float32).reshape(-1, self.n_latents, self.code_dim)
        chosen = jax.nn.one_hot(nearest(v, codes), self.n_codes)
        quantised = chosen @ codes
        z = (v + jax.lax.stop_gradient(quantised - v)).reshape(v.shape[0], -1)
        out, s_dec = self.decoder.apply(mine["decoder"], s["decoder"], z, train=train, key=k_decode, y=y)
        p = self.likelihood.apply(mine["likelihood"], out.astype(jnp.float32))
        rate = -(chosen * self.log_prior(state)[None]).sum(2)
        commitment = self.commitment * jnp.square(v - jax.lax.stop_gradient(quantised)).sum((1, 2))

        def observe(weights: PerExample) -> dict[str, Any]:
            usage, total = jnp.einsum("b,bnk->nk", weights, chosen), jnp.einsum("b,bnk,bnd->kd", weights, chosen, v)
            return {"codebook": {"count": usage.sum(0), "sum": total, "usage": usage}}

        return Pass(p, rate, z, {"vae": {"encoder": s_enc, "decoder": s_dec}}, None, commitment, observe)

    def noise(self, key: Key, n: int, temperature: float | int = 1.0) -> Float[Array, "n latents codes"]:
        """Gumbel draws, times a temperature: below 1 the likelier codes are chosen more often."""
        return distributions.scaled(jax.random.gumbel(key, (n, self.n_latents, self.n_codes), jnp.float32), temperature)

    def latents(self, params: Params, state: State, noise: Any) -> Float[Array, "n z"]:
        """The codes that noise chooses by the prior, as the decoder gets them."""
        return self.codes(state)[jnp.argmax(self.log_prior(state)[None] + noise, axis=2)].reshape(noise.shape[0], -1)

    def sample(self, params: Params, state: State, key: Key, n: int, y: Int[Array, " batch"] | None = None):
        """`generate` of n draws of noise, (n, *event) in the likelihood's range."""
        return self.generate(params, state, self.noise(key, n), y)

    def generate(self, params: Params, state: State, noise: Any, y: Int[Array, " batch"] | None = None):
        """The likelihood's pictures of codes chosen by noise; labels default to 0, 1, 2, ... in turn."""
        return self.likelihood.picture(self._decoded(params, state, self.latents(params, state, noise), y))

    def picture(self, params: Params, state: State, z: Float[Array, "batch z"], y: Int[Array, " batch"] | None = None):
        """The likelihood's picture of p(x | z), in the likelihood's range."""
        return self.likelihood.picture(self._decoded(params, state, z, y))

    def draw(self, params: Params, state: State, noise: Any, key: Key, y: Int[Array, " batch"] | None = None):
        """Draws from p(x | codes) of codes chosen by noise."""
        return self._decoded(params, state, self.latents(params, state, noise), y).sample(key)

    def _decoded(self, params: Params, state: State, z: Float[Array, "batch z"], y: Int[Array, " batch"] | None):
        mine, y = params["vae"], labels_for(z.shape[0], self.n_classes, y)
        out, _ = self.decoder.apply(mine["decoder"], state["vae"]["decoder"], z, y=y)
        return self.likelihood.apply(mine["likelihood"], out.astype(jnp.float32))


def nearest(v: Float[Array, "*n d"], codes: Float[Array, "k d"]) -> Int[Array, "*n"]:
    """The index of the code nearest to each vector.

    Example:
        >>> nearest(jnp.array([[0.2], [0.9]]), jnp.array([[0.0], [1.0]])).tolist()
        [0, 1]
    """
    square = jnp.square(codes).sum(1).reshape(*(1,) * (v.ndim - 1), -1)
    return jnp.argmin(square - 2.0 * v @ codes.T, axis=-1)
