# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The variational autoencoder, from the formula to digits
#
# A VAE explains each image $x$ by a short code $z$: first $z$ is drawn from a standard normal, then a *decoder*
# turns it into a distribution over images, $p(x \mid z)$. Which code belongs to a given image is not known, so an
# *encoder* answers with a distribution, $q(z \mid x) = \mathcal N(\mu(x), \operatorname{diag} \sigma^2(x))$. Both
# networks are trained together to raise one number, the *evidence lower bound*:
#
# $$
# \log p(x) \;\ge\; \mathrm{ELBO}(x) = -(D + R), \qquad
# D = \mathbb E_{q(z \mid x)}\bigl[-\log p(x \mid z)\bigr], \qquad
# R = \mathrm{KL}\bigl(q(z \mid x) \,\|\, p(z)\bigr).
# $$
#
# $D$, the *distortion*, is what the code fails to tell about the image. $R$, the *rate*, is what the code costs.
# Both are in nats, summed over pixels and over latent dimensions, and averaged over images once, at the very end.
#
# This notebook writes the loss out by hand, checks it against the library, trains for some seconds, looks at the
# result, and then changes three things.
#
# Source: [Kingma & Welling 2014, Auto-Encoding Variational Bayes](https://arxiv.org/abs/1312.6114).

# %% [markdown]
# ## Set-up
# From a checkout with genjax installed (`pip install -e .`) the next cell does nothing. On Colab, first tell it in a
# cell of its own where genjax is cloned from, `%env GENJAX_REPOSITORY=https://…`; without that it stops and says so.

# %%
import importlib.util
import os

if importlib.util.find_spec("genjax") is None:
    repository = os.environ.get("GENJAX_REPOSITORY")
    if not repository:
        raise ModuleNotFoundError(
            "genjax is not installed. In a checkout: pip install -e . Elsewhere: set\n"
            "GENJAX_REPOSITORY to the address you would clone it from (in a notebook:\n"
            "%env GENJAX_REPOSITORY=https://...), then run this cell again."
        )
    # %pip install -q "git+$repository"

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax

from genjax import data, distributions, losses, models, nets, objectives, rng, train, viz
from genjax.types import Context

# %% [markdown]
# ## The data
# 1,797 handwritten digits, scanned and shrunk to 8×8 pixels; they come with the package. 297 of them are held out.
#
# A *source* gives the minibatch of any step as a function of (key, step), so there is no iterator to save. The
# transform `binarize` draws each pixel black or white, with its grey value as the probability, anew at every
# visit: only for bits is the Bernoulli likelihood below a true probability, and the ELBO a true bound.

# %%
digits = data.load("digits")
root = jax.random.key(0)  # the run's root key: all randomness below is a function of it, a name and a step
source = data.make_source(digits.train, batch_size=64, transform=data.binarize())
batch = source.batch(root, step=0)
grey = digits.train.image[np.asarray(batch.id[:12])]
viz.show(np.concatenate([grey, viz.to_uint8(255 * batch.x[:12])]), ncols=12)

# %% [markdown]
# Above: twelve images of the first minibatch. Below: the same as the encoder sees them at this visit.
#
# ## The model
# One hidden layer on each side. A model is a frozen bundle of pure functions; its parameters are plain dictionaries.

# %%
Z_DIM = 16


def make_vae(z_dim=Z_DIM, likelihood=None):
    shape, likelihood = digits.spec.shape, likelihood or distributions.bernoulli()
    return models.VAE(
        encoder=nets.mlp_encoder(shape, n_out=2 * z_dim, hidden=(256,)),
        decoder=nets.mlp_decoder(z_dim, shape, hidden=(256,)),
        z_dim=z_dim,
        likelihood=likelihood,
    )


vae = make_vae()
params, state = vae.init(rng.named(root, "init"))
jax.tree.map(jnp.shape, params)

