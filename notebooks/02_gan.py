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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/-OWNER-/genjax/blob/main/notebooks/02_gan.ipynb)
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
# This notebook derives what these losses estimate, writes them and then a whole step of the game out by hand, checks
# them against the library, trains for some seconds, looks at the result, and changes three things. Three exercises ask
# you for a few lines each and say whether they are right; a solution is folded below each.
#
# Sources: [Goodfellow et al. 2014](https://arxiv.org/abs/1406.2661) for the game,
# [Mescheder et al. 2018](https://arxiv.org/abs/1801.04406) for the penalty further below.

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
import jax
import jax.numpy as jnp
import numpy as np
import optax

from genjax import data, losses, models, nets, objectives, rng, train, viz
from genjax.types import Batch, Context

# %% [markdown]
# ## What the losses estimate, derived
# Let real images have the density $p$ and generated ones the density $q$. Nobody can compute either; we can only draw
# from both.
#
# **1. The discriminator is a classifier.** $L_D$ is the cross-entropy of telling real from generated images. With
# $d(x) = \operatorname{sigmoid}(D(x))$ it is one integral over all images,
#
# $$ L_D = -\int p(x) \log d(x) + q(x) \log\bigl(1 - d(x)\bigr)\, dx , $$
#
# and if $d$ may be any function, each image can be looked at by itself. The derivative in $d(x)$ vanishes where
#
# $$
# -\frac{p}{d} + \frac{q}{1 - d} = 0, \qquad \text{that is} \qquad d^* = \frac{p}{p + q}, \qquad
# D^* = \log \frac{d^*}{1 - d^*} = \log \frac{p}{q},
# $$
#
# and that is the minimum, since both terms are convex in $d$. So **the best logit is the logarithm of the density
# ratio**: a classifier has learnt how many times more probable an image is among real ones.
#
# **2. Its loss is a distance.** Let $m = (p + q) / 2$, so that $d^* = p / 2m$ and $1 - d^* = q / 2m$. Then
#
# $$
# L_D(d^*) = -\int p \log \frac{p}{2m} + q \log \frac{q}{2m}
# = 2 \log 2 - \mathrm{KL}(p \,\|\, m) - \mathrm{KL}(q \,\|\, m) = 2 \log 2 - 2\, \mathrm{JSD}(p, q),
# $$
#
# with the *Jensen–Shannon divergence*, which is zero only for $p = q$ and at most $\log 2$. If the generator ever gets
# it right, nothing better than one half can be said of any image, and $L_D = 2 \log 2$. A real discriminator is not
# the best one, so its loss is higher: $\log 2 - L_D / 2$ is a *lower* bound of the divergence.
#
# **3. What does the generator descend?** It could maximise $L_D$, and with the best discriminator it would then
# minimise the Jensen–Shannon divergence. But where the discriminator is sure that an image is generated, that loss is
# flat (exercise 1). $L_G$ is the *non-saturating* form: its gradient is largest where the discriminator is winning,
# just when the generator needs it. What does it descend? Change $q$ a little, by $\delta q$ with $\int \delta q = 0$,
# and hold the discriminator at its best:
#
# $$
# \delta L_G = \int \delta q \, \bigl(-\log d^*\bigr) = \int \delta q \, \log \frac{p + q}{p}
# = \int \delta q \left[ \log \frac qp - \log \frac{q}{m} + \log 2 \right]
# = \delta \bigl[ \mathrm{KL}(q \,\|\, p) - 2\, \mathrm{JSD}(p, q) \bigr],
# $$
#
# for $\log(q / p)$ and $\log(q / m)$ are the variations of the two, up to constants, which $\int \delta q = 0$ removes.
# $\mathrm{KL}(q \,\|\, p)$ is large where the generator makes what is not real, and hardly minds what it never makes.
# That is why a GAN's samples are sharp, and why it may forget a kind of image.
#
# **Is it true?** On a line, with $p = \mathcal N(0, 1)$ and $q = \mathcal N(\theta, 1)$, sums over a fine grid are good
# integrals.

