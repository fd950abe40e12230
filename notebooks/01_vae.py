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
# # The variational autoencoder, from the formula to clothes
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/-OWNER-/genjax/blob/main/notebooks/01_vae.ipynb)
#
# A VAE explains each image $x$ by a short code $z$: first $z$ is drawn from a standard normal, $p(z)$, then a
# *decoder* turns it into a distribution over images, $p(x \mid z)$. Which code belongs to a given image is not known,
# so an *encoder* answers with a distribution, $q(z \mid x) = \mathcal N(\mu(x), \operatorname{diag} \sigma^2(x))$.
#
# This notebook derives the number that both networks are trained to raise, writes it out by hand, checks it against
# the library, trains for some seconds, looks at the result, and then changes three things. Three exercises ask you
# for a few lines each and say whether they are right; a solution is folded below each.
#
# Source: [Kingma & Welling 2014, Auto-Encoding Variational Bayes](https://arxiv.org/abs/1312.6114).

# %% [markdown]
# ## Set-up
# With genjax installed (in its checkout: `pip install -e .`) the next cell does nothing. On Colab it installs
# genjax from the repository and the branch that this notebook was opened from; of a copy in Drive, which no longer
# knows where it came from, it takes `REPOSITORY`. A runtime without a GPU is enough.

# %%
import importlib.util
import os
import re
import urllib.parse
import urllib.request

REPOSITORY = "https://github.com/-OWNER-/genjax"  # @param {type:"string"}

if importlib.util.find_spec("genjax") is None:
    if "COLAB_RELEASE_TAG" not in os.environ:
        raise ModuleNotFoundError("genjax is not installed. In its checkout: pip install -e .")
    try:  # the runtime knows which notebook is open in it
        sessions = "http://{COLAB_JUPYTER_IP}:{KMP_TARGET_PORT}/api/sessions".format_map(os.environ)
        with urllib.request.urlopen(sessions, timeout=10) as answer:
            opened = urllib.parse.unquote(answer.read().decode())
    except (KeyError, OSError):
        opened = ""
    of_github = re.search(r'(https://github\.com/[\w.-]+/[\w.-]+)/blob/([^"]+)/notebooks/', opened)
    address = "@".join(of_github.groups()) if of_github else REPOSITORY
    if "-OWNER-" in address:
        raise ModuleNotFoundError(
            "Write into REPOSITORY, above, where genjax is, and run this cell again."
        )
    # %pip install -q "git+$address"

# %%
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genjax import data, distributions, losses, models, nets, objectives, rng, train, viz
from genjax.types import Aux, Context