# %% [markdown]
# ## The loss by hand
# All of it, networks included, with nothing but `jnp`:
#
# 1. **encode:** $h = \mathrm{relu}(x W_0 + b_0)$, and $(\mu, \log \sigma^2) = h W_1 + b_1$;
# 2. **reparametrise:** $z = \mu + \sigma \epsilon$ with $\epsilon \sim \mathcal N(0, I)$, so that the gradient reaches
#    $\mu$ and $\sigma$;
# 3. **decode:** two layers again; they give a logit $l$ for each pixel;
# 4. **distortion:** the Bernoulli likelihood of bits, from logits:
#    $-\log p(x \mid z) = \sum_i \log(1 + e^{l_i}) - x_i l_i$;
# 5. **rate:** the KL of two normals in closed form, $\tfrac12 \sum_j \mu_j^2 + \sigma_j^2 - 1 - \log \sigma_j^2$.


# %%
def two_layers(p, x):
    first, second = p["layers"]["0"], p["layers"]["1"]
    h = jnp.maximum(x @ first["kernel"] + first["bias"][None], 0.0)
    return h @ second["kernel"] + second["bias"][None]


def negative_elbo(params, x, eps):
    x = x.reshape(len(x), -1)
    mu, logvar = jnp.split(two_layers(params["encoder"], x), 2, axis=1)  # 1. encode
    z = mu + jnp.exp(logvar / 2) * eps  # 2. reparametrise
    logits = two_layers(params["decoder"], z)  # 3. decode
    D = (jnp.logaddexp(0.0, logits) - x * logits).sum(axis=1)  # 4. distortion
    R = 0.5 * (mu**2 + jnp.exp(logvar) - 1.0 - logvar).sum(axis=1)  # 5. rate
    return (D + R).mean()


# %% [markdown]
# The library's objective has the signature that all objectives share: `(params, batch, ctx) -> (loss, aux)`,
# where `ctx` carries the net state and a key. It splits that key in three and draws $\epsilon$ with the second;
# we do the same. Loss **and** gradient must agree.

# %%
objective = objectives.vae(vae)


def library_loss(params):
    ctx = Context(state=state, key=rng.named(root, "check"), step=jnp.asarray(0))
    return objective({"vae": params}, batch, ctx)[0]


_, k_z, _ = jax.random.split(rng.named(root, "check"), 3)
eps = jax.random.normal(k_z, (len(batch.x), Z_DIM))

by_hand, gradient_by_hand = jax.jit(jax.value_and_grad(negative_elbo))(params["vae"], batch.x, eps)
library, gradient = jax.jit(jax.value_and_grad(library_loss))(params["vae"])

np.testing.assert_allclose(by_hand, library, rtol=1e-5)
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), gradient_by_hand, gradient)
print(f"by hand {by_hand:.4f} nats, library {library:.4f} nats; 64 log 2 = {64 * np.log(2):.4f}")

# %% [markdown]
# A decoder that says "one half" for every pixel would pay $64 \log 2$ nats; the untrained one still pays more.
#
# The pieces can be had one by one, too: `dist` holds the distributions, `losses` the divergences. They are the same
# formulas, arranged so that they stay exact and finite at the edges (`expm1`, logits of any size).

# %%
q, _ = vae.encode(params["vae"], state["vae"], batch.x)
closed_form = 0.5 * (q.mu**2 + jnp.exp(q.logvar) - 1.0 - q.logvar).sum(axis=1)
np.testing.assert_allclose(losses.kl_std_normal(q), closed_form, rtol=1e-4, atol=1e-4)

p, _ = vae.decode(params["vae"], state["vae"], q.mu)
cross_entropy = (jnp.logaddexp(0.0, p.logits) - batch.x * p.logits).sum(axis=(1, 2, 3))
np.testing.assert_allclose(-p.log_prob(batch.x), cross_entropy, rtol=1e-5)

# %% [markdown]
# ## Train
# `make_step` turns *moves* (whose parameters, which loss, which optimizer) into one pure function; a VAE has one
# move. `fit` runs it in compiled chunks. Most of the first seconds go into compiling.

# %%
STEPS = 5000


def trained(vae, loss, source, steps=STEPS):
    """Trains from scratch; the final state, and the metrics as columns."""
    step = train.make_step(train.Move("vae", loss, optax.adam(1e-3)))
    fitted = train.fit(step, step.init(vae, root), source, root, steps=steps, log_every=50)
    return fitted.state, {name: [row[name] for row in fitted.rows] for name in fitted.rows[0]}


