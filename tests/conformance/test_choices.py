"""--likelihood, --loss, --penalty of the recipes: what they default to; every choice trains, resumes, is measured."""

import dataclasses
import itertools
import json
import re

import jax
import numpy as np
import pytest
from quick import few, first_state, quick_jit

from genjax import cli, data, distributions, losses, objectives, recipes, runs, train
from genjax.cli import cache
from genjax.types import Batch, Context, UsageError

DIGITS = data.load("digits")
VAES = ["vae_digits", "vae_mnist", "vae_fashion_mnist", "iwae_mnist"]
GAMES = {
    "gan_digits": (losses.nonsaturating, lambda c: (losses.r1(c.gamma),)),
    "gan_mnist": (losses.relativistic, lambda c: (losses.r1(c.gamma), losses.r2(c.gamma))),
    "gan_ring2d": (losses.relativistic, lambda c: (losses.r1(c.gamma), losses.r2(c.gamma))),
    "gan_fashion_mnist": (losses.nonsaturating, lambda c: ()),
}


def key():
    """The same key, not used before."""
    return jax.random.key(0)


def program(f, *args):
    """What a function computes, as StableHLO."""
    return re.sub(r"@[\w.]+", "@", jax.jit(f).lower(*args).as_text())


def made(name, **changes):
    recipe = recipes.load(name)
    cfg = dataclasses.replace(recipe.SMOKE, data="digits", **changes)
    return cfg, recipe.build(cfg, DIGITS.spec)


def losses_of(experiment, *loss):
    """The programs of the given losses, one after the other, on the experiment's own shapes."""
    params, state = jax.eval_shape(experiment.model.init, key())
    source = data.make_source(DIGITS.train, 8, experiment.transform)
    batch = jax.eval_shape(lambda k: source.batch(k, 0), key())
    ctx = Context(state, key(), np.int32(0))
    return [program(f, params, batch, ctx) for f in loss]


@pytest.mark.parametrize("name", VAES)
def test_published_vaes_are_the_bernoulli_of_binarised_pixels(name):
    """Their default on their own data is, operation by operation, what the published tables were trained with."""
    cfg, experiment = made(name)
    model = dataclasses.replace(experiment.model, likelihood=distributions.bernoulli())
    if name == "iwae_mnist":
        published = objectives.iwae(model, cfg.k)
    else:
        published = objectives.beta_vae(model, cfg.beta, cfg.warm_up, cfg.free_bits)
    now, then = losses_of(experiment, experiment.step.moves[0].loss, published)
    assert now == then
    raw = next(data.once(data.take(DIGITS.train, np.arange(8)), 8))
    assert program(experiment.transform.apply, key(), raw) == program(data.binarize().apply, key(), raw)


@pytest.mark.parametrize("name", few(GAMES, "gan_fashion_mnist"))
def test_published_gans_are_the_games_of_their_tables(name):
    cfg, experiment = made(name)
    pair, penalties = GAMES[name]
    published = objectives.gan(experiment.model, pair, penalties(cfg))
    d, g = (next(m for m in experiment.step.moves if m.name == n).loss for n in "dg")
    now_d, then_d, now_g, then_g = losses_of(experiment, d, published.d, g, published.g)
    assert now_d == then_d
    assert now_g == then_g


SHAPES = [(1, 1, 3), (9, 7, 1), (31, 50, 3), (96, 96, 3)]


@pytest.mark.parametrize(
    ("name", "shape"),
    few(itertools.product(("vae_images", "gan_images"), SHAPES), ("vae_images", SHAPES[2]), ("gan_images", SHAPES[0])),
)
def test_any_images_of_any_size(name, shape):
    """Shapes alone: a step and a sampler for each; the default likelihood of colour is one of 8-bit values."""
    recipe = recipes.load(name)
    about = data.Spec("photos", shape, 0, 300, "", contrast=0.25)
    experiment = recipe.build(recipe.SMOKE, about)
    state = jax.eval_shape(lambda k: experiment.step.init(experiment.model, k), key())
    raw = Batch(jax.ShapeDtypeStruct((1, 8, *shape), np.uint8))
    x = jax.eval_shape(jax.vmap(experiment.transform.apply), jax.random.split(key(), 1), raw)
    after, _ = jax.eval_shape(experiment.step, state, x, key())
    assert jax.tree.structure(after) == jax.tree.structure(state)
    inverse, model = experiment.transform.inverse, experiment.model
    drawn = jax.eval_shape(lambda s, k: inverse(model.sample(*train.evaluation(s), k, 2)), state, key())
    assert drawn.shape == (2, *shape)
    if name == "vae_images":
        assert model.likelihood.name == distributions.likelihood.EIGHT_BITS


FAST = [("wasserstein", "gradient_penalty")]
COMBINATIONS = [c for c in itertools.product(losses.LOSSES, losses.PENALTIES) if c != ("wasserstein", "none")]