# %% [markdown]
# ## The bound, derived
# Everything should be judged by one number: how probable the model finds the data, $\log p(x)$. It is the logarithm
# of an integral over all codes,
#
# $$ p(x) = \int p(x \mid z)\, p(z)\, dz , $$
#
# and averaging $p(x \mid z)$ over codes from $p(z)$ does not get there: almost no code explains this very image, and
# the few that do are hardly ever drawn.
#
# **1. Draw where it matters.** For any density $q(z \mid x)$ that is positive where the integrand is, multiply and
# divide by it. The integral becomes a mean over codes from $q$, who may know $x$:
#
# $$
# p(x) = \int q(z \mid x)\, \frac{p(x \mid z)\, p(z)}{q(z \mid x)}\, dz
#      = \mathbb E_{q(z \mid x)} \left[ \frac{p(x \mid z)\, p(z)}{q(z \mid x)} \right].
# $$
#
# **2. Take the logarithm inside.** The logarithm is concave, so by Jensen's inequality the logarithm of a mean is at
# least the mean of the logarithms. What is left is a mean, which a few samples estimate without bias: the *evidence
# lower bound*,
#
# $$
# \log p(x) \;\ge\; \mathbb E_{q(z \mid x)} \bigl[ \log p(x \mid z) + \log p(z) - \log q(z \mid x) \bigr]
# \;=:\; \mathrm{ELBO}(x).
# $$
#
# **3. What is lost?** Put $p(x \mid z)\, p(z) = p(z \mid x)\, p(x)$ into the bound. $\log p(x)$ does not depend on $z$
# and leaves the mean:
#
# $$
# \mathrm{ELBO}(x) = \log p(x) + \mathbb E_{q(z \mid x)} \bigl[ \log p(z \mid x) - \log q(z \mid x) \bigr]
# = \log p(x) - \mathrm{KL}\bigl( q(z \mid x) \,\|\, p(z \mid x) \bigr).
# $$
#
# So nothing is lost exactly where $q$ is the true posterior. Raising the ELBO in the encoder's parameters brings $q$
# towards it; raising it in the decoder's makes the data more probable, or the posterior easier to match.
#
# **4. Two terms with a meaning.** The last two terms of step 2 are a divergence too. With it
#
# $$
# \mathrm{ELBO}(x) = -(D + R), \qquad
# D = \mathbb E_{q(z \mid x)}\bigl[-\log p(x \mid z)\bigr], \qquad
# R = \mathbb E_{q(z \mid x)}\bigl[\log q(z \mid x) - \log p(z)\bigr] = \mathrm{KL}\bigl(q(z \mid x) \,\|\, p(z)\bigr).
# $$
#
# $D$, the *distortion*, is what the code fails to tell about the image. $R$, the *rate*, is what the code costs. Both
# are in nats, summed over pixels and over latent dimensions, and averaged over images once, at the very end.
#
# **5. The rate in closed form.** In one dimension, with $q = \mathcal N(\mu, \sigma^2)$ and $p = \mathcal N(0, 1)$, the
# two factors $\sqrt{2\pi}$ cancel, and
#
# $$
# R = \mathbb E_q\left[ -\log \sigma - \frac{(z - \mu)^2}{2 \sigma^2} + \frac{z^2}{2} \right]
#   = -\log \sigma - \frac12 + \frac{\mu^2 + \sigma^2}{2}
#   = \tfrac12 \bigl( \mu^2 + \sigma^2 - 1 - \log \sigma^2 \bigr),
# $$
#
# because $\mathbb E_q (z - \mu)^2 = \sigma^2$ and $\mathbb E_q z^2 = \mu^2 + \sigma^2$. Independent dimensions add up.
#
# **Is it true?** Here is a model in which everything is known: $z \sim \mathcal N(0, 1)$ and $x \mid z \sim \mathcal
# N(z, s^2)$. Then $x \sim \mathcal N(0, 1 + s^2)$, and the posterior is $\mathcal N\bigl(x / (1 + s^2),\, s^2 / (1 +
# s^2)\bigr)$. Whatever $q$ is, bound and gap must add up to $\log p(x)$.


# %%
def kl_normal(mu, var, mu_p, var_p):
    """KL(N(mu, var) || N(mu_p, var_p)), step 5 for any two normals."""
    return 0.5 * ((mu - mu_p) ** 2 / var_p + var / var_p - 1.0 - jnp.log(var / var_p))


def check_bound(x=1.5, var_x=0.5):
    log_p = -0.5 * (jnp.log(2 * jnp.pi * (1 + var_x)) + x**2 / (1 + var_x))
    posterior = x / (1 + var_x), var_x / (1 + var_x)
    for name, (mu, var) in {
        "p(z)": (0.0, 1.0),
        "a guess": (1.2, 0.2),
        "p(z | x)": posterior,
    }.items():
        D = 0.5 * (jnp.log(2 * jnp.pi * var_x) + ((x - mu) ** 2 + var) / var_x)
        bound, gap = -(D + kl_normal(mu, var, 0.0, 1.0)), kl_normal(mu, var, *posterior)
        np.testing.assert_allclose(bound + gap, log_p, rtol=1e-5)
        print(f"q = {name:8}  ELBO {bound:6.3f} + gap {gap:5.3f} = log p(x) {log_p:6.3f}")


check_bound()

