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
# # The adversarial game, one step at a time
#
# A GAN learns to make images without ever writing down their probability. A *generator* turns noise
# $z \sim \mathcal N(0, I)$ into an image $G(z)$. A *discriminator* gives each image a logit $D(x)$, and
# $\operatorname{sigmoid}(D(x))$ is the probability it sees for $x$ being real. They play against each other:
#
# $$
# L_D = \mathbb E_x\bigl[-\log \operatorname{sigmoid}(D(x))\bigr]
#     + \mathbb E_z\bigl[-\log\bigl(1 - \operatorname{sigmoid}(D(G(z)))\bigr)\bigr], \qquad
# L_G = \mathbb E_z\bigl[-\log \operatorname{sigmoid}(D(G(z)))\bigr].
# $$
#
# For a given generator the best discriminator answers $p_{\text{real}} / (p_{\text{real}} + p_{\text{fake}})$. So
# if the generator ever gets it right, nothing better than one half can be said of any image, and $L_D = 2 \log
# 2$. $L_G$ is the *non-saturating* form: its gradient is largest where the discriminator is winning, just when
# the generator needs it.
#
# Because each player's target moves whenever the other learns, the game may circle instead of settling. A small
# penalty on the discriminator's slope at real images calms it ($R_1$):
#
# $$
# R_1 = \frac{\gamma}{2}\, \mathbb E_x \lVert \nabla_x D(x) \rVert^2 .
# $$
#
# This notebook writes both losses and then a whole step of the game out by hand, checks them against the library,
# trains for some seconds, looks at the result, and changes three things.
#
# Sources: [Goodfellow et al. 2014](https://arxiv.org/abs/1406.2661) for the game,
# [Mescheder et al. 2018](https://arxiv.org/abs/1801.04406) for the penalty.

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

from genjax import data, losses, models, nets, objectives, rng, train, viz
from genjax.types import Batch, Context

# %% [markdown]
# ## The data and the players
# 1,797 handwritten digits of 8×8 pixels, which come with the package; 297 are held out. The generator ends in a
# tanh, so the pixels are brought to $[-1, 1]$. Both players are small fully connected nets.

# %%
digits = data.load("digits")
to_signed = data.to_signed()
root = jax.random.key(0)  # the run's root key: all randomness below is a function of it, a name and a step
source = data.make_source(digits.train, batch_size=64, transform=to_signed)

Z_DIM = 32
gan = models.GAN(
    generator=nets.mlp_generator(Z_DIM, digits.spec.shape, hidden=(256, 256)),
    discriminator=nets.mlp_discriminator(digits.spec.shape, hidden=(256, 256)),
    z_dim=Z_DIM,
)
params, net_state = gan.init(rng.named(root, "init"))
batch = source.batch(root, step=0)
viz.show(to_signed.inverse(batch.x[:24]), ncols=12)

# %% [markdown]
# ## Both losses by hand
# With $s$ the softplus, $-\log \operatorname{sigmoid}(l) = s(-l)$ and $-\log(1 - \operatorname{sigmoid}(l)) =
# s(l)$. Written so, in logits, nothing overflows and no logarithm ever sees a zero. The gradient inside $R_1$ is
# that of the *summed* logits: no image's logit depends on another image, so one backward pass gives every image
# its own gradient.

# %%
GAMMA = 0.1


def D(d, x):
    return gan.logits(d, {}, x, train=True)[0]


def G(g, z):
    return gan.fake(g, {}, z, train=True)[0]


def loss_d(d, g, x, z):
    real, fake = D(d, x), D(d, G(g, z))
    slope = jax.grad(lambda x: D(d, x).sum())(x)
    r1 = GAMMA / 2 * (slope**2).sum(axis=(1, 2, 3))
    return (jax.nn.softplus(-real) + jax.nn.softplus(fake) + r1).mean()


def loss_g(g, d, z):
    return jax.nn.softplus(-D(d, G(g, z))).mean()


# %% [markdown]
# In the library an *adversarial pair* says what each side minimises, in terms of logits alone, and
# `objectives.gan` joins it with the model and the penalties. `draw` makes the latents of a step; both sides are
# given the same ones.

# %%
objective = objectives.gan(gan, adversarial=losses.nonsaturating, penalties=(losses.r1(GAMMA),))
z = objective.draw(rng.named(root, "check"), batch)


def context():
    return Context(state=net_state, key=rng.named(root, "unused here"), step=jnp.asarray(0), draws=z)


library_d, _ = jax.jit(lambda p: objective.d(p, batch, context()))(params)
library_g, _ = jax.jit(lambda p: objective.g(p, batch, context()))(params)
np.testing.assert_allclose(loss_d(params["d"], params["g"], batch.x, z), library_d, rtol=1e-5)
np.testing.assert_allclose(loss_g(params["g"], params["d"], z), library_g, rtol=1e-5)

real, fake = D(params["d"], batch.x), D(params["d"], G(params["g"], z))
cross_entropy = -jnp.log(jax.nn.sigmoid(real)) - jnp.log(1 - jax.nn.sigmoid(fake))
np.testing.assert_allclose(losses.nonsaturating.d(real, fake), cross_entropy, rtol=1e-4)
print(f"before training: L_D + R1 = {library_d:.4f}, L_G = {library_g:.4f}; 2 log 2 = {2 * np.log(2):.4f}")

