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
# # Music you can hear
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/-OWNER-/genjax/blob/main/notebooks/04_music_you_can_hear.ipynb)
#
# A piano roll says for each moment which of 88 keys are down: a picture of zeros and ones, and yet no picture.
# Whoever moves a face by a pixel has the same face; whoever moves a note by a key has a wrong note. So this notebook
# lets you hear what a model has learnt.
#
# It makes rolls audible, derives why notes of one chord must not be drawn independently, checks that where the right
# answer is known, trains a VAE with either likelihood for some seconds, plays both, and walks from one tune to
# another. Three exercises ask you for a few lines each and say whether they are right; a solution is folded below
# each.
#
# It takes up the chord of [03_any_data](03_any_data.ipynb). Sources: [Boulanger-Lewandowski et al.
# 2012](https://arxiv.org/abs/1206.6392) for chords by the chain rule, [Germain et al.
# 2015](https://arxiv.org/abs/1502.03509) for the layer that computes all its factors at once.

# %% [markdown]
# ## Set-up
# With genjax installed (in its checkout: `pip install -e .`) the next cell does nothing. On Colab it installs genjax
# from the repository and the branch that this notebook was opened from; of a copy in Drive, which no longer knows
# where it came from, it takes `REPOSITORY`. A runtime without a GPU is enough.

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

from genjax import data, distributions, models, nets, objectives, rng, train, viz
from genjax.domains import music, synthesiser
from genjax.metrics.music import Rolls, in_scale_rate
from genjax.metrics.speech import spectrograms

# %% [markdown]
# ## Rolls, and how they sound
# 20 folk tunes with simple chords come with genjax, entered by hand, in all twelve keys; four of them are held out.
# They are cut into windows of 16 eighths, two bars. In a picture of a roll time runs to the right and pitch upwards;
# a thin line stands at each bar.

# %%
root = jax.random.key(0)
tunes = data.load("tunes", options={"window": 16})
rolls = tunes.test.x[tunes.test.event_mask.all(axis=1)]  # windows without a cut-off end
steps, keys = tunes.spec.shape
four = rolls[[0, 50, 100, 150]]


def pictures(groups):
    """Rolls by name as pictures of one height."""
    every = music.picture(np.concatenate(list(groups.values())), tunes.spec, width=5, height=4)
    ends = np.cumsum([len(some) for some in groups.values()])[:-1]
    return dict(zip(groups, np.split(every, ends), strict=True))


viz.rows(pictures({"held out": four}), ncols=4, scale=1)

# %% [markdown]
# A key sounds as its *fundamental* and the multiples of that frequency, each softer than the one below it and gone
# sooner. Twelve keys are an octave, twice the frequency, and all steps between keys are alike, so a key's frequency
# doubles with every twelfth key. The roll's sound is the sum of its notes, a held key being one note. That is
# `synthesiser.sound`, 30 lines of NumPy.


# %%
def players(**of):
    """A player for each roll."""
    sounds = {name: synthesiser.sound(roll, 2, tempo=160.0, rate=8000) for name, roll in of.items()}
    return viz.players({n.replace("_", " "): synthesiser.wav(x, 8000) for n, x in sounds.items()})


players(the_first_of_them=four[0])

# %% [markdown]
# What the ear gets of it: above the wave, below its spectrogram, low tones at the bottom. Each key is a ladder of
# lines, and where two keys share rungs, as those of a chord do, they sound well together.

# %%
sound = (32767 * synthesiser.sound(four[0], 2, tempo=160.0, rate=8000)).astype(np.int16)[None]
viz.rows({"its sound": viz.wave_cells(sound, spectrograms(sound), width=3)}, ncols=1, scale=1)

# %% [markdown]
# ### Exercise 1: the frequency of a key
# Concert pitch is 440 Hz, the A above middle C: key 48 of 0 ... 87. Write the frequency of any key. Put your line in
# the place of the three dots and run the cell.


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
def frequency(key):
    """Hertz of piano keys, numbered from 0."""
    ...


