"""The objective of a vector-quantised autoencoder."""

from genjax.models import VQVAE
from genjax.objectives.vae import beta_vae
from genjax.types import Objective


def vq_vae(model: VQVAE) -> Objective:
    """Distortion and commitment, nats per example; the codebook follows by running means, not by the gradient.

    The rate is that of the codes under how often each latent has chosen them: it has no gradient, and is reported.

    Reports:
        elbo, rate, distortion as `beta_vae`; penalty, the weighted commitment.

    Source:
        van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning, eq. 3 without its second
        term, in whose place appendix A.1 has the running means.
    """
    return beta_vae(model)