# %% [markdown]
# ## One step by hand
# The players move in turn. Details that are easy to get wrong, and that implementations do differ in:
#
# - the **generator meets the updated discriminator**, not the one the step began with;
# - both see **the same latents**, drawn once for the step from a key of their own;
# - the discriminator's gradient stops at the fake images, and the generator's leaves the discriminator as it is;
# - samples are later drawn from an **average** of the generator's weights, whose memory is counted in images: its
#   half-life is 20,000 images, and at first a twentieth of the images seen so far.
#
# Keys are never stored. `step.key_of` derives them from the root key, a name and the position; the shared latents
# have position 0, 0.

# %%
HALF_LIFE = 20_000
adam = optax.adam(2e-4, b1=0.0, b2=0.99)  # no momentum: the target moves

step = train.make_step(
    train.Move("d", objective.d, adam),
    train.Move("g", objective.g, adam),
    draw=objective.draw,
    ema={"g": train.Ema(HALF_LIFE)},
)


@jax.jit
def step_by_hand(state, batch, key):
    d, g, average = state.players["d"].params, state.players["g"].params, state.players["g"].ema
    z = jax.random.normal(step.key_of(key, "draws", state.step, 0), (len(batch.x), Z_DIM))

    # The discriminator's move. Optax keeps its state over {player: parameters}.
    slope = jax.grad(loss_d)(d, g, batch.x, z)
    update, opt_d = adam.update({"d": slope}, state.opt["d"])
    d = optax.apply_updates(d, update["d"])

    # The generator's move, against the discriminator as it is now.
    slope = jax.grad(loss_g)(g, d, z)
    update, opt_g = adam.update({"g": slope}, state.opt["g"])
    g = optax.apply_updates(g, update["g"])

    # The average of the generator: what is older than the half-life weighs one half.
    seen = (state.step + 1) * len(batch.x)
    keep = 0.5 ** (len(batch.x) / jnp.minimum(HALF_LIFE, 0.05 * seen))
    average = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average.params, g)

    return {"d": d, "g": g, "average": average, "opt": {"d": opt_d, "g": opt_g}}


def assert_same_step(state):
    """One step from `state`, by hand and by `make_step`: weights, average, optimizer states agree."""
    batch = source.batch(root, int(state.step))
    hand = step_by_hand(state, batch, root)
    batches = jax.tree.map(lambda a: a[None], batch)  # a step takes one minibatch or more, stacked
    after, _ = jax.jit(step)(state, batches, root)
    d, g = after.players["d"], after.players["g"]
    library = {"d": d.params, "g": g.params, "average": g.ema.params, "opt": after.opt}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), hand, library)
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), state.players["g"].params, g.params)
    most = max(jax.tree.leaves(moved))
    print(f"step {int(after.step)}: the same; the generator's weights moved by up to {most:.1e}")


state = step.init(gan, root)
assert_same_step(state)

# %% [markdown]
# ## Train
# `fit` runs the step in compiled chunks; most of the first seconds go into compiling. `Every` calls back between
# chunks: here it keeps what the generator makes of the same twelve latents as it learns.

# %%
STEPS = 3000
fixed = jax.random.normal(rng.named(root, "fixed"), (12, Z_DIM))


def generated(state, z):
    """G(z) as pixels 0..255, from the averaged weights."""
    return viz.to_uint8(to_signed.inverse(jax.jit(gan.generate)(*train.evaluation(state), z)))


history = {0: generated(state, fixed)}


def keep(progress):
    if progress.step in (100, 300, 1000, STEPS):
        history[progress.step] = generated(progress.state, fixed)


def columns(fitted):
    """The logged rows as columns, for drawing."""
    return {name: [row[name] for row in fitted.rows] for name in fitted.rows[0]}


fitted = train.fit(step, state, source, root, steps=STEPS, log_every=25, every=[train.Every(100, keep)])
state = fitted.state  # `fit` takes the old state over; go on with the one it returns
rows = columns(fitted)
assert_same_step(state)
viz.show(np.concatenate(list(history.values())), ncols=12)

# %% [markdown]
# Line by line: the same latents after 0, 100, 300, 1,000 and 3,000 steps. And by hand the step still agrees,
# 3,000 steps into the game.
#
# ### Who is winning?
# The discriminator's probability of being real, averaged over the real and over the generated half of each batch.
# Far apart, the discriminator wins and the generator learns from a sure opponent; both at one half (dashed), it
# is guessing.

# %%
names = ["d/real_probability", "d/fake_probability"]
viz.curves(rows, names, labels=["real", "generated"], level=0.5, ylim=(0, 1))

# %% [markdown]
# The losses themselves say little about quality: each is measured against an opponent that learns too. A healthy game
# shows level curves, not falling ones.

# %%
viz.curves(rows, ["d/loss", "g/loss"], labels=["discriminator, with R1", "generator"])