# %% [markdown]
# ## The data, and where chance comes from
# 6,000 pictures of clothes, 28×28 grey pixels each, from [Fashion-MNIST](https://arxiv.org/abs/1708.07747), and 1,000
# for testing; they come with the package.
#
# Training needs chance at many places: the first weights, the order of the images, the noise in every step. Yet a
# result that cannot be had again cannot be studied, and in a notebook, whose cells are run twice and out of order,
# chance must not depend on what has run before. JAX has no hidden generator to depend on: whatever draws takes a *key*,
# and the same key gives the same draw. So there is one root key, and every other one is made from it by a name, and
# where needed by a step: `rng.named(root, "init")` is always the same key, whenever it is asked for.
#
# A *source* gives the minibatch of any step as a function of key and step, so there is no iterator to save. Its
# transform `binarize` draws each pixel black or white, with its grey value as the probability, anew at every visit:
# only for bits is the Bernoulli likelihood below a true probability, and the ELBO a true bound.

# %%
clothes = data.load("fashion_mini")
root = jax.random.key(0)
source = data.make_source(clothes.train, batch_size=64, transform=data.binarize())
batch = source.batch(root, step=0)
grey = clothes.train.x[np.asarray(batch.id[:12])]
viz.rows({"as stored": grey, "as bits": viz.to_uint8(255 * batch.x[:12])})

# %% [markdown]
# ## The model
# One hidden layer on each side. A model is a frozen bundle of pure functions; its parameters are plain dictionaries.

# %%
Z_DIM = 16


def make_vae(z_dim=Z_DIM, likelihood=None):
    shape, likelihood = clothes.spec.shape, likelihood or distributions.bernoulli()
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
# 4. **distortion:** a pixel is white with probability $\pi = \operatorname{sigmoid}(l)$. The Bernoulli likelihood of
#    bits, $-\log p(x \mid z) = -\sum_i x_i \log \pi_i + (1 - x_i) \log(1 - \pi_i)$, is from logits
#    $\sum_i \log(1 + e^{l_i}) - x_i l_i$;
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
# Our function takes parameters, images and noise. Other objectives need other things: a net with running averages has
# a *state*, one that draws needs a *key*, a schedule needs the *step*. So that one training loop serves them all,
# everything besides parameters and data travels in a *context*, and all objectives have the signature
# `(params, batch, ctx) -> (loss, aux)`, with what there is to report in `aux`.
#
# The library's VAE splits the context's key in three and draws $\epsilon$ with the second; we do the same. Loss **and**
# gradient must agree.

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
jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), gradient_by_hand, gradient
)
print(f"by hand {by_hand:.4f} nats, library {library:.4f} nats; 784 log 2 = {784 * np.log(2):.4f}")

# %% [markdown]
# A decoder that says "one half" for every pixel would pay $784 \log 2$ nats; the untrained one still pays more.
#
# The pieces can be had one by one, too: `distributions` holds the distributions, `losses` the divergences. They are the
# same formulas, arranged so that they stay exact and finite at the edges (`expm1`, logits of any size).

# %%
q, _ = vae.encode(params["vae"], state["vae"], batch.x)
closed_form = 0.5 * (q.mu**2 + jnp.exp(q.logvar) - 1.0 - q.logvar).sum(axis=1)
np.testing.assert_allclose(losses.kl_std_normal(q), closed_form, rtol=1e-4, atol=1e-4)

p, _ = vae.decode(params["vae"], state["vae"], q.mu)
cross_entropy = (jnp.logaddexp(0.0, p.logits) - batch.x * p.logits).sum(axis=(1, 2, 3))
np.testing.assert_allclose(-p.log_prob(batch.x), cross_entropy, rtol=1e-5)

# %% [markdown]
# ### Exercise 1: the rate without a closed form
# Step 4 says that $R$ is a mean, $\mathbb E_q[\log q(z \mid x) - \log p(z)]$, so samples estimate it for *any* $q$ and
# $p$ with known densities. Write that mean for our normals, and see that step 5 was right. Put your lines in the place
# of the three dots and run the cell.


# %%
def mark(answer, expected, rtol=1e-3):
    """Says whether the answer to an exercise is right."""
    if answer is None:
        print("no answer yet")
    elif np.shape(answer) == np.shape(expected) and np.allclose(answer, expected, rtol, rtol):
        print("right")
    else:
        print(f"not yet: {answer}\nexpected {expected}")


