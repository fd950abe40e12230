"""`genjax score` finds an obvious outlier in data of every kind, whatever the lengths of the examples."""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from quick import few, first_state, quick_jit

from genjax import data, domains, recipes
from genjax.cli.score import Part, ranked, score_rows
from genjax.data import Examples
from genjax.data.text import encoded

N = 30
"""Ordinary examples; the outlier stands behind them."""


def image(d, ordinary):
    """A digit with black and white changed places."""
    return Examples(255 - ordinary.x[:1])


def points(d, ordinary):
    """A point at five times the ring's radius."""
    return Examples(5 * ordinary.x[:1])


def speech(d, ordinary):
    """Noise as loud as can be."""
    return Examples(np.random.default_rng(0).integers(-32768, 32767, ordinary.x[:1].shape, np.int16))


def prose(d, ordinary):
    """A line of letters that no verse has together, shorter than any."""
    return encoded(["zzqx"], d.spec.about, d.spec.shape[0])


def music(d, ordinary):
    """Twelve neighbouring keys at once, for two steps: shorter than any tune."""
    x, mask = np.zeros_like(ordinary.x[:1]), np.zeros_like(ordinary.event_mask[:1])
    x[:, :2, :12], mask[:, :2] = 1, True
    return Examples(x, None, mask)


def table(d, ordinary):
    """A penguin whose sizes are those of no other."""
    x = ordinary.x[:1].copy()
    x[0, 2:6] = d.train.x[:, 2:6].max(0) * 3
    return Examples(x, None, np.ones_like(ordinary.event_mask[:1]))


CASES = {
    "image": ("vae_digits", image, {"steps": 100}),
    "points": ("vae_ring2d", points, {"steps": 200, "batch_size": 64, "warm_up": 100}),
    "speech": ("vae_speech", speech, {"steps": 12, "spectral": 0.0}),
    "prose": ("vae_prose", prose, {"steps": 50, "encoder_steps": 0}),
    "prose, a language model": ("vae_prose", prose, {"steps": 50, "encoder_steps": 0, "latents": False}),
    "music": ("vae_music", music, {"steps": 10, "remembers": 0, "likelihood": "bernoulli"}),
    "table": ("vae_table", table, {"steps": 50}),
}
"""A recipe whose smallest configuration is trained, the outlier, and what is changed for it to learn at once."""


@pytest.mark.parametrize("case", few(CASES, "image", "prose", "table"))
def test_an_outlier_is_among_the_lowest(case):
    name, outlier, more = CASES[case]
    recipe = recipes.load(name)
    cfg = dataclasses.replace(recipe.SMOKE, **{"lr": 1e-2} | more)
    d = data.load(cfg.data, options={k: getattr(cfg, k) for k in recipe.Config.reads})
    experiment, root = recipe.build(cfg, d.spec), jax.random.key(0)
    source = data.resident(d.train, cfg.batch_size, experiment.transform)
    state = first_state(experiment.step, experiment.model, root)
    n = experiment.step.n_batches
    window = source.window(root, 0, cfg.steps, n)
    # Not `fit`, whose compiled loop is slow where compilation is quick.
    one = quick_jit(lambda state: experiment.step(state, source.batches(window, root, state.step, 0, n), root)[0])
    for _ in range(cfg.steps):
        state = one(state)

    ordinary = data.take(d.test, np.arange(N))
    odd = outlier(d, ordinary)
    both = [None if a is None or b is None else np.concatenate([a, b]) for a, b in zip(ordinary, odd, strict=True)]
    run = SimpleNamespace(experiment=experiment, state=state, spec=d.spec, name=name, domain=domains.of(d.spec))
    column, rows = ranked(list(score_rows(run, Part(Examples(*both)))))
    assert rows[N]["rank"] <= 2
    assert column == ("elbo_per_element" if case.startswith(("prose", "music")) else "elbo")
    if "elements" in rows[N]:  # a short one, whose bound as a whole is nothing unusual
        assert sum(row["elbo"] < rows[N]["elbo"] for row in rows) > N // 3