def try_frequency(answer):
    mark(answer(np.array([48, 60, 36, 39, 0])), [440.0, 880.0, 220.0, 261.6256, 27.5])


try_frequency(frequency)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def frequency(key):
#     return 440.0 * 2.0 ** ((key - 48) / 12)
#
#
# try_frequency(frequency)
# print("a fifth is", frequency(46) / frequency(39), "and nearly 3/2, hence its sweetness")
# ```
# </details>

# %% [markdown]
# ## Why a chord is not 88 coins
# The likelihood of bits is a product of coins, $p(x \mid z) = \prod_k p(x_k \mid z)$: *given the code*, keys are
# independent. A code that tells all about a chord makes that true. But a code costs nats, and what it leaves open,
# the coins decide one by one.
#
# **How bad is it?** Suppose that the code leaves two chords open, equally likely, which differ in $m$ keys. In a
# product each of those keys is down with probability $\frac12$, which is the best that it can do, by symmetry. So
#
# $$
# \log p_{\text{coins}}(x) = -m \log 2, \qquad
# P(\text{a sample is one of the two}) = 2 \cdot 2^{-m}.
# $$
#
# The chain rule, from the lowest key upwards, $p(x \mid z) = \prod_k p(x_k \mid x_1, \dots, x_{k-1}, z)$, loses
# nothing: the lowest of the $m$ keys is a coin, and says which chord it is. All others are certain, given that one:
#
# $$
# \log p_{\text{chord}}(x) = -\log 2, \qquad P(\text{a sample is one of the two}) = 1.
# $$
#
# C major and F major, as the tunes have them, share the middle C and differ in six keys.
#
# **How is it computed?** One logit for each key would be a net run 88 times. A *masked* layer does it in one pass:
# hidden unit $i$ sees only keys up to some key $k_i$, and only keys above $k_i$ see the unit. So no path leads from a
# key to itself or to a lower one; a log probability is one pass, and only samples need 88 steps.
# `distributions.chords` is that layer, and the decoder adds to every logit and every hidden unit.
#
# **Is it true?** Both distributions can be written down. `SURE` is a logit so large that its probability is one in
# floats, nearly. Coins get it where the chords agree, and 0 where they differ. The chord gets 0 at its lowest coin,
# the key of F; all other logits are those of C major, plus a weight from that key which turns them into those of F
# major.

# %%
SURE = 20.0
C, F = np.zeros((2, keys), np.float32)
C[np.array([48, 55, 60, 64]) - 21] = 1.0  # MIDI numbers; a piano's first key has 21
F[np.array([41, 53, 57, 60]) - 21] = 1.0
lowest = 41 - 21

chord_likelihood = distributions.chords(hidden=64)
weights_by_hand = jax.tree.map(jnp.zeros_like, chord_likelihood.init(keys)) | {
    "direct": jnp.zeros((keys, keys)).at[lowest].set(2 * SURE * (F - C))
}
logits_by_hand = jnp.asarray(SURE * (2 * C - 1)).at[lowest].set(0.0)


def two_chords_by(name, n):
    """p(x) by coins or by the chain rule, n times over, for chords of one step."""
    if name == "coins":
        logits = jnp.where(C == F, SURE * (2 * C - 1), 0.0)
        return distributions.Bernoulli(jnp.tile(logits, (n, 1, 1)))
    outputs = jnp.concatenate([logits_by_hand, jnp.zeros(64)])
    return chord_likelihood.apply(weights_by_hand, jnp.tile(outputs, (n, 1, 1)))