# %%
def rate_by_sampling(mu, sigma, eps):
    """KL(q || p) of each image, (batch,), from mu and sigma, (batch, z), and eps, (samples, batch, z)."""
    ...


def try_rate(answer):
    mu, sigma = jnp.array([[-1.0, 2.0], [0.5, 0.0]]), jnp.array([[0.5, 1.0], [0.2, 2.0]])
    noise = jax.random.normal(rng.named(root, "exercise 1"), (20_000, 2, 2))
    mark(
        answer(mu, sigma, noise),
        losses.kl_std_normal(distributions.Normal(mu, 2 * jnp.log(sigma))),
        rtol=0.05,
    )


try_rate(rate_by_sampling)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def rate_by_sampling(mu, sigma, eps):
#     z = mu[None] + sigma[None] * eps
#     log_q = -(eps**2) / 2 - jnp.log(sigma)[None]  # without log sqrt(2 pi), which the two share
#     log_p = -(z**2) / 2
#     return (log_q - log_p).sum(axis=2).mean(axis=0)
#
#
# try_rate(rate_by_sampling)
# ```
#
# With one sample in the place of 20,000 it is still right on average, only noisy. That is what is left where $q$ or
# $p$ is a flow or a mixture, and no closed form exists.
# </details>

# %% [markdown]
# ## Train
# `make_step` turns *moves* (whose parameters, which loss, which optimizer) into one pure function; a VAE has one
# move. `fit` runs it in compiled chunks; most of the first seconds go into compiling. The compiled program is kept with
# the step, so a step is made once, in a cell of its own: the cell that trains compiles it only the first time.


# %%
def step_of(loss):
    """A step of training with this objective."""
    return train.make_step(train.Move("vae", loss, optax.adam(1e-3)))


step = step_of(objectives.vae(vae))

# %% [markdown]
# `fit` takes the state it is given over, memory and all, and gives the new one back. So whoever trains makes a state
# first, and a cell that does both can be run as often as you like.

# %%
STEPS = 2000


def trained(vae, step, source, steps=STEPS):
    """Trains from scratch; the final state, and the metrics as columns."""
    fitted = train.fit(step, step.init(vae, root), source, root, steps=steps, log_every=20)
    return fitted.state, {name: [row[name] for row in fitted.rows] for name in fitted.rows[0]}


fitted, rows = trained(vae, step, source)
viz.curves(rows, ["distortion"], names=("training step", "distortion D, nats"))

# %% [markdown]
# The distortion falls because the code is used more and more, and the rate is the price paid for it:

# %%
viz.curves(rows, ["rate"], names=("training step", "rate R, nats"))

# %% [markdown]
# Their sum, with the sign turned, is the bound:

# %%
viz.curves(rows, ["elbo"], names=("training step", "ELBO, nats per image"))

# %% [markdown]
# ### On images it has never seen
# The same two numbers for the 1,000 held-out images, one sample of $z$ each. A clear gap to the training curve
# would mean that single images are learnt by heart.
#
# Scores and images of a trained model are compiled too, once for each model: to `jit` it is a *static* argument, a part
# of the program rather than an input.


# %%
@functools.partial(jax.jit, static_argnames="vae")
def scores_of(vae, params, state, batch, key):
    """Bound, rate, distortion and latent distribution of each image."""
    return objectives.score_vae(vae)(params, state, batch, key)


@functools.partial(jax.jit, static_argnames="vae")
def mean_image(vae, params, state, z):
    """The mean of p(x | z) for each code."""
    return vae.generate(params, state, z)


# %%
def score(vae, fitted, transform=data.binarize()):
    """Each held-out image's bound, rate, distortion and latent distribution, and what the encoder saw of it."""
    params, state = train.evaluation(fitted)
    k_transform, k_z = jax.random.split(rng.named(root, "test"))
    batch = transform(k_transform, next(data.once(clothes.test, batch_size=len(clothes.test.x))))
    return scores_of(vae, params, state, batch, k_z), batch


