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
# # Any data: one objective, five likelihoods
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/-OWNER-/genjax/blob/main/notebooks/03_any_data.ipynb)
#
# [01_vae](01_vae.ipynb) derives what a variational autoencoder is trained on,
#
# $$
# \mathrm{ELBO}(x) = \mathbb E_{q(z \mid x)} \bigl[ \log p(x \mid z) \bigr]
# - \mathrm{KL}\bigl( q(z \mid x) \,\|\, p(z) \bigr) \;\le\; \log p(x).
# $$
#
# No step of the derivation asks what $x$ is. The code $z$ is a vector of numbers whatever it stands for, so the rate
# is the same formula for all data. A single term touches the data: **the likelihood**, $p(x \mid z)$.
#
# This notebook asks what that term has to be for pictures, texts, music, tables and speech, derives each answer,
# checks it, trains the same objective on all five for some seconds, and puts samples beside the real thing. Three
# exercises ask you for a few lines each and say whether they are right; a solution is folded below each.

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
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genjax import data, distributions, domains, models, nets, objectives, rng, train, viz
from genjax.domains import music
from genjax.metrics.speech import spectrograms

# %% [markdown]
# ## Five kinds of data
# All five come with genjax. What does one *element* of each look like, before any model? That decides everything
# below.

# %%
root = jax.random.key(0)
digits = data.load("digits")  # pictures of 8×8 grey pixels
psalms = data.load("psalms", options={"length": 32})  # pieces of verses, up to 31 characters
tunes = data.load("tunes", options={"window": 16})  # two bars: 16 eighths of 88 piano keys
penguins = data.load("penguins")  # rows of 8 columns, some values missing
speech = data.load("synthetic_speech", options={"samples": 1024})  # 1/8 s of a spoken digit


def describe(kind, element):
    spec = kind.spec
    print(f"{spec.name:17} {spec.n_train:5} of {spec.shape!s:10} {spec.dtype:8} {element}")


describe(digits, "a level of grey, 0 ... 255")
describe(psalms, f"one of {psalms.spec.n_values} characters")
describe(tunes, "a piano key: up or down")
describe(penguins, "a number, or one of a few names, or nothing")
describe(speech, "a level of a 16-bit sample, -32768 ... 32767")

# %% [markdown]
# ## What a likelihood has to be
# A decoder is a net, and a net gives real numbers of any size. The likelihood turns them into probabilities of
# *exactly what the data can be*, such that all possible examples together have probability one. Nothing else is asked
# of it, and nothing less will do: where the sum is not one, "nats" means nothing, and a model can lower its loss
# without learning.
#
# **A bit** ($x \in \{0, 1\}$: a pixel that is black or white). *Every* distribution on two values is one number, $\pi
# = P(x = 1)$, so nothing is assumed. The decoder's number $l$ becomes $\pi = \operatorname{sigmoid}(l)$:
#
# $$ \log p(x) = x \log \pi + (1 - x) \log (1 - \pi) = x\, l - \log\bigl(1 + e^l\bigr). $$
#
# **A symbol** ($x \in \{1, \dots, K\}$: a character, a species). Every distribution on $K$ values is $K$
# probabilities, and $K$ numbers name it, through the softmax:
#
# $$ \log p(x = k) = l_k - \log \sum_{j=1}^K e^{l_j}. $$
#
# For $K = 2$ only $l_2 - l_1$ matters, and this is the bit again. A normal distribution around "the number of the
# character" would be wrong in kind: it holds that `b` is something between `a` and `c`.
#
# **Many elements.** Given the code, are they independent? A *product*, $p(x \mid z) = \prod_i p(x_i \mid z)$, says
# so, and leaves all that they have in common to the code. The *chain rule* says nothing, for it always holds:
#
# $$ p(x \mid z) = \prod_i p(x_i \mid x_1, \dots, x_{i-1}, z). $$
#
# It costs a net that sees what stands before each element, and samples that are made one element after the other. We
# use it twice: along a **text**, where each character follows those before it, and up a **chord**, where each key is
# told given the lower ones. ([04_music_you_can_hear](04_music_you_can_hear.ipynb) lets you hear what happens
# without.) A text also needs a symbol for its end, with a probability like others: only then do texts of *all*
# lengths add up to one.
#
# **A row of a table.** A product over columns, each of its own kind. A missing value is one more name that a column
# can have. A number is told in two parts, which of a few *modes* it is in, a symbol, and where in it, a normal place.
#
# **A sample of sound** ($x = v / 32768$ with $v = -32768, \dots, 32767$). A symbol of $K = 65536$ would take 65536
# numbers a sample, and not know that neighbours are alike. A density has another flaw: silence is the value 0 over
# and over, and the density of a narrow curve at its centre has no bound, so training would run after silence. So:
# take a curve with a distribution function $F$, and give each level what lies between the midpoints to its
# neighbours,
#
# $$
# p(x) = F\bigl(x + \tfrac h2\bigr) - F\bigl(x - \tfrac h2\bigr), \qquad h = \tfrac{1}{32768},
# $$
#
# with the tails for the two outermost levels. The sum is one by construction, as all middle terms cancel.
#
# **Is it true?** For a few elements all possible examples can be written down, with decoder outputs at random:


# %%
@jax.jit
def sums_of_probabilities(key):
    """The probabilities of all examples that there are, added up, for each kind."""
    keys = jax.random.split(key, 5)
    three_bits = jnp.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], jnp.float32)
    two_symbols = jnp.array([[a, b] for a in range(5) for b in range(5)])
    levels = jnp.arange(-32768, 32768)[:, None] / 32768

    def outputs(key, n, *shape):
        """What a decoder may give, the same for each of n examples."""
        return jnp.tile(jax.random.normal(key, (1, *shape)), (n,) + (1,) * len(shape))

    chords, sound = distributions.chords(hidden=6), distributions.laplace16()
    weights = jax.tree.map(lambda a: jax.random.normal(keys[0], a.shape), chords.init(3))
    of_bits = distributions.Bernoulli(outputs(keys[1], 8, 3))
    every = {
        "3 bits": of_bits.log_prob(three_bits),
        "3 bits, each a choice of two": distributions.Categorical(
            jnp.stack([0 * of_bits.logits, of_bits.logits], axis=-1)
        ).log_prob(three_bits),
        "2 symbols of 5": distributions.Categorical(outputs(keys[2], 25, 2, 5)).log_prob(
            two_symbols
        ),
        "a chord of 3 keys": chords.apply(
            weights, outputs(keys[3], 8, 1, chords.n_out(3))
        ).log_prob(three_bits[:, None]),
        "a 16-bit sample": sound.apply({}, outputs(keys[4], 65536, 1, 2)).log_prob(levels),
    }
    return every, {name: jnp.exp(log_p).sum() for name, log_p in every.items()}


# %%
def check_sums():
    every, sums = sums_of_probabilities(rng.named(root, "sums"))
    for name in ("3 bits", "2 symbols of 5", "a chord of 3 keys", "a 16-bit sample"):
        total = sums[name]
        print(f"{name:17} {len(every[name]):5} examples, probabilities add up to {total:.4f}")
        np.testing.assert_allclose(total, 1.0, rtol=1e-3)
    np.testing.assert_allclose(
        every["3 bits"], every["3 bits, each a choice of two"], rtol=1e-4
    )  # a bit is a symbol of two


check_sums()

# %% [markdown]
# ### Exercise 1: the probability of a level
# genjax takes the Laplace curve, $f(t) = \frac{1}{2s} e^{-|t| / s}$ around $\mu$. Let $d = |x - \mu|$ be more than
# half a level. Integrate $f$ from $d - \frac h2$ to $d + \frac h2$ and write the logarithm of the result, such that
# it is right for very narrow curves, too: at $d / s = 200$ an $e^{-d/s}$ by itself is zero in floats, and its
# logarithm is lost. Put your lines in the place of the three dots and run the cell.


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
def log_mass(d, s, h=1 / 32768):
    """log of the mass between d - h/2 and d + h/2, for d and s of the same shape and d > h/2."""
    ...