fitted, rows = trained(vae, objectives.vae(vae), source)
viz.curves(rows, ["distortion", "rate"], labels=["distortion D", "rate R"])

# %% [markdown]
# The distortion falls because the code is used, and the rate is the price paid for it. Their sum, with the sign
# turned, is the bound:

# %%
viz.curves(rows, ["elbo"])

# %% [markdown]
# ### On images it has never seen
# The same two numbers for the 297 held-out digits, one sample of $z$ each. A clear gap to the training curve
# would mean that single images are learnt by heart.


# %%
def score(vae, fitted, transform=data.binarize()):
    """Each held-out image's bound, rate, distortion and latent distribution, and what the encoder saw of it."""
    params, state = train.evaluation(fitted)
    k_transform, k_z = jax.random.split(rng.named(root, "test"))
    batch = transform(k_transform, next(data.once(digits.test, batch_size=len(digits.test.image))))
    return jax.jit(objectives.score_vae(vae))(params, state, batch, k_z), batch


scores, test = score(vae, fitted)
elbo, D, R = (scores[name].mean() for name in ("elbo", "distortion", "rate"))
print(f"held out: ELBO {elbo:.2f} = -({D:.2f} + {R:.2f})")
print(f"training: ELBO {np.mean(rows['elbo'][-10:]):.2f}, the mean of the last 500 steps")

# %% [markdown]
# ## Look
# **Reconstructions.** Held-out digits, the bits the encoder saw of them, and the mean of $p(x \mid z)$ at
# $z = \mu(x)$. The decoder gives back the grey that was never in the bits: the *probability* of a white pixel.


# %%
def decoded(vae, fitted, z):
    """The mean of p(x | z) as pixels 0..255."""
    params, state = train.evaluation(fitted)
    return viz.to_uint8(255 * jax.jit(vae.generate)(params, state, z))


originals, seen = digits.test.image[:12], viz.to_uint8(255 * test.x[:12])
viz.show(np.concatenate([originals, seen, decoded(vae, fitted, scores["mu"][:12])]), ncols=12)

# %% [markdown]
# **Samples.** Codes from the prior, decoded: digits that nobody wrote. They are soft, because one code stands for
# many images and the decoder's mean averages over them.

# %%
z = jax.random.normal(rng.named(root, "samples"), (36, Z_DIM))
viz.show(decoded(vae, fitted, z), ncols=12)

# %% [markdown]
# **Latent dimensions.** How many nats does each carry, averaged over the held-out images? Those near zero are not
# used: for them the encoder answers with the prior, whatever the image, and the decoder has learnt to ignore
# them.


# %%
def nats_per_dimension(scores):
    mu, sigma = scores["mu"], scores["sigma"]
    return (0.5 * (mu**2 + sigma**2 - 1.0) - jnp.log(sigma)).mean(axis=0)


nats = np.asarray(nats_per_dimension(scores))
order = np.argsort(-nats)
print("nats per dimension:", " ".join(f"{nats[j]:.2f}" for j in order))

# %% [markdown]
# **Traversal.** One digit's code; in each line one of the five most active dimensions runs from $-3$ to $3$ while the
# others stay where they are.

# %%
along = np.linspace(-3.0, 3.0, 12, dtype=np.float32)
lines = []
for j in order[:5]:
    z = np.repeat(np.asarray(scores["mu"][:1]), len(along), axis=0)
    z[:, j] = along
    lines.append(z)
viz.show(decoded(vae, fitted, np.concatenate(lines)), ncols=12)

# %% [markdown]
# ## Three things to change
# Each is a cell to edit and run again.
#
# ### 1. The price of the code: $\beta$
# A [β-VAE](https://openreview.net/forum?id=Sy2fzU9gl) minimises $D + \beta R$. **Expect:** a dearer code is used
# less, so $R$ falls, $D$ rises, dimensions switch off and reconstructions go soft; a cheaper code does the
# opposite. The reported ELBO is always the true bound, without $\beta$, so the three compare; $\beta = 1$ should
# win, being trained on it.

