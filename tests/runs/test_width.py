"""A run is of 32 bits, also where 64-bit mode is on: the same states, and the same numbers to rounding."""

import dataclasses
import json
import shutil
import subprocess
import sys

import jax
import pytest
from quick import few

from genjax import recipes, runs
from genjax.checkpoint.checkpoints import digest, read_leaves
from genjax.measure.evaluate import Request, evaluate
from genjax.measure.references import real_of
from genjax.metrics.image_spaces import pixels
from genjax.runs.dataset import dataset_of_run


def last_digest(run):
    return digest(read_leaves(run / "checkpoints")[1])


@pytest.mark.slow
def test_a_run_trained_and_continued_in_64_bit_mode_is_the_same_to_the_bit(smoke_run, tmp_path):
    recipe, narrow = recipes.load("vae_digits"), smoke_run("vae_digits")
    options = runs.Options(run_dir=str(tmp_path / "run"), quiet=True, log_every=2, save_every=2, sample_every=100)
    with jax.enable_x64(True):
        for steps in (recipe.SMOKE.steps // 2, recipe.SMOKE.steps):
            assert runs.run(recipe.__file__, recipe.build, dataclasses.replace(recipe.SMOKE, steps=steps), options) == 0
    assert last_digest(tmp_path / "run") == last_digest(narrow)


EVALS = [("vae_digits", "elbo,nll,latents,fd,prdc,mind"), ("gan_digits", "gap,kd,authenticity")]


@pytest.mark.parametrize(("recipe", "names"), few(EVALS))
def test_every_number_of_eval_in_64_bit_mode_is_that_of_32(recipe, names, smoke_run):
    run = runs.open_run(smoke_run(recipe))
    request, of = Request(names, n_importance=20), lambda: real_of(dataset_of_run(run), n=100)
    narrow = evaluate(run, of(), pixels(), request)
    with jax.enable_x64(True):
        wide = evaluate(runs.open_run(smoke_run(recipe)), of(), pixels(), request)
    for a, b in zip(narrow, wide, strict=True):
        assert dataclasses.replace(b.protocol, reference_sha256="") == dataclasses.replace(
            a.protocol, reference_sha256=""
        )
        assert b.value == pytest.approx(a.value, rel=1e-5, abs=1e-6), a.protocol.metric
        assert b.half == pytest.approx(a.half, rel=1e-3, abs=1e-5, nan_ok=True)


@pytest.mark.slow
def test_the_command_line_is_of_32_bits(smoke_run, tmp_path, child_env):
    """`JAX_ENABLE_X64` changes no byte of what `genjax eval` writes, but for the clock."""
    found = []
    for wide in "01":
        run = shutil.copytree(smoke_run("vae_digits"), tmp_path / wide / "run")
        command = [sys.executable, "-m", "genjax", "eval", str(run), "--n", "20", "--metrics", "elbo,prdc"]
        env = child_env | {"JAX_ENABLE_X64": wide}
        out = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stderr
        found.append(json.loads((run / "eval.json").read_text())["records"])
    assert len(found[0]) >= 7
    assert found[0] == found[1]