def try_log_mass(answer):
    log_s = jnp.log(jnp.array([0.1, 0.01, 1e-3, 1e-4]))
    x = jnp.array([0.5, 0.25, 0.125, 0.02])
    p = distributions.DiscretizedLaplace(jnp.zeros((4, 1)), log_s[:, None])
    mark(answer(x, jnp.exp(log_s)), p.log_prob(x[:, None]))


try_log_mass(log_mass)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def log_mass(d, s, h=1 / 32768):
#     return -d / s + jnp.log(jnp.sinh(h / 2 / s))
#
#
# try_log_mass(log_mass)
# ```
#
# $\int_{d - h/2}^{d + h/2} \frac{1}{2s} e^{-t/s}\, dt = \frac12 \bigl( e^{-(d - h/2)/s} - e^{-(d + h/2)/s} \bigr) =
# e^{-d/s} \sinh \frac{h}{2s}$. For small $h/s$ the sinh is $\frac{h}{2s}$, and this is the density times the width of
# a level.
# </details>

# %% [markdown]
# ## One function trains them all
# Below is everything that happens to a data set: a source of minibatches, **the same objective**, Adam, the bound of
# held-out examples, and samples. A kind of data brings its *transform*, from what is stored to what the likelihood is
# defined on; its model; and its *domain*, which knows how examples of its kind are stored, shown, saved and measured.
# The domain finishes samples: rounds levels, ends a line at its end, gives a number the digits that its column has.
#
# A compiled program is kept with the function that it was compiled from. So `learner` makes the step, and the function
# that looks at the result, once, and returns a function that uses them: called again, it compiles neither.
#
# As in 01 and 02, all chance comes from one root key by names, so every cell gives the same whenever it is run.

# %%
STEPS = 1000


class Learnt(NamedTuple):
    """What training on a data set gave."""

    rows: dict
    """Metrics over training, as columns."""
    elbo: np.ndarray
    """Nats of each held-out example."""
    samples: data.Examples