# %%
line = jnp.linspace(-9.0, 9.0, 1801)
width = 18.0 / 1800  # not line[1] - line[0], which has lost five digits


def normal(theta):
    return jnp.exp(-0.5 * (line - theta) ** 2) / jnp.sqrt(2 * jnp.pi)


def kl(a, b):
    return width * (a * (jnp.log(a) - jnp.log(b))).sum()


def jsd(p, q):
    return 0.5 * (kl(p, (p + q) / 2) + kl(q, (p + q) / 2))


def check_derivation(theta):
    p, q = normal(0.0), normal(theta)
    best = jnp.log(p / q)

    def l_d(logits):
        return width * (p * jax.nn.softplus(-logits) + q * jax.nn.softplus(logits)).sum()

    def l_g(theta):  # the discriminator stays at its best for q
        return width * (normal(theta) * jax.nn.softplus(-best)).sum()

    def descended(theta):
        return kl(normal(theta), p) - 2 * jsd(p, normal(theta))

    np.testing.assert_allclose(jax.grad(l_d)(best), 0.0, atol=1e-7)  # 1.
    np.testing.assert_allclose(l_d(best), 2 * np.log(2) - 2 * jsd(p, q), rtol=1e-5)  # 2.
    slope = jax.grad(l_g)(theta)
    np.testing.assert_allclose(slope, jax.grad(descended)(theta), rtol=1e-3, atol=1e-4)  # 3.
    print(f"theta {theta}: JSD {jsd(p, q):.3f}, best L_D {l_d(best):.3f}, slope of L_G {slope:.3f}")


for shift in (0.5, 1.0, 2.0, 4.0):
    check_derivation(shift)

# %% [markdown]
# At $\theta = 4$ the two hardly overlap: the divergence is close to $\log 2 = 0.69$, its end, and hardly changes any
# more, while $L_G$ pulls the harder.
#
# ### Exercise 1: saturation
# The generator feels the discriminator only through the slope of its loss in the logit $l = D(G(z))$. Write that slope
# for the original loss, $\log(1 - \operatorname{sigmoid}(l))$, and for the non-saturating one, $-\log
# \operatorname{sigmoid}(l)$, as formulas, without `jax.grad`. Put your lines in the place of the three dots and run
# the cell.


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
def slopes(logit):
    """The slopes of the original and of the non-saturating loss in the logit, two arrays like it."""
    ...


def try_slopes(answer):
    logits = jnp.array([-8.0, -2.0, 0.0, 2.0, 8.0])

    def slope(loss):
        return jax.grad(lambda logits: loss(logits, logits).sum())(logits)

    mark(answer(logits), (slope(losses.minimax.g), slope(losses.nonsaturating.g)))


try_slopes(slopes)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def slopes(logit):
#     return -jax.nn.sigmoid(logit), -jax.nn.sigmoid(-logit)
#
#
# try_slopes(slopes)
# ```
#
# At $l = -8$, where the discriminator is sure, the original loss has the slope $-0.0003$ and the other one $-0.9997$.
# At $l = 0$ both have $-1/2$: between equals it makes no difference.
# </details>

# %% [markdown]
# ## The data and the players
# 6,000 pictures of clothes, 28×28 grey pixels each, from [Fashion-MNIST](https://arxiv.org/abs/1708.07747), and 1,000
# held out; they come with the package. The generator ends in a tanh, so the pixels are brought to $[-1, 1]$. Both
# players are small fully connected nets.
#
# First weights, order of the images and noise are random, and yet every cell below gives the same result whenever it
# is run: there is one root key, and each use of chance has a key of its own, made from the root by a name and a step.
# ([01_vae](01_vae.ipynb) says more.)

# %%
clothes = data.load("fashion_mini")
to_signed = data.to_signed()
root = jax.random.key(0)
source = data.make_source(clothes.train, batch_size=64, transform=to_signed)