def check_two_chords():
    m = np.abs(C - F).sum()
    both = jnp.stack([C, F])[:, None]
    for name, nats, share in (("coins", m * np.log(2), 2.0 ** (1 - m)), ("chord", np.log(2), 1.0)):
        found = -two_chords_by(name, 2).log_prob(both)
        x = np.asarray(two_chords_by(name, 2000).sample(rng.named(root, "two chords")))[:, 0]
        right = ((x == C).all(axis=1) | (x == F).all(axis=1)).mean()
        np.testing.assert_allclose(found, nats, rtol=1e-4)
        np.testing.assert_allclose(right, share, atol=0.02)
        print(
            f"{name}: {found[0]:.3f} nats, derived {nats:.3f}; {right:5.1%} right, derived {share:5.1%}"
        )


check_two_chords()

# %% [markdown]
# ### Exercise 2: play a chord
# `p.conditional(x)` gives the logit of each key given those below it in `x`, all at once. Draw a chord with it: one
# key after the other, from the lowest, down where the given uniform number is below its probability. (88 calls are
# fine; `sample` does it with 88 small updates.)


# %%
def played(p, u):
    """A draw from p, a chord of 1 step: uniforms u (1, 1, keys) to zeros and ones of that shape."""
    ...


def try_played(answer):
    outputs = jax.random.normal(rng.named(root, "exercise 2"), (1, 1, chord_likelihood.n_out(12)))
    params = jax.tree.map(
        lambda a: jax.random.normal(rng.named(root, "weights"), a.shape), chord_likelihood.init(12)
    )
    p, key = chord_likelihood.apply(params, outputs), rng.named(root, "played")
    mark(answer(p, jax.random.uniform(key, (1, 1, 12))), p.sample(key))


try_played(played)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def played(p, u):
#     x = jnp.zeros(u.shape)
#     for k in range(u.shape[2]):
#         down = u[..., k] < jax.nn.sigmoid(p.conditional(x)[..., k])
#         x = x.at[..., k].set(down.astype(x.dtype))
#     return x
#
#
# try_played(played)
# ```
#
# What stands in `x` from key $k$ upwards does not matter to the logit of key $k$: that is what the masks are for.
# </details>

# %% [markdown]
# ## A code for each eighth
# Music goes on: a model of windows alone would end with the window. So each step $t$ gets a code of its own, and the
# prior is a chain rule, too, $p(z) = \prod_t p(z_t \mid z_1, \dots, z_{t-1})$: a net says what comes next, given what
# has been. Each eighth is decoded from its own code, $p(x \mid z) = \prod_t p(x_t \mid z_t)$. The bound of
# [01_vae](01_vae.ipynb) stays as it is, with $z = (z_1, \dots, z_T)$, and as the logarithm of a product is a sum,
#
# $$
# R = \mathbb E_{q} \sum_t \mathrm{KL}\bigl( q(z_t \mid x) \,\|\, p(z_t \mid z_1, \dots, z_{t-1}) \bigr).
# $$
#
# `models.SequenceVAE` is this model: convolutions over time on both sides. The objective is that of 01. Windows of 16
# eighths train it, and as it can go on it is asked for 32.
#
# Nets, data and steps are the same for coins and chords; only the likelihood differs. Both bounds are of one thing,
# the probability of a roll, so they compare.
#
# A compiled program is kept with the function that it was compiled from, and a model is a *static* argument, a part of
# the program rather than an input. So steps and functions of models are made here, once: the cells below compile only
# the first time that they are run.

# %%
CODE, LONG = 16, 32


def make_vae(likelihood):
    return models.SequenceVAE(
        encoder=nets.centred_convs(keys, 2 * CODE, width=64, layers=3),
        transition=nets.causal_convs(CODE, 2 * CODE, width=64, layers=3),
        decoder=nets.each_step(CODE, likelihood.n_out(keys), (128,), bias=-4.0),
        code_dim=CODE,
        steps=LONG,
        memory=nets.memory(3),
        likelihood=likelihood,
        channels=keys,
    )


def step_of(vae):
    return train.make_step(train.Move("vae", objectives.vae(vae), optax.adam(2e-3)))


