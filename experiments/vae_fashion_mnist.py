"""Convolutional VAE on Fashion-MNIST: the recipe `vae_mnist` on photographs of clothes.

Command:  genjax train vae_fashion_mnist --validation 5000 --eval-every 1000
Expect:   elbo -241.66 +- 0.61 nats, nll 236.51 +- 0.29 (500 images), fd_fashion_mnist 5.22 +- 0.43 on the test set,
          19 minutes on one core; three seeds, the 95 % interval, in experiments/results/fashion_mnist.json.
Model:    that of `vae_mnist`.
Reading:  the decoder's means are grey and soft: every detail that the code does not hold is averaged away.
Source:   Kingma & Welling 2014, Auto-Encoding Variational Bayes; binarised at every visit as in Burda et al. 2016.
Change:   --z-dim 2 (the report then draws the latent plane), --data fashion_mini (comes with genjax).
"""

from dataclasses import dataclass

from genjax import recipes

vae_mnist = recipes.load("vae_mnist")


@dataclass(frozen=True)
class Config(vae_mnist.Config):
    """As on MNIST, on other images."""

    domains = ("image",)
    data: str = "fashion_mnist"


SMOKE = Config(**vars(vae_mnist.SMOKE))
build = vae_mnist.build