Z_DIM = 32
gan = models.GAN(
    generator=nets.mlp_generator(Z_DIM, clothes.spec.shape, hidden=(256, 256)),
    discriminator=nets.mlp_discriminator(clothes.spec.shape, hidden=(256, 256)),
    z_dim=Z_DIM,
)
generate = jax.jit(gan.generate)
params, net_state = gan.init(rng.named(root, "init"))
batch = source.batch(root, step=0)
viz.rows({"real": to_signed.inverse(batch.x[:24])})

# %% [markdown]
# ## Both losses by hand
# With $s$ the softplus, $-\log \operatorname{sigmoid}(l) = s(-l)$ and $-\log(1 - \operatorname{sigmoid}(l)) =
# s(l)$. Written so, in logits, nothing overflows and no logarithm ever sees a zero.
#
# The derivation gave the discriminator all the time it needs. In the game each player's target moves whenever the
# other learns, and the two may circle instead of settling. A small penalty on the discriminator's slope at real images
# calms it ($R_1$; exercise 3 shows how):
#
# $$
# R_1 = \frac{\gamma}{2}\, \mathbb E_x \lVert \nabla_x D(x) \rVert^2 .
# $$
#
# Its gradient is that of the *summed* logits: no image's logit depends on another image, so one backward pass gives
# every image its own gradient.

# %%
GAMMA = 1.0


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
# `objectives.gan` joins it with the model and the penalties into one objective a side.
#
# Every objective of the library has the signature `(params, batch, ctx) -> (loss, aux)`. Besides parameters and data,
# others than ours need a net's running averages, a key or the number of the step, and both sides of this game need
# the *same* latents: all of that travels in the context `ctx`. `draw` makes what a step draws once for
# both: here the latents.

# %%
objective = objectives.gan(gan, adversarial=losses.nonsaturating, penalties=(losses.r1(GAMMA),))
draws = objective.draw(rng.named(root, "check"), batch)
z = draws["z"]


def context():
    return Context(
        state=net_state, key=rng.named(root, "unused here"), step=jnp.asarray(0), draws=draws
    )


library_d, _ = jax.jit(lambda p: objective.d(p, batch, context()))(params)
library_g, _ = jax.jit(lambda p: objective.g(p, batch, context()))(params)
np.testing.assert_allclose(loss_d(params["d"], params["g"], batch.x, z), library_d, rtol=1e-5)
np.testing.assert_allclose(loss_g(params["g"], params["d"], z), library_g, rtol=1e-5)

real, fake = D(params["d"], batch.x), D(params["d"], G(params["g"], z))
cross_entropy = -jnp.log(jax.nn.sigmoid(real)) - jnp.log(1 - jax.nn.sigmoid(fake))
np.testing.assert_allclose(losses.nonsaturating.d(real, fake), cross_entropy, rtol=1e-4)
print(
    f"before training: L_D + R1 = {library_d:.4f}, L_G = {library_g:.4f}; 2 log 2 = {2 * np.log(2):.4f}"
)

# %% [markdown]
# ### Exercise 2: a penalty on the other side
# $R_2$ is the same penalty at the generated images, $\frac{\gamma}{2}\, \mathbb E_z \lVert \nabla_x D(x) \rVert^2$ at
# $x = G(z)$. Write the discriminator's loss with $R_1$ **and** $R_2$, both with the weight `GAMMA`.


# %%
def loss_d_both(d, g, x, z):
    """The discriminator's loss with both penalties, one number."""
    ...


def try_both(answer):
    both = objectives.gan(gan, penalties=(losses.r1(GAMMA), losses.r2(GAMMA)))
    p = {"d": jax.tree.map(lambda a: 3 * a, params["d"]), "g": params["g"]}  # steeper than at first
    mark(answer(p["d"], p["g"], batch.x, z), both.d(p, batch, context())[0])


