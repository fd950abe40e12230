"""The variational autoencoder of sequences: a latent vector for each step, whose prior follows those before it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from genjax import distributions
from genjax.distributions.numerics import LOG_2PI, at_least_float32, sum_event
from genjax.models.contract import Pass
from genjax.nets.over_time import moved
from genjax.types import Key, Net, Params, PerExample, Range, State, masked


class SequencePrior(NamedTuple):
    """p(z) = prod_t N(z_t; mu(z_<t), sigma(z_<t)), of flattened z; N(0, 1) in steps that do not count."""

    model: "SequenceVAE"
    params: Params
    state: State
    mask: Any = None

    def log_prob(self, z: Float[Array, "batch n"]) -> PerExample:
        """Log density per example, nats. With a mask of m rows, z may be so many rows several times over."""
        steps = z.reshape(z.shape[0], -1, self.model.code_dim)
        mask = self.mask
        if mask is not None:
            mask = jnp.broadcast_to(mask[None], (z.shape[0] // mask.shape[0], *mask.shape)).reshape(-1, mask.shape[1])
        p = self.model.transition_of(self.params, self.state, steps, mask)
        terms = p.logvar + jnp.square(at_least_float32(steps) - p.mu) * jnp.exp(-p.logvar) + LOG_2PI
        return -0.5 * sum_event(terms)


@dataclass(frozen=True)
class SequenceVAE:
    """A deep Markov model of longer memory: q(z_t | x) for each step, p(z_t | z_<t), and p(x_t | z_t).

    With `nets.remembering` as decoder and its chain as likelihood the last is p(x_t | z_t, x_<t). All steps of a
    sequence are trained at once: the posterior of a step sees the whole sequence, and the prior of all steps is one
    causal net over the posterior's samples. Samples are made step by step. The one player is `"vae"`.

    Args:
        encoder: (batch, t, channels) -> (batch, t, 2 code_dim), with `event_mask`.
        transition: (batch, t, code_dim) -> (batch, t, 2 code_dim), causal, with `event_mask`: mu and logvar of p(z_t),
            the step before each standing in its place.
        decoder: (batch, t, code_dim) -> (batch, t, likelihood.n_out(channels)), each step by itself; or what an
            autoregressive likelihood takes.
        code_dim: latent dimensions of a step, at least 1.
        steps: of a sample.
        memory: steps that the transition sees.
        likelihood: what p(x_t | z_t) is, or p(x | z) of all steps.
        channels: numbers of a step of the data.

    Source:
        Krishnan, Shalit & Sontag 2017, Structured Inference Networks for Nonlinear State Space Models (deep Markov
        models); with longer memory: Chung et al. 2015, A Recurrent Latent Variable Model for Sequential Data.
    """

    encoder: Net
    transition: Net
    decoder: Net
    code_dim: int
    steps: int
    memory: int
    likelihood: distributions.Likelihood = field(default_factory=distributions.bernoulli)
    channels: int = 88
    n_classes: int = field(default=0, init=False)

    family = "VAE"

    def __post_init__(self):
        if self.code_dim < 1:
            raise ValueError(f"code_dim={self.code_dim} must be at least 1.")

    @property
    def z_dim(self) -> int:
        """Latent dimensions of a sample, all steps together."""
        return self.steps * self.code_dim

    @property
    def ranges(self) -> tuple[tuple[Range, ...], str]:
        """The ranges of x that the model is for, and whose they are."""
        return self.likelihood.support, f"the {self.likelihood.name} likelihood"

    def init(self, key: Key) -> tuple[Params, State]:
        nets = {"encoder": self.encoder, "transition": self.transition, "decoder": self.decoder}
        made = {n: net.init(k) for (n, net), k in zip(nets.items(), jax.random.split(key, 3), strict=True)}
        params = {n: p for n, (p, _) in made.items()}
        params |= {"likelihood": self.likelihood.init(self.channels), "start": jnp.zeros(self.code_dim, jnp.float32)}
        return {"vae": params}, {"vae": {n: s for n, (_, s) in made.items()}}

    def _posterior(self, params: Params, state: State, x, *, train: bool, key, mask) -> distributions.Normal:
        h, _ = self.encoder.apply(params["encoder"], state["encoder"], x, train=train, key=key, **masked(mask))
        mu, raw = jnp.split(at_least_float32(h), 2, axis=-1)
        return _normals(mu, raw - 2.0, mask)  # narrow to begin with: else the first samples say nothing of x

    def transition_of(self, params: Params, state: State, z, mask=None, *, train=False, key=None):
        """p(z_t | z_<t) of all steps of z (batch, t, z): normals, N(0, 1) where a step does not count."""
        first = jnp.broadcast_to(params["start"], z[:, :1].shape).astype(z.dtype)
        before = jnp.concatenate([first, z[:, :-1]], axis=1)
        h, _ = self.transition.apply(
            params["transition"], state["transition"], before, train=train, key=key, **masked(mask)
        )
        mu, logvar = jnp.split(at_least_float32(h), 2, axis=-1)
        return _normals(mu, logvar, mask)

    def forward(self, params: Params, state: State, x, y=None, *, train=False, key: Key, event_mask=None) -> Pass:
        """x encoded, one sample of every z_t, and all steps decoded; the rate is in one group for each step."""
        mine, s = params["vae"], state["vae"]
        k_encode, k_z, k_prior, k_decode = jax.random.split(key, 4)
        q = self._posterior(mine, s, x, train=train, key=k_encode, mask=event_mask)
        z = q.sample(k_z)
        p = self.transition_of(mine, s, z, event_mask, train=train, key=k_prior)
        out, _ = self.decoder.apply(mine["decoder"], s["decoder"], z, train=train, key=k_decode)
        flat = z.reshape(z.shape[0], -1)
        return Pass(self.likelihood.apply(mine["likelihood"], out), q.kl_terms(p).sum(2), flat, {"vae": s})

    def encode(self, params: Params, state: State, x, y=None, *, train=False, key=None, event_mask=None):
        """q(z | x) of flattened z, (batch, t * code_dim), and the state."""
        q = self._posterior(params, state, x, train=train, key=key, mask=event_mask)
        flat = [jnp.broadcast_to(v, q.shape).reshape(x.shape[0], -1) for v in q]
        return distributions.Normal(*flat), state

    def decode(self, params: Params, state: State, z: Float[Array, "batch n"], y=None, *, train=False, key=None):
        """p(x | z) of flattened z, and the state."""
        steps = z.reshape(z.shape[0], -1, self.code_dim)
        out, _ = self.decoder.apply(params["decoder"], state["decoder"], steps, train=train, key=key)
        return self.likelihood.apply(params["likelihood"], out), state

    def prior_of(self, params: Params, state: State, event_mask=None) -> SequencePrior:
        """p(z) of flattened z."""
        return SequencePrior(self, params, state, event_mask)

    def noise(self, key: Key, n: int, temperature: float | int = 1.0) -> Float[Array, "n z"]:
        """What n sequences are made of: a normal vector for each step, flattened."""
        return distributions.scaled(jax.random.normal(key, (n, self.z_dim), jnp.float32), temperature)

    def latents(self, params: Params, state: State, noise: Float[Array, "n z"]) -> Float[Array, "n z"]:
        """Noise as latents of the prior, one step after the other."""
        mine, s = params["vae"], state["vae"]
        n, size = noise.shape[0], self.memory
        noise = noise.reshape(n, self.steps, self.code_dim)

        def step(carry, eps):
            window, counts = carry  # what stood in the place of the last `memory` steps, and which of them there are
            h, _ = self.transition.apply(mine["transition"], s["transition"], window, event_mask=counts)
            mu, logvar = jnp.split(at_least_float32(h[:, -1]), 2, axis=-1)
            z = mu + jnp.exp(0.5 * logvar) * eps
            return (moved(window, z), moved(counts, jnp.ones(n, bool))), z

        start = jnp.broadcast_to(mine["start"], (n, self.code_dim)).astype(jnp.float32)
        window = moved(jnp.zeros((n, size, self.code_dim), jnp.float32), start)
        counts = moved(jnp.zeros((n, size), bool), jnp.ones(n, bool))
        z = lax.scan(step, (window, counts), jnp.swapaxes(noise, 0, 1))[1]
        return z.swapaxes(0, 1).reshape(n, -1)

    def sample(self, params: Params, state: State, key: Key, n: int, y: Int[Array, " batch"] | None = None):
        """n sequences (n, t, channels), as `generate` gives them."""
        return self.generate(params, state, self.noise(key, n), y)

    def generate(self, params: Params, state: State, noise: Any, y: Int[Array, " batch"] | None = None):
        """The mean of p(x | z): of notes the chance of each."""
        return self.picture(params, state, self.latents(params, state, noise), y)

    def picture(self, params: Params, state: State, z: Float[Array, "n z"], y: Int[Array, " batch"] | None = None):
        """The likelihood's picture of p(x | z)."""
        return self.likelihood.picture(self.decode(params["vae"], state["vae"], z)[0])

    def draw(self, params: Params, state: State, noise: Any, key: Key, y: Int[Array, " batch"] | None = None):
        """Draws from p(x | z)."""
        return self.decode(params["vae"], state["vae"], self.latents(params, state, noise))[0].sample(key)


def _normals(mu: Any, logvar: Any, mask: Any) -> distributions.Normal:
    """Normals of all steps; N(0, 1) where a step does not count."""
    if mask is None:
        return distributions.Normal(mu, logvar)
    here = mask[:, :, None].astype(bool)
    return distributions.Normal(jnp.where(here, mu, 0.0), jnp.where(here, logvar, 0.0))
