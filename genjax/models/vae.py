"""The variational autoencoder as a bundle of pure functions."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax import distributions
from genjax.models.contract import Pass
from genjax.models.labels import labels_for
from genjax.types import Key, Net, Params, Range, State, masked


@dataclass(frozen=True)
class VAE:
    """q(z | x) = N(mu(x), diag exp logvar(x)), a prior p(z), and a likelihood p(x | z); q and p(x | z) may depend on y.

    The one player is `"vae"`; `encode`, `decode` and `prior_of` take its parameters and net state, all else those over
    players.

    Args:
        encoder: (batch, ...) data -> (batch, 2 * z_dim), mu and logvar.
        decoder: (batch, z_dim) -> what the likelihood takes: (batch, h, w, likelihood.n_out(c)) for images.
        z_dim: latent dimensions, at least 1.
        likelihood: what p(x | z) is; see `genjax.distributions`.
        channels: channels c of the data.
        n_classes: 0 for an unconditional model.
        prior: what p(z) is, `distributions.vamp(...)`, `distributions.realnvp(...)`; None for N(0, I).

    Source:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes.
    """

    encoder: Net
    decoder: Net
    z_dim: int
    likelihood: distributions.Likelihood = field(default_factory=distributions.bernoulli)
    channels: int = 1
    n_classes: int = 0
    prior: distributions.Prior | None = None

    family = "VAE"

    def __post_init__(self):
        if self.z_dim < 1:
            raise ValueError(f"z_dim={self.z_dim} must be at least 1.")

    @property
    def _prior(self) -> distributions.Prior:
        return self.prior or distributions.standard_normal(self.z_dim)

    @property
    def ranges(self) -> tuple[tuple[Range, ...], str]:
        """The ranges of x that the model is for, and whose they are."""
        return self.likelihood.support, f"the {self.likelihood.name} likelihood"

    def init(self, key: Key) -> tuple[Params, State]:
        k_enc, k_dec = jax.random.split(key)
        (enc, s_enc), (dec, s_dec) = self.encoder.init(k_enc), self.decoder.init(k_dec)
        params = {"encoder": enc, "decoder": dec, "likelihood": self.likelihood.init(self.channels)}
        if prior := self._prior.init(jax.random.fold_in(k_enc, 0)):
            params["prior"] = prior
        return {"vae": params}, {"vae": {"encoder": s_enc, "decoder": s_dec}}

    def encode(
        self, params: Params, state: State, x, y=None, *, train=False, key=None, event_mask=None
    ) -> tuple[distributions.Normal, State]:
        """q(z | x, y), with fields of shape (batch, z)."""
        mask = masked(event_mask)
        seen = self.likelihood.seen(x)
        h, s = self.encoder.apply(params["encoder"], state["encoder"], seen, train=train, key=key, y=y, **mask)
        mu, logvar = jnp.split(h.astype(jnp.float32), 2, axis=-1)
        return distributions.Normal(mu, logvar), {**state, "encoder": s}

    def decode(self, params: Params, state: State, z: Float[Array, "batch z"], y=None, *, train=False, key=None):
        """p(x | z, y), a distribution over (batch, *event), and the state."""
        h, s = self.decoder.apply(params["decoder"], state["decoder"], z, train=train, key=key, y=y)
        h = jax.tree.map(lambda a: a.astype(jnp.float32) if jnp.issubdtype(a.dtype, jnp.floating) else a, h)
        return self.likelihood.apply(params["likelihood"], h), {**state, "decoder": s}

    def prior_of(self, params: Params, state: State, event_mask: Any = None) -> Any:
        """p(z), with `log_prob(z)` in nats; a latent of the whole example has no use for a mask."""
        return self._prior.apply(params.get("prior", {}), self._encoder(params, state))

    def _encoder(self, params: Params, state: State):
        return lambda x: self.encode(params, state, x)[0]

    def forward(self, params: Params, state: State, x, y=None, *, train=False, key: Key, event_mask=None) -> Pass:
        """x encoded, one sample of z, and z decoded."""
        mine, s = params["vae"], state["vae"]
        k_encode, k_z, k_decode = jax.random.split(key, 3) if train else (None, key, None)
        q, s = self.encode(mine, s, x, y, train=train, key=k_encode, event_mask=event_mask)
        z = q.sample(k_z)
        p, s = self.decode(mine, s, z, y, train=train, key=k_decode)
        return Pass(p, distributions.rate(q, self.prior_of(mine, state["vae"]), z), z, {"vae": s}, q)

    def noise(self, key: Key, n: int, temperature: float | int = 1.0) -> Any:
        """What n samples are made of, a tree with n first; the temperature too, where draws from p(x | z) take one."""
        noise = self._prior.noise(key, n, temperature)
        return {"z": noise, "temperature": jnp.full((n,), temperature, jnp.float32)} if self._tempered else noise

    @property
    def _tempered(self) -> bool:
        return getattr(self.likelihood, "tempered", False)

    def latents(self, params: Params, state: State, noise: Any) -> Float[Array, "n z"]:
        """Noise as latents of the prior."""
        encode = self._encoder(params["vae"], state["vae"])
        return self._prior.latents(params["vae"].get("prior", {}), noise["z"] if self._tempered else noise, encode)

    def sample(self, params: Params, state: State, key: Key, n: int, y: Int[Array, " batch"] | None = None):
        """`generate` of n draws of noise, (n, *event) in the likelihood's range."""
        return self.generate(params, state, self.noise(key, n), y)

    def generate(self, params: Params, state: State, noise: Any, y: Int[Array, " batch"] | None = None):
        """The pictures of latents that the prior makes of noise; N(0, I) takes noise as it is. See `picture`."""
        return self.picture(params, state, self.latents(params, state, noise), y)

    def picture(self, params: Params, state: State, z: Float[Array, "batch z"], y: Int[Array, " batch"] | None = None):
        """The likelihood's picture of p(x | z): its mean, in the likelihood's range.

        The mean of binarised pixels are their probabilities, of normal ones their centres, of a mixture of logistics
        the average of its components (`smooth_mean`). Pixels drawn from p(x | z) itself (`draw`) would each have noise
        of their own, which no photograph has.

        Labels default to 0, 1, 2, ... in turn for a conditional model.
        """
        return self.likelihood.picture(self._decoded(params, state, z, y))

    def draw(self, params: Params, state: State, noise: Any, key: Key, y: Int[Array, " batch"] | None = None):
        """Samples of p(x): draws from p(x | z), with its noise, of latents that the prior makes of noise."""
        p = self._decoded(params, state, self.latents(params, state, noise), y)
        return p.sample(key, noise["temperature"]) if self._tempered else p.sample(key)

    def _decoded(self, params: Params, state: State, z: Float[Array, "batch z"], y: Int[Array, " batch"] | None):
        return self.decode(params["vae"], state["vae"], z, labels_for(z.shape[0], self.n_classes, y))[0]