try_both(loss_d_both)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def loss_d_both(d, g, x, z):
#     generated = G(g, z)
#     slope = jax.grad(lambda x: D(d, x).sum())(generated)
#     r2 = GAMMA / 2 * (slope**2).sum(axis=(1, 2, 3))
#     return loss_d(d, g, x, z) + r2.mean()
#
#
# try_both(loss_d_both)
# ```
#
# The gradient must be taken in the *image*, so $G(z)$ is computed first and held: `jax.grad` of $D(G(z))$ in $z$ would
# measure the generator as well.
# </details>

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
# No momentum: the target moves. Adam divides a gradient by its own size: without eps, rounding errors would move too.
adam = optax.adam(5e-4, b1=0.0, b2=0.99, eps=1e-6)

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


# %% [markdown]
# A compiled program is kept with the function that it was compiled from. So a step, by hand or not, is made once, in a
# cell of its own, and a cell that runs it compiles it only the first time.


# %%
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


assert_same_step(step.init(gan, root))

# %% [markdown]
# ## Train
# `fit` runs the step in compiled chunks; most of the first seconds go into compiling. `Every` calls back between
# chunks: here it keeps what the generator makes of the same twelve latents as it learns.
#
# `fit` takes the state it is given over, memory and all, and gives the new one back. So the cell makes its own first
# state, and can be run as often as you like.

# %%
STEPS = 3000


def generated(state, z):
    """G(z) as pixels 0..255, from the averaged weights."""
    return viz.to_uint8(to_signed.inverse(generate(*train.evaluation(state), z)))


def columns(fitted):
    """The logged rows as columns, for drawing."""
    return {name: [row[name] for row in fitted.rows] for name in fitted.rows[0]}


def first_game():
    """The state after the last step, metrics as columns, and the same twelve latents by the step."""
    z, start = jax.random.normal(rng.named(root, "fixed"), (12, Z_DIM)), step.init(gan, root)
    history = {"step 0": generated(start, z)}

    def keep(progress):
        if progress.step in (100, 300, 1000, STEPS):
            history[f"step {progress.step:,}"] = generated(progress.state, z)

    every = [train.Every(20, keep)]
    fitted = train.fit(step, start, source, root, steps=STEPS, log_every=20, every=every)
    return fitted.state, columns(fitted), history


state, rows, history = first_game()
assert_same_step(state)
viz.rows(history)

# %% [markdown]
# Row by row: the same latents as the generator learns. And by hand the step still agrees, deep into the game.
#
# ### Who is winning?
# The discriminator's probability of being real, averaged over the real and over the generated half of each batch.
# Far apart, the discriminator wins and the generator learns from a sure opponent; both at one half (dashed), it
# is guessing.

# %%
viz.curves(
    rows,
    ["d/real_probability", "d/fake_probability"],
    labels=["real", "generated"],
    level=0.5,
    ylim=(0, 1),
    names=("training step", "probability of real"),
)

# %% [markdown]
# The losses themselves say little about quality: each is measured against an opponent that learns too. A healthy game
# shows level curves, not falling ones.

# %%
viz.curves(
    rows,
    ["d/loss", "g/loss"],
    labels=["discriminator, with R1", "generator"],
    names=("training step", "loss, nats"),
)

# %% [markdown]
# Image by image: the logits, which by step 1 of the derivation estimate the logarithm of the density ratio, of
# training images, generated ones and held-out ones. If training and held-out parted, the discriminator would be
# learning single images by heart.


# %%
def logits_of(image):
    x = to_signed(root, Batch(jnp.asarray(image))).x
    return objective.score(*train.evaluation(state), Batch(x), root)["logit"]


samples = generated(state, gan.noise(rng.named(root, "samples"), 1000))
groups = {
    "training": clothes.train.x[:1000],
    "generated": samples,
    "held out": clothes.test.x,
}
viz.histogram(
    {name: logits_of(image) for name, image in groups.items()},
    names=("logit, the log density ratio it sees", "share of the images"),
)