# %% [markdown]
# Image by image: the probabilities that the discriminator gives to training images, to generated ones, and to
# held-out ones. Where training
# and held-out part, as they begin to here, it is learning single images by heart.


# %%
def probability(x):
    return objective.score(*train.evaluation(state), Batch(x), root)["probability"]


def signed(image):
    return to_signed(root, Batch(jnp.asarray(image))).x


z = gan.noise(rng.named(root, "samples"), 1000)
samples = generated(state, z)
groups = {"training": digits.train.image, "generated": samples, "held out": digits.test.image}
viz.histogram({name: probability(signed(image)) for name, image in groups.items()}, limits=(0, 1))

# %% [markdown]
# ### Samples, and whether any digit is missing
# A generator may please the discriminator with a few digits only (*mode collapse*). As a check, each of 1,000 samples
# takes the label of its nearest training image, a classifier that is right on most of the held-out digits; and beside
# each of twelve samples we look at that nearest image, to see that it is not simply copied.


# %%
def nearest(images):
    """Index of each image's nearest training image, in squared distance of pixels."""
    a, b = (np.asarray(i, np.float32).reshape(len(i), -1) for i in (images, digits.train.image))
    return ((b**2).sum(axis=1)[None] - 2 * a @ b.T).argmin(axis=1)


def counts(images):
    return np.bincount(digits.train.label[nearest(images)], minlength=10)


right = (digits.train.label[nearest(digits.test.image)] == digits.test.label).mean()
print(f"held-out digits classified correctly: {100 * right:.0f} %")
print("samples of each digit, 0 to 9:", counts(samples))
viz.show(samples[:48], ncols=12)

# %%
viz.show(np.concatenate([samples[:12], digits.train.image[nearest(samples[:12])]]), ncols=12)

# %% [markdown]
# ## Three things to change
# One function, so that each change is a line.


# %%
def play(adversarial, penalties, repeat=1):
    """A new game from the same start: metrics as columns, 1,000 samples."""
    objective = objectives.gan(gan, adversarial, penalties)
    moves = train.Move("d", objective.d, adam, repeat=repeat), train.Move("g", objective.g, adam)
    step = train.make_step(*moves, draw=objective.draw, ema={"g": train.Ema(HALF_LIFE)})
    fitted = train.fit(step, step.init(gan, root), source, root, steps=STEPS, log_every=25)
    return columns(fitted), generated(fitted.state, z)


def late(rows, name):
    """The mean over the last thousand steps."""
    return np.mean(rows[name][-40:])


# %% [markdown]
# ### 1. Another loss: hinge
# The critic is only asked to keep real images above 1 and generated ones below −1; an image beyond that counts for
# nothing. **Expect:** samples much like those above; mean logits between −1 and 1 while the game is even; and no
# probability, because this loss defines none.

# %%
hinge, hinge_samples = play(losses.hinge, (losses.r1(GAMMA),))
print(f"logits: real {late(hinge, 'd/real_logit'):.2f}, generated {late(hinge, 'd/fake_logit'):.2f}")
print("samples of each digit:", counts(hinge_samples))
viz.show(hinge_samples[:24], ncols=12)

# %% [markdown]
# ### 2. A relative game, with a penalty on both sides
# The *relativistic* loss compares each real image with a generated one, $s(-(D(x) - D(G(z))))$; with $R_1$ on the
# real and $R_2$ on the generated images it is the loss of [R3GAN](https://arxiv.org/abs/2501.05441). **Expect:**
# only the *difference* of the logits to mean anything. Both losses would be $\log 2 = 0.69$ if the two could not
# be told apart.

# %%
pair, pair_samples = play(losses.relativistic, (losses.r1(GAMMA), losses.r2(GAMMA)))
gap = late(pair, "d/real_logit") - late(pair, "d/fake_logit")
print(f"gap of the mean logits: {gap:.2f}")
print(f"losses: discriminator {late(pair, 'd/loss'):.2f} with penalties, generator {late(pair, 'g/loss'):.2f}")
print("samples of each digit:", counts(pair_samples))
viz.show(pair_samples[:24], ncols=12)

# %% [markdown]
# ### 3. A better informed opponent: two discriminator moves a step
# `repeat=2` gives the discriminator two minibatches and two updates before the generator moves. **Expect:** a surer
# discriminator, so the two curves part further, at the cost of a slower step.

# %%
twice, twice_samples = play(losses.nonsaturating, (losses.r1(GAMMA),), repeat=2)
for name, r in (("one move ", rows), ("two moves", twice)):
    real, fake = late(r, "d/real_probability"), late(r, "d/fake_probability")
    print(f"{name}: probability of real {real:.3f}, of generated {fake:.3f}")
print("samples of each digit:", counts(twice_samples))
viz.show(twice_samples[:24], ncols=12)

# %% [markdown]
# **Where next.** `genjax train gan_digits` plays the game with convolutions, checkpoints and a report; `genjax train
# gan_mnist` does so on larger digits. To see what the penalty is for, draw the probabilities of
# `play(losses.nonsaturating, ())`: without it the two curves go on parting, as the discriminator grows surer and surer.
