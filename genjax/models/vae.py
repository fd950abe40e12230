"""The variational autoencoder as a bundle of pure functions."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax import distributions
from genjax.models.labels import labels_for
from genjax.types import Key, Net, Params, Range, State


@dataclass(frozen=True)
class VAE:
    """q(z | x) = N(mu(x), diag exp logvar(x)), p(z) = N(0, I), and a likelihood p(x | z); all may depend on a label y.

    The one player is `"vae"`; the methods take its parameters and net state, `init` and `sample` those over players.

    Args:
        encoder: (batch, ...) data -> (batch, 2 * z_dim), mu and logvar.
        decoder: (batch, z_dim) -> (batch, h, w, likelihood.n_out(c)).
        z_dim: latent dimensions, at least 1.
        likelihood: what p(x | z) is; see `genjax.distributions`.
        channels: channels c of the data.
        n_classes: 0 for an unconditional model.

    Source:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes.
    """

    encoder: Net
    decoder: Net
    z_dim: int
    likelihood: distributions.Likelihood = field(default_factory=distributions.bernoulli)
    channels: int = 1
    n_classes: int = 0

    def __post_init__(self):
        if self.z_dim < 1:
            raise ValueError(f"z_dim={self.z_dim} must be at least 1.")

    @property
    def ranges(self) -> tuple[tuple[Range, ...], str]:
        """The ranges of x that the model is for, and whose they are."""
        return self.likelihood.support, f"the {self.likelihood.name} likelihood"

    def init(self, key: Key) -> tuple[Params, State]:
        k_enc, k_dec = jax.random.split(key)
        (enc, s_enc), (dec, s_dec) = self.encoder.init(k_enc), self.decoder.init(k_dec)
        params = {"encoder": enc, "decoder": dec, "likelihood": self.likelihood.init(self.channels)}
        return {"vae": params}, {"vae": {"encoder": s_enc, "decoder": s_dec}}

    def encode(
        self, params: Params, state: State, x, y=None, *, train=False, key=None
    ) -> tuple[distributions.Normal, State]:
        """q(z | x, y), with fields of shape (batch, z)."""
        h, s = self.encoder.apply(params["encoder"], state["encoder"], x, train=train, key=key, y=y)
        mu, logvar = jnp.split(h.astype(jnp.float32), 2, axis=-1)
        return distributions.Normal(mu, logvar), {**state, "encoder": s}

    def decode(self, params: Params, state: State, z: Float[Array, "batch z"], y=None, *, train=False, key=None):
        """p(x | z, y), a distribution over (batch, h, w, c), and the state."""
        h, s = self.decoder.apply(params["decoder"], state["decoder"], z, train=train, key=key, y=y)
        return self.likelihood.apply(params["likelihood"], h.astype(jnp.float32)), {**state, "decoder": s}

    def sample(self, params: Params, state: State, key: Key, n: int, y: Int[Array, " batch"] | None = None):
        """`generate` of n latents from the prior, (n, h, w, c) in the likelihood's range."""
        z = jax.random.normal(key, (n, self.z_dim), jnp.float32)
        return self.generate(params, state, z, y)

    def generate(self, params: Params, state: State, z: Float[Array, "batch z"], y: Int[Array, " batch"] | None = None):
        """The likelihood's picture of p(x | z): its mean, in the likelihood's range.

        The mean of binarised pixels are their probabilities, of normal ones their centres, of a mixture of logistics
        the average of its components (`smooth_mean`). Pixels drawn from p(x | z) itself would each have noise of
        their own, which no photograph has: `decode(...)[0].sample(key)` gives them.

        Labels default to 0, 1, 2, ... in turn for a conditional model.
        """
        y = labels_for(z.shape[0], self.n_classes, y)
        return self.likelihood.picture(self.decode(params["vae"], state["vae"], z, y)[0])