# %% [markdown]
# ### Samples, and whether anything is missing
# A generator may please the discriminator with a few kinds of clothes only (*mode collapse*). As a check, each of 1,000
# samples takes the label of its nearest training image, a classifier that is right on most of the held-out images; and
# beside each of twelve samples we look at that nearest image, to see that it is not simply copied.


# %%
def nearest(images):
    """Index of each image's nearest training image, in squared distance of pixels."""
    a, b = (np.asarray(i, np.float32).reshape(len(i), -1) for i in (images, clothes.train.x))
    return ((b**2).sum(axis=1)[None] - 2 * a @ b.T).argmin(axis=1)


def counted(images):
    """How many of the images are of each kind, as text."""
    n = np.bincount(clothes.train.y[nearest(images)], minlength=10)
    return ", ".join(f"{count} {name}" for name, count in zip(clothes.spec.classes, n, strict=True))


right = clothes.train.y[nearest(clothes.test.x)] == clothes.test.y
print(f"held-out images classified correctly: {100 * right.mean():.0f} %")
print("samples:", counted(samples))
viz.rows({"samples": samples[:36]})

# %% [markdown]
# Nothing is missing, but sandals are rare: what the generator never makes costs it little (step 3 of the derivation).
# The speckles are the nets' doing: to a fully connected one, pixels that lie side by side are no more alike than any
# two. Convolutions know better.

# %%
copies = clothes.train.x[nearest(samples[:12])]
viz.rows({"samples": samples[:12], "nearest": copies})

# %% [markdown]
# ## Three things to change
# `game` makes the step of another game, so that each change is a line, and `play` plays it.


# %%
def game(adversarial, penalties, repeat=1):
    """The step of a game with another loss, other penalties, or more moves of the discriminator."""
    objective = objectives.gan(gan, adversarial, penalties)
    moves = train.Move("d", objective.d, adam, repeat=repeat), train.Move("g", objective.g, adam)
    return train.make_step(*moves, draw=objective.draw, ema={"g": train.Ema(HALF_LIFE)})


def play(step):
    """A new game from the same start: metrics as columns, 1,000 samples."""
    fitted = train.fit(step, step.init(gan, root), source, root, steps=STEPS, log_every=20)
    return columns(fitted), generated(fitted.state, gan.noise(rng.named(root, "samples"), 1000))