def told(scores):
    """The bound and its two terms, averaged over the images, as text."""
    elbo, D, R = (scores[name].mean() for name in ("elbo", "distortion", "rate"))
    return f"ELBO {elbo:7.2f} = -(D {D:6.2f} + R {R:5.2f})"


scores, test = score(vae, fitted)
print("held out:", told(scores))
print(f"training: ELBO {np.mean(rows['elbo'][-10:]):7.2f}, the mean of the last 200 steps")

# %% [markdown]
# ### Exercise 2: more samples, a tighter bound
# Step 1 was an equation; step 2 lost something, because it took the logarithm of one sample's weight. What if we
# average $K$ weights *before* taking the logarithm? The inequality still holds, and the more the mean is one, the
# less it loses:
#
# $$
# \mathrm{IWAE}_K(x) = \mathbb E \left[ \log \frac1K \sum_{k=1}^K w_k \right], \qquad
# \log w_k = \log p(x \mid z_k) + \log p(z_k) - \log q(z_k \mid x), \qquad z_k \sim q(z \mid x).
# $$
#
# The weights are like $e^{-250}$, which no float holds: stay with logarithms. You are given $\log w_k$ of $K$ samples
# (rows) for 200 held-out images (columns).


# %%
@jax.jit
def log_weight(params, state, x, key):
    """log w of one sample for each image, (batch,)."""
    q, _ = vae.encode(params["vae"], state["vae"], x)
    z = q.sample(key)
    p, _ = vae.decode(params["vae"], state["vae"], z)
    return p.log_prob(x) + distributions.Normal.standard(z.shape).log_prob(z) - q.log_prob(z)


# %%
def log_weights_of(fitted, x, k):
    """log w of k samples for each image, (k, batch)."""
    weights, keys = train.evaluation(fitted), jax.random.split(rng.named(root, "weights"), k)
    return jnp.stack([log_weight(*weights, x, key) for key in keys])


log_weights = log_weights_of(fitted, test.x[:200], k=100)


def tighter_bound(log_weights):
    """The importance-weighted bound of each image, (batch,), from log w, (k, batch)."""
    ...


mark(tighter_bound(log_weights), losses.iwae(log_weights))

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def tighter_bound(log_weights):
#     most = log_weights.max(axis=0)  # the largest weight of an image becomes 1, the others less
#     return most + jnp.log(jnp.exp(log_weights - most[None]).mean(axis=0))
#
#
# mark(tighter_bound(log_weights), losses.iwae(log_weights))
# bounds = [tighter_bound(log_weights[:k]).mean() for k in (1, 10, 100)]
# assert bounds[0] < bounds[1] < bounds[2]
# print("K = 1, 10, 100:", " ".join(f"{bound:.1f}" for bound in bounds))
# ```
#
# The bound rises with $K$ for the same model, so part of the ELBO's distance to $\log p(x)$ is the gap of step 3.
# `objectives.iwae` trains on this bound, and `genjax eval` estimates $\log p(x)$ with it.
# [Burda et al. 2016](https://arxiv.org/abs/1509.00519)
# </details>

# %% [markdown]
# ## Look
# **Reconstructions.** Held-out images, the bits the encoder saw of them, and the mean of $p(x \mid z)$ at
# $z = \mu(x)$. The decoder gives back the grey that was never in the bits: the *probability* of a white pixel.


# %%
def decoded(vae, fitted, z):
    """The mean of p(x | z) as pixels 0..255."""
    params, state = train.evaluation(fitted)
    return viz.to_uint8(255 * mean_image(vae, params, state, z))


originals, seen = clothes.test.x[:12], viz.to_uint8(255 * test.x[:12])
rebuilt = decoded(vae, fitted, scores["mu"][:12])
viz.rows({"held out": originals, "as bits": seen, "reconstructed": rebuilt})

# %% [markdown]
# **Samples.** Codes from the prior, decoded: clothes that nobody sewed. They are soft, because one code stands for
# many images and the decoder's mean averages over them.