# %%
same = [digits.test.image[:12]]
for beta in (0.25, 1.0, 4.0):
    other = fitted if beta == 1.0 else trained(vae, objectives.beta_vae(vae, beta=beta), source)[0]
    s, _ = score(vae, other)
    same.append(decoded(vae, other, s["mu"][:12]))
    elbo, D, R = (s[name].mean() for name in ("elbo", "distortion", "rate"))
    used = (nats_per_dimension(s) > 0.1).sum()
    print(f"beta {beta:4}: D {D:5.2f}  R {R:5.2f}  ELBO {elbo:6.2f}  dimensions above 0.1 nats: {used}")
viz.show(np.concatenate(same), ncols=12)

# %% [markdown]
# From the top: held-out digits, then reconstructions at $\beta = 0.25$, $1$ and $4$. At 4 these small images are
# not worth their code any more: the encoder answers with the prior, and every digit comes back as the same
# average of them all. This is *posterior collapse*.
#
# A remedy to try: `objectives.beta_vae(vae, beta=4.0, free_bits=0.1)` makes the first 0.1 nats of each dimension
# free, so nothing is gained by using less. Expect a rate of a little over one nat instead of none on held-out
# digits, and a better bound.
#
# ### 2. The likelihood: grey values instead of bits
# With `distributions.gaussian_global()` a pixel is a normal around the decoder's output, with one learned standard
# deviation $\sigma$ for all pixels ([σ-VAE](https://arxiv.org/abs/2006.13202)); `dequantize` turns the 8-bit
# pixels into real numbers in $(0, 1)$. **Expect:** the noise finds its own level, sharper pictures and a far
# higher rate, for now the grey itself has to be told. The ELBO changes its unit, to the log of a *density*:
# positive is fine, and comparing it with the one above is not.

# %%
sigma_vae = make_vae(likelihood=distributions.gaussian_global())
grey_source = data.make_source(digits.train, batch_size=64, transform=data.dequantize())
grey_fit, _ = trained(sigma_vae, objectives.vae(sigma_vae), grey_source)

s, _ = score(sigma_vae, grey_fit, data.dequantize())
params, state = train.evaluation(grey_fit)
p, _ = sigma_vae.decode(params["vae"], state["vae"], s["mu"])
elbo, bits = s["elbo"].mean(), 8 - s["elbo"].mean() / (64 * np.log(2))
print(f"sigma: {256 * p.scale.max():.0f} of 256 grey levels; rate {s['rate'].mean():.1f} nats")
print(f"ELBO {elbo:.1f} nats of density: at most {bits:.2f} bits per pixel")

z = jax.random.normal(rng.named(root, "samples"), (24, Z_DIM))
rebuilt, samples = decoded(sigma_vae, grey_fit, s["mu"][:12]), decoded(sigma_vae, grey_fit, z)
viz.show(np.concatenate([digits.test.image[:12], rebuilt, samples]), ncols=12)

# %% [markdown]
# From the top: held-out digits, their reconstructions, and two lines of samples.
#
# ### 3. Two latent dimensions: a map
# With `z_dim=2` the whole latent space can be drawn. **Expect:** a worse bound, as two numbers cannot say it all,
# and a map on which each digit has its country, with doubtful shapes along the borders. The grid is spaced by the
# prior's quantiles, so each picture is equally likely to be drawn.

# %%
flat = make_vae(z_dim=2)
flat_fit, _ = trained(flat, objectives.vae(flat), source)
elbo = score(flat, flat_fit)[0]["elbo"].mean()
print(f"held-out ELBO {elbo:.2f}; with {Z_DIM} dimensions {scores['elbo'].mean():.2f}")

ticks = jax.scipy.stats.norm.ppf((jnp.arange(16) + 0.5) / 16)
across, down = jnp.meshgrid(ticks, -ticks)
viz.show(decoded(flat, flat_fit, jnp.stack([across.ravel(), down.ravel()], axis=1)), ncols=16, scale=5)

# %% [markdown]
# **Where next.** `genjax train vae_digits --beta 4` runs the first change as a recipe, with checkpoints and a report;
# [02_gan](02_gan.ipynb) learns the same digits without any likelihood at all.