def learner(vae, kind, transform, lr=2e-3):
    """A function that trains a VAE from scratch, and looks at it."""
    step = train.make_step(train.Move("vae", objectives.vae(vae), optax.adam(lr)))
    source = data.make_source(kind.train, batch_size=32, transform=transform)
    k_transform, k_z, k_noise, k_draw = jax.random.split(rng.named(root, "look"), 4)
    domain, held_out = domains.of(kind.spec), next(data.once(kind.test, len(kind.test.x)))

    @jax.jit
    def look(params, state):
        scores = objectives.score_vae(vae)(params, state, transform(k_transform, held_out), k_z)
        noise = vae.noise(k_noise, 240)
        if domain.drawn == "mean":  # pictures and sound: without the noise of each element
            x = vae.generate(params, state, noise)
        else:
            x = vae.draw(params, state, noise, k_draw)
        return {name: scores[name] for name in ("elbo", "distortion", "rate")}, transform.inverse(x)

    def learn():
        fitted = train.fit(
            step, step.init(vae, root), source, root, steps=STEPS, log_every=max(1, STEPS // 50)
        )
        rows = {name: [row[name] for row in fitted.rows] for name in fitted.rows[0]}
        scores, x = look(*train.evaluation(fitted.state))
        elbo, D, R = (scores[name].mean() for name in ("elbo", "distortion", "rate"))
        print(f"held out: ELBO {elbo:.2f} = -(D {D:.2f} + R {R:.2f}) nats per example")
        samples = domain.finish(np.asarray(x), kind.spec).examples
        return Learnt(rows, np.asarray(scores["elbo"]), samples)

    return learn


AXES = "training step", "ELBO, nats per example"

# %% [markdown]
# ### Pictures: a product of bits
# `binarize` draws each pixel black or white with its grey value as the probability, and the likelihood is a product
# of 64 coins. This is 01 again, in small.

# %%
Z = 8
digit_vae = models.VAE(
    encoder=nets.mlp_encoder(digits.spec.shape, 2 * Z, (128,)),
    decoder=nets.mlp_decoder(Z, digits.spec.shape, (128,)),
    z_dim=Z,
    likelihood=distributions.bernoulli(),
)
learn_digits = learner(digit_vae, digits, data.binarize())

# %%
of_digits = learn_digits()
viz.curves(of_digits.rows, ["elbo"], names=AXES)

# %%
viz.rows({"held out": digits.test.x[:24], "samples": of_digits.samples.x[:24]})

# %% [markdown]
# ### Exercise 2: what a model must beat
# Suppose that the decoder ignores the code. Each element then has one distribution for all examples, and the best one
# is known in closed form: that of the data. Given how often each element has each value, `counts` of shape (elements,
# values), what is the least distortion, in nats per example? Beware of $0 \log 0 = 0$.


# %%
def nats_without_a_code(counts):
    """The least distortion of an example where nothing but the elements' own distributions is known."""
    ...


def counts_of(x, n_values):
    """How often each element of x, (n, elements), has each value."""
    return jnp.stack([(x == value).sum(axis=0) for value in range(n_values)], axis=1)


def try_nats_without_a_code(answer):
    x = jnp.array([[0, 2], [0, 1], [0, 1], [0, 0]])
    p = distributions.Categorical(jnp.log(jnp.array([[1.0, 1e-9, 1e-9], [0.25, 0.5, 0.25]]))[None])
    best = -p._replace(logits=jnp.tile(p.logits, (4, 1, 1))).log_prob(x).mean()
    mark(answer(counts_of(x, 3)), best)


try_nats_without_a_code(nats_without_a_code)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def nats_without_a_code(counts):
#     share = counts / counts.sum(axis=1, keepdims=True)
#     return jax.scipy.special.entr(share).sum()  # entr(p) = -p log p, and 0 at 0
#
#
# try_nats_without_a_code(nats_without_a_code)
# bits = jnp.asarray(data.binarize()(root, next(data.once(digits.train, batch_size=1500))).x)
# print(f"without: {-nats_without_a_code(counts_of(bits.reshape(1500, -1), 2)):.2f} nats per digit")
# print(f"with:    {of_digits.elbo.mean():.2f} nats per digit, a lower bound")
# ```
#
# It is the sum of the elements' *entropies*: $-\sum_k \pi_k \log \pi_k$ is least possible by Gibbs' inequality. What
# a VAE gains over it is what its elements have in common.
# </details>

# %% [markdown]
# ### Texts: a symbol after the other
# The likelihood is the chain rule with a choice among the characters at each place. The decoder, a recurrent net
# (GRU), sees the code and the characters so far. Lines have different lengths: a mask says which elements count, and
# the likelihood sums over those.

# %%
n_symbols, length = psalms.spec.n_values, psalms.spec.shape[0]
writer = nets.gru_decoder(Z, n_symbols, length, hidden=64)
psalm_vae = models.VAE(
    encoder=nets.gru_encoder(n_symbols, 2 * Z, 48, symbols=True),
    decoder=writer.net,
    z_dim=Z,
    likelihood=distributions.autoregressive(writer.chain),
)
learn_psalms = learner(psalm_vae, psalms, data.to_integers(), lr=4e-3)

# %%
of_psalms = learn_psalms()
viz.curves(of_psalms.rows, ["elbo"], names=AXES)

# %%
prose = domains.of(psalms.spec)
few = jax.tree.map(lambda a: a[::120][:8], psalms.test._replace(y=None))
for title, texts in {
    "held out": few,
    "samples": jax.tree.map(lambda a: a[:8], of_psalms.samples),
}.items():
    print(f"{title}:\n  " + "\n  ".join(prose.show(texts, psalms.spec, None, False)[0].lines))

# %% [markdown]
# Look at the rate: the model hardly uses its code. A decoder that may see all earlier characters can do without, and
# a code that nobody reads is cheapest at zero. This is *posterior collapse*, the price of the chain rule. Remedies
# are in `genjax train vae_prose`: hide some characters from the decoder, raise the price of the code slowly, make its
# first nats free.
#
# ### Music: chords
# A roll has 88 bits for each eighth. The likelihood is a product over the 16 eighths of *chords*: within one, each
# key is a bit given the keys below it.

# %%
chords = distributions.chords(hidden=64)
steps, keys = tunes.spec.shape
tune_vae = models.VAE(
    encoder=nets.unmasked(nets.mlp_encoder((steps, keys), 2 * Z, (256,))),
    decoder=nets.mlp_decoder(Z, (steps, chords.n_out(keys)), (256,)),
    z_dim=Z,
    likelihood=chords,
    channels=keys,
)
learn_tunes = learner(tune_vae, tunes, data.as_bits())

# %%
of_tunes = learn_tunes()
viz.curves(of_tunes.rows, ["elbo"], names=AXES)

# %%
both = np.concatenate([tunes.test.x[::25][:8], of_tunes.samples.x[:8]])
both = music.picture(both, tunes.spec, width=4, height=4)
viz.rows({"held out": both[:8], "samples": both[8:]}, ncols=8, scale=1)

# %% [markdown]
# Time runs to the right, pitch upwards: chords below, a melody above. What fits together at one moment has been
# learnt; what goes on to the next has not, for the eighths are a product, and what the code leaves open flickers.
# [04_music_you_can_hear](04_music_you_can_hear.ipynb) gives each eighth a code of its own, and plays the result.
#
# ### Tables: a product of whatever the columns are
# `to_parts` codes a row for the likelihood, and `parts_of` says what each stretch of the code is.

# %%
parts = data.parts_of(penguins.spec.columns)
n_numbers = sum(part.size for part in parts)
penguin_vae = models.VAE(
    encoder=nets.mlp_encoder((n_numbers,), 2 * Z, (128,)),
    decoder=nets.mlp_decoder(Z, (n_numbers,), (128,)),
    z_dim=Z,
    likelihood=distributions.product(parts),
)
learn_penguins = learner(penguin_vae, penguins, data.to_parts(penguins.spec.columns))

# %%
of_penguins = learn_penguins()
viz.curves(of_penguins.rows, ["elbo"], names=AXES)

# %%
table = domains.of(penguins.spec)
held_out = data.Examples(penguins.test.x[::12], None, penguins.test.event_mask[::12])
print("held out:", *table.glance(held_out, penguins.spec).splitlines(), sep="\n  ")
drawn = table.glance(of_penguins.samples, penguins.spec).splitlines()
print("samples:", *drawn[1:8], sep="\n  ")

# %% [markdown]
# Does a sampled row hold together? In the data all Gentoos live on Biscoe and have long flippers, and where the bill
# was not measured, flippers and weight were not either. The code is all that the columns share. A Gentoo on another
# island shows where it has left the species open, and two columns have decided each for itself.

# %%
viz.histogram(
    {
        "real": penguins.train.x[penguins.train.event_mask[:, 4], 4],
        "samples": of_penguins.samples.x[of_penguins.samples.event_mask[:, 4], 4],
    },
    names=("flipper length, mm", "share of rows"),
)

# %% [markdown]
# ### Speech: levels of 16-bit samples
# For each of 1,024 samples the decoder gives $\mu$ and $\log s$, and the likelihood is a product of masses of levels.
# **Expect** a bound that is right, and sound that is not.

# %%
speech_vae = models.VAE(
    encoder=nets.mlp_encoder(speech.spec.shape, 2 * Z, (128,)),
    decoder=nets.mlp_decoder(Z, (*speech.spec.shape, 2), (128,)),
    z_dim=Z,
    likelihood=distributions.laplace16(),
)
learn_speech = learner(speech_vae, speech, data.to_wave())

# %%
of_speech = learn_speech()
viz.curves(of_speech.rows, ["elbo"], names=AXES)


# %%
def drawn_waves(x):
    return viz.wave_cells(x, spectrograms(x))


viz.rows(
    {"held out": drawn_waves(speech.test.x[:10]), "samples": drawn_waves(of_speech.samples.x[:10])},
    ncols=10,
    scale=3,
)

# %% [markdown]
# Above each wave, below it its spectrogram: low tones at the bottom, bright is loud. Held out are eighths of a second
# of spoken digits; the samples, the means of $p(x \mid z)$, say nothing. A likelihood of samples asks for each
# sample's value, and a vowel that begins a thousandth of a second later has other samples throughout, although it
# sounds the same. Eight numbers cannot tell when each oscillation begins, so $\mu$ is an average over all beginnings,
# which is noise, and $s$ says how loud the sound is at each moment. `genjax train vae_speech` adds a distance of
# spectrograms, which hears as we do, to the loss; then it is no longer a bound.
#
# ## All five together
# Nats add up over elements, so per element they tell how well a kind is learnt: how many bits its elements take,
# where without a model a pixel takes 1, a character $\log_2 K$, a sample 16. Kinds do not compare with each other,
# and the table's are nats of a density, which may have any sign.


# %%
def per_element(learnt, n_elements, plain, what):
    bits = -learnt.elbo.sum() / n_elements / np.log(2)
    print(f"at most {bits:6.3f} bits a {what}, {plain:g} without a model")


per_element(of_digits, digits.test.x.size, 1, "pixel")
per_element(of_psalms, psalms.test.event_mask.sum(), np.log2(n_symbols).round(1), "character")
per_element(of_tunes, tunes.test.event_mask.sum() * keys, 1, "key")
per_element(of_speech, speech.test.x.size, 16, "16-bit sample")

# %% [markdown]
# ### Exercise 3: a sixth kind
# Goals, clicks, photons, reads of a gene: *counts*, $x \in \{0, 1, 2, \dots\}$, without an upper end. If events
# happen independently at rate $\lambda$, their number is Poisson, $p(x) = \lambda^x e^{-\lambda} / x!$. A decoder
# gives any real number $\eta$; take it as $\log \lambda$. Write $\log p(x)$ such that nothing overflows for large
# counts (`jax.scipy.special.gammaln(n)` is $\log\,(n - 1)!$).


# %%
def log_prob_of_counts(eta, x):
    """log p(x) of each count in nats, from log rates of the same shape."""
    ...


def try_log_prob_of_counts(answer):
    eta, x = jnp.array([-2.0, 0.0, 1.5, 6.0]), jnp.array([0.0, 1.0, 3.0, 400.0])
    mark(answer(eta, x), jax.scipy.stats.poisson.logpmf(x, jnp.exp(eta)))


try_log_prob_of_counts(log_prob_of_counts)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def log_prob_of_counts(eta, x):
#     return x * eta - jnp.exp(eta) - jax.scipy.special.gammaln(x + 1.0)
#
#
# try_log_prob_of_counts(log_prob_of_counts)
#
#
# class Counts(NamedTuple):
#     eta: jax.Array
#
#     def log_prob(self, x, event_mask=None):
#         return log_prob_of_counts(self.eta, x).sum(axis=1)
#
#     def sample(self, key):
#         return jax.random.poisson(key, jnp.exp(self.eta)).astype(jnp.float32)
#
#     @property
#     def mean(self):
#         return jnp.exp(self.eta)
#
#
# counts = distributions.Likelihood(lambda n: n, lambda n: {}, lambda params, out: Counts(out))
# x = jax.random.poisson(root, 4.0, (1, 5)).astype(jnp.float32)
# p = counts.apply({}, jnp.full((1, 5), jnp.log(4.0)))
# print("log p of", x[0].astype(int).tolist(), "at rate 4:", p.log_prob(x))
# ```
#
# That is a whole likelihood: `models.VAE(..., likelihood=counts)` trains with the same objective as all above.
# </details>

# %% [markdown]
# **Where next.** `genjax train vae_prose`, `vae_music`, `vae_table` and `vae_speech` are these five models grown up,
# and `gan_prose` and so on learn the same data without any likelihood. Give them your own with `--data`: a folder of
# `.mid` or `.wav`, a `.txt`, a `.csv`. [04_music_you_can_hear](04_music_you_can_hear.ipynb) goes on with chords, and
# plays them.