@pytest.mark.parametrize(("loss", "penalty"), few(COMBINATIONS, *FAST))
def test_every_game_is_played(loss, penalty):
    """A step of each loss with each penalty on small perceptrons: both players move, to finite places."""
    _, experiment = made("gan_ring2d", loss=loss, penalty=penalty, hidden=8)
    source = data.make_source(DIGITS.train, 8, experiment.transform)
    state = first_state(experiment.step, experiment.model, key())
    batches = quick_jit(source.batches, static_argnums=4)(source.window(key(), 0, 1, 1), key(), 0, 0, 1)
    after, metrics = quick_jit(experiment.step)(state, batches, key())
    assert all(np.isfinite(float(v)) for v in metrics.values())
    assert ("d/penalty" in metrics) == (penalty != "none")
    assert all(float(metrics[f"{p}/update_norm"]) > 0 for p in "dg")
    assert all(np.isfinite(v).all() for v in jax.tree.leaves(after.players))


RELATIVISTIC = ("relativistic", "r1_r2", 1, 0.0)
"""What the docstring of gan_prose advertises: loss, penalty, critic steps and the temperature of Gumbel-softmax."""
PROSE = [RELATIVISTIC, ("wasserstein", "gradient_penalty", 2, 0.5), ("relativistic", "r1_r2", 1, 0.5)]


@pytest.mark.parametrize(("loss", "penalty", "critic_steps", "tau"), few(PROSE, RELATIVISTIC))
def test_the_games_of_prose_are_played(loss, penalty, critic_steps, tau):
    """A step of gan_prose as its docstring says to change it: both players move, to finite places."""
    recipe = recipes.load("gan_prose")
    cfg = dataclasses.replace(
        recipe.SMOKE, loss=loss, penalty=penalty, gamma=1.0, critic_steps=critic_steps, tau=tau, width=4
    )
    psalms = data.load("psalms", options={"length": cfg.length})
    experiment = recipe.build(cfg, psalms.spec)
    source, n = data.make_source(psalms.train, 8, experiment.transform), experiment.step.n_batches
    assert n == critic_steps
    state = first_state(experiment.step, experiment.model, key())
    batches = quick_jit(source.batches, static_argnums=4)(source.window(key(), 0, 1, n), key(), 0, 0, n)
    after, metrics = quick_jit(experiment.step)(state, batches, key())
    assert all(np.isfinite(float(v)) for v in metrics.values())
    assert all(float(metrics[f"{p}/update_norm"]) > 0 for p in "dg")
    assert all(np.isfinite(v).all() for v in jax.tree.leaves(after.players))


@pytest.mark.parametrize("name", ["gan_fashion_mnist", "gan_mnist", "gan_images", "gan_digits"])
def test_a_penalty_takes_batch_norm_out_of_the_discriminator(name):
    for penalty in losses.PENALTIES:
        _, experiment = made(name, penalty=penalty, image_size=0)
        assert penalty == "none" or not experiment.model.discriminator.couples_examples
    with pytest.raises(UsageError, match="loss=wasserstein"):
        made(name, loss="wasserstein", penalty="none")


@pytest.fixture
def _no_cache(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)


@pytest.mark.usefixtures("_no_cache")
@pytest.mark.parametrize("likelihood", few([name for name in distributions.LIKELIHOODS if name]))
def test_every_likelihood_trains_resumes_and_is_measured(likelihood, tmp_path, capsys):
    """Four steps at once are two and two to the bit; eval, score and sample take it; bpd is of 8-bit values alone."""
    recipe = recipes.load("vae_digits")
    cfg = dataclasses.replace(recipe.SMOKE, likelihood=likelihood, hidden=8)
    run, apart = tmp_path / "run", tmp_path / "apart"
    for folder, all_steps in ((run, (4,)), (apart, (2, 4))):
        for steps in all_steps:
            options = runs.Options(run_dir=str(folder), log_every=2, save_every=2, quiet=True, health=False)
            assert runs.run(recipe.__file__, recipe.build, dataclasses.replace(cfg, steps=steps), options) == 0
    assert json.loads((run / "manifest.json").read_text())["likelihood"] == likelihood
    digests = []
    for folder in (run, apart):
        capsys.readouterr()
        assert cli.main(["digest", str(folder)]) == 0
        digests.append(capsys.readouterr().out.splitlines()[-1])
    assert digests[0] == digests[1]
    wanted = "elbo" if likelihood == "bernoulli" else "elbo,bpd"
    assert cli.main(["eval", str(run), "--n", "16", "--metrics", wanted]) == 0
    records = {r["protocol"]["metric"]: r["value"] for r in json.loads((run / "eval.json").read_text())["records"]}
    assert ("bpd" in records) == (likelihood != "bernoulli")
    assert all(np.isfinite(v) for v in records.values())
    np.savez(tmp_path / "some.npz", image=DIGITS.test.x[:3])
    assert cli.main(["score", str(run), str(tmp_path / "some.npz"), "--out", str(tmp_path / "s.csv")]) == 0
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 4
    assert cli.main(["sample", str(run), "--n", "4", "--out", str(tmp_path / "s.png")]) == 0