# %%
prior_draws = jax.random.normal(rng.named(root, "samples"), (36, Z_DIM))
viz.rows({"samples": decoded(vae, fitted, prior_draws)})

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
# **Traversal.** One image's code; in each row one of the five most active dimensions runs from $-3$ to $3$ while the
# others stay where they are.

# %%
along = np.linspace(-3.0, 3.0, 13, dtype=np.float32)


def moved(j):
    """The first held-out image's code, with dimension j at each of the values."""
    codes = np.repeat(np.asarray(scores["mu"][:1]), len(along), axis=0)
    codes[:, j] = along
    return codes


viz.rows(
    {f"dimension {j}": decoded(vae, fitted, moved(j)) for j in order[:5]},
    columns=[f"{value:.1f}" for value in along],
    corner="its value",
    ncols=13,
)

# %% [markdown]
# ## Three things to change
# Each has a cell that says what is trained, and one that trains it: edit the first and run both.
#
# ### 1. The price of the code: $\beta$
# A [β-VAE](https://openreview.net/forum?id=Sy2fzU9gl) minimises $D + \beta R$. **Expect:** a dearer code is used
# less, so $R$ falls, $D$ rises, dimensions switch off and reconstructions go soft; a cheaper code does the
# opposite. The reported ELBO is always the true bound, without $\beta$, so the three compare; $\beta = 1$ should
# win, being trained on it.

# %%
prices = {beta: step_of(objectives.beta_vae(vae, beta=beta)) for beta in (0.25, 1, 10)}


# %%
def with_beta(beta):
    """Reconstructions of twelve held-out images by a VAE trained with this price."""
    other = fitted if beta == 1 else trained(vae, prices[beta], source)[0]
    s, _ = score(vae, other)
    used = (nats_per_dimension(s) > 0.1).sum()
    print(f"beta {beta:4}: {told(s)}, dimensions above 0.1 nats: {used}")
    return decoded(vae, other, s["mu"][:12])


viz.rows({"held out": originals} | {f"beta = {beta}": with_beta(beta) for beta in prices})

# %% [markdown]
# At 10 most dimensions answer with the prior, whatever the image: kind and brightness are still told, prints, stripes
# and seams are not worth their price. Where this happens to all dimensions, it is called *posterior collapse*. At 0.25
# the code tells more than it is worth: the distortion is lowest, the bound worse than at 1.
#
# A remedy to try: `objectives.beta_vae(vae, beta=10.0, free_bits=0.5)` makes the first half nat of each dimension free,
# so nothing is gained by using less.
#
# ### Exercise 3: an objective of your own
# An objective is a function `(params, batch, ctx) -> (loss, Aux(metrics))`. Write the β-VAE's from the five steps of
# [The loss by hand](#The-loss-by-hand), with $\beta = 4$. The noise's key is the second of three that `ctx.key` is
# split into, as above; report whatever you like, say `Aux({"rate": ...})`. What you write can be handed to `step_of`
# as it is.


# %%
def my_objective(params, batch, ctx) -> tuple[jax.Array, Aux]:
    """Minus the bound with a rate that costs four times as much, and what there is to report."""
    ...


def try_objective(answer):
    ctx = Context(state=state, key=rng.named(root, "exercise 3"), step=jnp.asarray(0))
    given, expected = (f(params, batch, ctx) for f in (answer, objectives.beta_vae(vae, beta=4.0)))
    mark(given and given[0], expected[0])


try_objective(my_objective)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def my_objective(params, batch, ctx):
#     p, x = params["vae"], batch.x.reshape(len(batch.x), -1)
#     mu, logvar = jnp.split(two_layers(p["encoder"], x), 2, axis=1)
#     _, k_z, _ = jax.random.split(ctx.key, 3)
#     z = mu + jnp.exp(logvar / 2) * jax.random.normal(k_z, mu.shape)
#     logits = two_layers(p["decoder"], z)
#     D = (jnp.logaddexp(0.0, logits) - x * logits).sum(axis=1).mean()
#     R = 0.5 * (mu**2 + jnp.exp(logvar) - 1.0 - logvar).sum(axis=1).mean()
#     return D + 4.0 * R, Aux({"elbo": -(D + R), "distortion": D, "rate": R})
#
#
# try_objective(my_objective)
# ```
#
# The same in a dozen lines that serve any encoder, likelihood and mask is `beta_vae` in `genjax/objectives/vae.py`.
# </details>