@functools.partial(jax.jit, static_argnames="vae")
def scores_of(vae, params, state, batch, key):
    return objectives.score_vae(vae)(params, state, batch, key)


@functools.partial(jax.jit, static_argnames="vae")
def draw(vae, params, state, noise, key):
    return vae.draw(params, state, noise, key)


source = data.make_source(tunes.train, batch_size=32, transform=data.as_bits())
coin_vae, chord_vae = make_vae(distributions.bernoulli()), make_vae(chord_likelihood)
coin_step, chord_step = step_of(coin_vae), step_of(chord_vae)

# %%
STEPS = 2000


def trained(vae, step):
    """Trains from scratch; parameters and state for use, and the metrics as columns."""
    every = max(1, STEPS // 50)
    fitted = train.fit(step, step.init(vae, root), source, root, steps=STEPS, log_every=every)
    rows = {name: [row[name] for row in fitted.rows] for name in fitted.rows[0]}
    return train.evaluation(fitted.state), rows


of_coins, coin_rows = trained(coin_vae, coin_step)
of_chords, chord_rows = trained(chord_vae, chord_step)
viz.curves(
    {"step": coin_rows["step"], "coins": coin_rows["elbo"], "chord": chord_rows["elbo"]},
    ["coins", "chord"],
    names=("training step", "ELBO, nats per window"),
)

# %%
viz.curves(
    {"step": coin_rows["step"], "coins": coin_rows["rate"], "chord": chord_rows["rate"]},
    ["coins", "chord"],
    names=("training step", "rate R, nats per window"),
)


# %%
def held_out(vae, weights):
    """The bound and its two terms for the held-out windows, nats per eighth."""
    batch = data.as_bits()(root, next(data.once(tunes.test, batch_size=len(tunes.test.x))))
    scores = scores_of(vae, *weights, batch, rng.named(root, "held out"))
    return [
        scores[name].sum() / tunes.test.event_mask.sum() for name in ("elbo", "distortion", "rate")
    ]


def say_held_out(name, vae, weights):
    elbo, D, R = held_out(vae, weights)
    print(f"{name}: ELBO {elbo:5.2f} = -(D {D:4.2f} + R {R:4.2f}) nats per eighth")


say_held_out("coins", coin_vae, of_coins)
say_held_out("chord", chord_vae, of_chords)

# %% [markdown]
# ## Look, and listen
# The same noise for both: codes of 32 eighths, one after the other from the prior, then draws from $p(x \mid z)$ with
# all its chance. Shown beside them are held-out tunes as they go on, two windows each.


# %%
def drawn(vae, weights, temperature=1.0):
    """100 rolls of the model, zeros and ones."""
    noise = vae.noise(rng.named(root, "noise"), 100, temperature)
    x = draw(vae, *weights, noise, rng.named(root, "draw"))
    return np.asarray(x).astype(np.uint8)


by_coins, by_chords = drawn(coin_vae, of_coins), drawn(chord_vae, of_chords)
two_windows = np.stack([np.concatenate([rolls[i], rolls[i + 1]]) for i in (0, 100, 200)])
viz.rows(
    pictures({"held out": two_windows, "coins": by_coins[:3], "chord": by_chords[:3]}),
    ncols=3,
    scale=1,
)

# %%
players(coins=by_coins[0][:16], chord=by_chords[0][:16])

# %% [markdown]
# Coins double notes, drop them, and let a key of another chord through, for an eighth at a time. Can that be counted?
# A *chord* shall be the keys that sound together, as distances from the lowest one. How many of the sampled chords
# occur anywhere in the training tunes?


# %%
def chords_of(some):
    """For each eighth in which a key is down: the distances of its keys from the lowest one."""
    down = some.reshape(-1, keys) > 0
    return [tuple((np.flatnonzero(row) - row.argmax()).tolist()) for row in down if row.any()]


known = set(chords_of(tunes.train.x))


def say_known(name, some):
    found = chords_of(some)
    share = np.mean([chord in known for chord in found])
    print(f"{name:8}: {share:5.1%} of {len(found)} chords are known from the training tunes")


say_known("held out", rolls)
say_known("coins", by_coins)
say_known("chord", by_chords)

# %%
viz.histogram(
    {
        n: x.sum(axis=2).ravel()
        for n, x in (("held out", rolls), ("coins", by_coins), ("chord", by_chords))
    },
    limits=(0, 8),
    names=("keys down at once", "share of eighths"),
)

# %% [markdown]
# ### Exercise 3: wrong notes
# A major scale is 7 of the 12 tones of an octave: 0, 2, 4, 5, 7, 9 and 11 keys above its tonic. Each tune keeps to
# one, but for a few notes; which one does not matter. Write the share of a roll's notes, eighth by eighth, that are
# in the scale that holds most of them.


# %%
def in_scale(roll):
    """The share of a roll's notes (steps, 88) that are in the best of the twelve major scales."""
    ...


def try_in_scale(answer):
    every = np.ones((1, LONG), bool)
    expected = [in_scale_rate(Rolls(roll[None], every, 2)) for roll in by_coins[:3]]
    given = [answer(roll) for roll in by_coins[:3]]
    mark(None if None in given else given, expected)


try_in_scale(in_scale)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def in_scale(roll):
#     counts = np.bincount(np.nonzero(roll)[1] % 12, minlength=12)
#     scale = np.array([0, 2, 4, 5, 7, 9, 11])
#     return max(counts[(scale + tonic) % 12].sum() for tonic in range(12)) / counts.sum()
#
#
# try_in_scale(in_scale)
# for name, some in (("held out", rolls), ("coins", by_coins), ("chord", by_chords)):
#     print(f"{name:8}: {np.mean([in_scale(roll) for roll in some if roll.any()]):.1%}")
# ```
#
# It is one of the six rates that `genjax eval` reports of music, after [MuseGAN](https://arxiv.org/abs/1709.06298):
# neither high nor low is good, only near to the real one.
# </details>

# %% [markdown]
# ## Two things to change
# ### 1. From one tune to another
# Codes are vectors, so there is a straight way from one held-out window's to another's. Shown is the *mode* of $p(x
# \mid z)$: key by key the likelier of up and down, without chance.

# %%
ends = rolls[[0, 100]]


@jax.jit
def between(weights, x):
    """Five windows on the straight line between the codes of two, both included."""
    params, state = weights
    q, _ = chord_vae.encode(params["vae"], state["vae"], x)
    t = jnp.linspace(0.0, 1.0, 5)[:, None]
    return chord_vae.picture(params, state, (1 - t) * q.mu[:1] + t * q.mu[1:])


# %%
way = np.asarray(between(of_chords, jnp.asarray(ends, jnp.float32))).astype(np.uint8)
viz.rows(pictures({"from, to": ends, "the way": way}), ncols=5, scale=1)

# %%
players(start=ends[0], halfway=way[2], end=ends[1])

# %% [markdown]
# ### 2. Temperature
# The noise that the prior makes codes of may be scaled. **Expect:** below 1 the likelier codes, so chords are held
# longer; at 0 the same codes every time, and only what $p(x \mid z)$ leaves open differs; above 1 adventures.

# %%
by_temperature = {f"{t}": drawn(chord_vae, of_chords, t)[:3] for t in (0.0, 0.5, 1.3)}
viz.rows(pictures(by_temperature), ncols=3, scale=1, corner="temperature")

# %%
players(half_the_noise=by_temperature["0.5"][0][:16])

# %% [markdown]
# **Where next.** `genjax train vae_music` is this model with more layers, dropout and every tune moved to other keys
# at random; `genjax sample RUN --out tunes.mid` writes what any music program opens; `--data my_folder` reads your
# own `.mid` files. `genjax train gan_music` learns the same rolls without any likelihood, as in
# [02_gan](02_gan.ipynb).