def late(rows, name):
    """The mean over the last half of the game."""
    return np.mean(rows[name][len(rows[name]) // 2 :])


# %% [markdown]
# ### 1. Another loss: hinge
# The critic is only asked to keep real images above 1 and generated ones below −1; an image beyond that counts for
# nothing. **Expect:** samples much like those above; mean logits between −1 and 1 while the game is even; and no
# probability, because this loss defines none.

# %%
hinge_game = game(losses.hinge, (losses.r1(GAMMA),))

# %%
hinge, hinge_samples = play(hinge_game)
print(
    f"logits: real {late(hinge, 'd/real_logit'):.2f}, generated {late(hinge, 'd/fake_logit'):.2f}"
)
print("samples:", counted(hinge_samples))
viz.rows({"hinge": hinge_samples[:24]})

# %% [markdown]
# ### 2. A relative game, with a penalty on both sides
# The *relativistic* loss compares each real image with a generated one, $s(-(D(x) - D(G(z))))$; with $R_1$ on the
# real and $R_2$ on the generated images it is the loss of [R3GAN](https://arxiv.org/abs/2501.05441). **Expect:**
# only the *difference* of the logits to mean anything. Both losses would be $\log 2 = 0.69$ if the two could not
# be told apart.

# %%
pair_game = game(losses.relativistic, (losses.r1(GAMMA), losses.r2(GAMMA)))

# %%
pair, pair_samples = play(pair_game)
gap = late(pair, "d/real_logit") - late(pair, "d/fake_logit")
print(f"gap of the mean logits: {gap:.2f}")
print(
    f"losses: discriminator {late(pair, 'd/loss'):.2f} with penalties, generator {late(pair, 'g/loss'):.2f}"
)
print("samples:", counted(pair_samples))
viz.rows({"relativistic": pair_samples[:24]})

# %% [markdown]
# ### 3. A better informed opponent: two discriminator moves a step
# `repeat=2` gives the discriminator two minibatches and two updates before the generator moves. **Expect:** a surer
# discriminator, so the two curves part further, at the cost of a slower step.

# %%
two_moves_game = game(losses.nonsaturating, (losses.r1(GAMMA),), repeat=2)

# %%
twice, twice_samples = play(two_moves_game)
for moves, metrics in (("one move ", rows), ("two moves", twice)):
    of_real, of_fake = late(metrics, "d/real_probability"), late(metrics, "d/fake_probability")
    print(f"{moves}: probability of real {of_real:.3f}, of generated {of_fake:.3f}")
print("samples:", counted(twice_samples))
viz.rows({"two moves": twice_samples[:24]})

# %% [markdown]
# ### Exercise 3: why the penalty calms the game
# The smallest GAN there is ([Mescheder et al. 2018](https://arxiv.org/abs/1801.04406)): the data are the one point 0,
# the generator makes the one point $\theta$, and the discriminator is a line, $D(x) = \psi x$. With $s$ the softplus,
#
# $$
# L_D + R_1 = s(-\psi \cdot 0) + s(\psi \theta) + \tfrac{\gamma}{2} \psi^2, \qquad L_G = s(-\psi \theta),
# $$
#
# and the one right answer is $\theta = \psi = 0$. Write one step of gradient descent with the rate `lr`: first $\psi$,
# then $\theta$ against the new $\psi$. (The derivative of $s(a)$ is $\operatorname{sigmoid}(a)$.)


# %%
def tiny_step(theta, psi, gamma, lr=0.1):
    """theta and psi after one step."""
    ...


def tiny_game(step, gamma, steps=400):
    """How far theta is from the data, over the steps."""
    theta, psi, away = 1.0, 0.0, []
    for _ in range(steps):
        theta, psi = step(theta, psi, gamma)
        away.append(abs(float(theta)))
    return away


def try_tiny(answer):
    theta, psi, gamma, lr = 0.8, 0.6, 0.5, 0.1
    slope_psi = jax.grad(lambda psi: jax.nn.softplus(psi * theta) + gamma / 2 * psi**2)
    new = psi - lr * slope_psi(psi)
    slope_theta = jax.grad(lambda theta: jax.nn.softplus(-new * theta))
    mark(answer(theta, psi, gamma), (theta - lr * slope_theta(theta), new))


try_tiny(tiny_step)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def tiny_step(theta, psi, gamma, lr=0.1):
#     psi = psi - lr * (theta / (1 + np.exp(-psi * theta)) + gamma * psi)
#     theta = theta + lr * psi / (1 + np.exp(psi * theta))
#     return theta, psi
#
#
# try_tiny(tiny_step)
# without, with_r1 = tiny_game(tiny_step, gamma=0.0), tiny_game(tiny_step, gamma=1.0)
# assert max(without[-100:]) > 0.4 and max(with_r1[-100:]) < 0.001
# away = {"step": range(1, 401), "without": without, "with R1": with_r1}
# names = "step", "distance from the data"
# viz.curves(away, ["without", "with R1"], names=names)
# ```
#
# Run it to see the curves. Without the penalty the two chase each other around the answer and hardly get nearer: where
# $\theta = 0$, the discriminator still has a slope and pushes the generator past it. $R_1$ takes the slope away.
# </details>

# %% [markdown]
# **Where next.** `genjax train gan_fashion_mnist --data fashion_mini` plays the game with convolutions, checkpoints and
# a report. To see what the penalty is for in this game, draw the probabilities of
# `play(game(losses.nonsaturating, ()))`.