# %% [markdown]
# ### 2. The likelihood: grey values instead of bits
# With `distributions.gaussian_global()` a pixel is a normal around the decoder's output, with one learned standard
# deviation $\sigma$ for all pixels ([σ-VAE](https://arxiv.org/abs/2006.13202)); `dequantize` turns the 8-bit
# pixels into real numbers in $(0, 1)$. **Expect:** the noise finds its own level, and a far higher rate, for now the
# grey itself has to be told. The ELBO changes its unit, to the log of a *density*: positive is fine, and comparing it
# with the one above is not.

# %%
sigma_vae = make_vae(likelihood=distributions.gaussian_global())
sigma_step = step_of(objectives.vae(sigma_vae))
grey_source = data.make_source(clothes.train, batch_size=64, transform=data.dequantize())


# %%
def grey_values():
    """Rows of held-out images, reconstructions and samples of a VAE whose pixels are normals."""
    grey_fit, _ = trained(sigma_vae, sigma_step, grey_source)
    s, _ = score(sigma_vae, grey_fit, data.dequantize())
    params, state = train.evaluation(grey_fit)
    p, _ = sigma_vae.decode(params["vae"], state["vae"], s["mu"])
    print(f"sigma: {256 * p.scale.max():.0f} of 256 grey levels; rate {s['rate'].mean():.1f} nats")
    elbo = s["elbo"].mean()
    bits = 8 - elbo / (784 * np.log(2))
    print(f"ELBO {elbo:.1f} nats of density: at most {bits:.2f} bits per pixel")

    codes = {"reconstructed": s["mu"][:12], "samples": prior_draws[:24]}
    return {"held out": originals} | {
        name: decoded(sigma_vae, grey_fit, z) for name, z in codes.items()
    }


viz.rows(grey_values())

# %% [markdown]
# The reconstructions are as good as those of bits, the samples are worse. At this rate the code of an image is a small
# spot, and the spots of 6,000 images leave gaps in the prior: a draw from there meets a decoder that has never been
# trained on its like.
#
# ### 3. Two latent dimensions: a map
# With `z_dim=2` the whole latent space can be drawn. **Expect:** a worse bound, as two numbers cannot say it all,
# and a map on which each garment has its country, with doubtful shapes along the borders. Rows and columns are spaced
# by the prior's quantiles, so each picture is equally likely to be drawn.

# %%
flat = make_vae(z_dim=2)
flat_step = step_of(objectives.vae(flat))

# %%
flat_fit, _ = trained(flat, flat_step, source)
print("2 dimensions: ", told(score(flat, flat_fit)[0]))
print(f"{Z_DIM} dimensions:", told(scores))

quantiles = jax.scipy.stats.norm.ppf((np.arange(11) + 0.5) / 11)
ticks = np.round(np.asarray(quantiles), 2) + 0.0


def at_height(z_2):
    """The pictures along one row of the map."""
    return decoded(flat, flat_fit, np.stack([ticks, np.full_like(ticks, z_2)], axis=1))


viz.rows(
    {f"z_2 = {z_2:.2f}": at_height(z_2) for z_2 in ticks[::-1]},
    columns=[f"{z_1:.2f}" for z_1 in ticks],
    corner="z_1",
    ncols=11,
)

# %% [markdown]
# Neighbours on the map look alike: shoes at one end, then bags, shirts and coats, trousers and dresses, and brightness
# has a direction of its own.
#
# **Where next.** `genjax train vae_fashion_mnist --data fashion_mini --beta 4` runs the first change as a recipe, with
# convolutions, checkpoints and a report; [02_gan](02_gan.ipynb) learns the same clothes without any likelihood at all.
