"""What the recipes of prose have besides the others: updates of the encoder alone, and a language model."""

import dataclasses

import jax
import numpy as np
import pytest
from quick import first_state, quick_jit

from genjax import cli, data, models, recipes


def stepped(**changes):
    """A step of vae_prose on the Psalms: the state before and after, and the metrics."""
    recipe = recipes.load("vae_prose")
    cfg = dataclasses.replace(recipe.SMOKE, **changes)
    psalms = data.load("psalms", options={"length": cfg.length})
    experiment = recipe.build(cfg, psalms.spec)
    source, key = data.make_source(psalms.train, cfg.batch_size, experiment.transform), jax.random.key(0)
    n = experiment.step.n_batches
    batches = quick_jit(source.batches, static_argnums=4)(source.window(key, 0, 1, n), key, 0, 0, n)
    before = first_state(experiment.step, experiment.model, key)
    after, metrics = quick_jit(experiment.step)(before, batches, key)
    return experiment, before, after, metrics


def moved(before, after):
    return {k: any(not np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (before[k], after[k])), strict=True))
            for k in before}  # fmt: skip


@pytest.mark.slow
def test_the_encoder_alone_moves_in_its_own_updates():
    experiment, before, after, metrics = stepped(encoder_steps=2)
    assert moved(before.players["vae"].params, after.players["vae"].params) == {
        "decoder": True, "encoder": True, "likelihood": False,
    }  # fmt: skip
    assert "encoder/elbo" in metrics
    (tx,) = (m.tx for m in experiment.step.moves if m.name == "encoder")
    params = {"vae": before.players["vae"].params}
    updates, _ = tx.update(jax.tree.map(np.ones_like, params), tx.init(params), params)
    assert moved(jax.tree.map(np.zeros_like, params["vae"]), updates["vae"]) == {
        "decoder": False, "encoder": True, "likelihood": False,
    }  # fmt: skip


@pytest.mark.slow
def test_a_language_model_has_no_rate():
    experiment, _, _, metrics = stepped(latents=False, dropout=0.0)
    assert isinstance(experiment.model, models.LanguageModel)
    assert metrics["rate"] == 0.0
    assert float(metrics["elbo"]) == pytest.approx(-float(metrics["distortion"]))


@pytest.mark.slow
def test_a_run_of_a_language_model_is_watched_sampled_and_shown(tmp_path):
    run = str(tmp_path / "run")
    flags = ["--steps", "320", "--batch-size", "8", "--hidden", "8", "--length", "16", "--quiet", "True"]
    assert cli.main(["train", "vae_prose", "--latents", "False", "--run-dir", run, *flags]) == 0
    assert cli.main(["sample", run, "--n", "4", "--temperature", "0.5", "--out", str(tmp_path / "a.txt")]) == 0
    assert len((tmp_path / "a.txt").read_text().splitlines()) == 4
    assert cli.main(["report", run]) == 0
    assert "Reconstructions" not in (tmp_path / "run" / "report.html").read_text()
