"""The benchmark's worker: every workload's step traces, and the protocol works from a clone's files alone."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from quick import few
from scripts import load_script

from genjax.types import Batch

NAMES = (
    "w1_vae", "w1_iwae1", "w1_iwae50", "w2_conv32", "w2_conv64",
    "w3_ptgan", "w3_dcgan", "w4_ptgan", "w4_conv", "w5_sngan", "w6_gru", "w7_wavegan", "w8_ctgan",
)  # fmt: skip
PARAMETERS = {  # of the networks in the projects whose steps these are, but for biases before batch norm
    "w1_vae": 652_824,
    "w1_iwae1": 425_284,
    "w2_conv32": 527_745,
    "w2_conv64": 2_170_691,
    "w7_wavegan": 9_124_866,
    "w8_ctgan": 1_080_251,
}


@pytest.fixture(scope="module")
def worker():
    return load_script("experiments/bench/worker.py")


def test_all_workloads_are_there(worker):
    assert tuple(worker.WORKLOADS) == NAMES


@pytest.mark.parametrize("name", few(NAMES, "w1_vae", "w2_conv32", "w8_ctgan"))
def test_step_traces(worker, name):
    w = worker.WORKLOADS[name]()
    state = jax.eval_shape(lambda key: w.step.init(w.model, key), jax.random.key(0))
    seen = jax.ShapeDtypeStruct((w.step.n_batches, w.batch_size, *w.shape), w.dtype)
    batches = jax.eval_shape(jax.vmap(w.transform.apply), jax.random.split(jax.random.key(0), len(seen)), Batch(seen))
    after, metrics = jax.eval_shape(w.step, state, batches, jax.random.key(0))
    assert after == state
    assert "loss" in metrics or {"d/loss", "g/loss"} <= set(metrics)
    assert w.step.n_batches == (5 if name.startswith(("w4", "w7")) else 1)
    if name in PARAMETERS:
        count = sum(v.size for p in state.players.values() for v in jax.tree.leaves(p.params))
        assert count == PARAMETERS[name]


@pytest.mark.slow
def test_protocol(root, child_env):
    command = [sys.executable, str(root / "experiments" / "bench" / "worker.py"), "w1_iwae1", "--call", "0.1"]
    said = "go 0.1\ngo 0.1\nbatch 64\ngo 0.1\n\n"
    done = subprocess.run(command, input=said, env=child_env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    ready, *slices = [json.loads(line) for line in done.stdout.splitlines()]
    again, last = slices.pop(2), slices.pop(2)
    assert (ready["images_per_step"], again["images_per_step"], again["batch"]) == (128, 64, 64)
    assert last["images"] % 64 == 0
    assert ready["ready"] == "w1_iwae1"
    assert ready["first_call_s"] > 0
    assert ready["peak_mib"] > 0
    assert len(slices) == 2
    for s in slices:
        assert set(s) == {"worker", "images_per_s", "cpu_us_per_image", "calls", "images"}
        assert s["images"] % 128 == 0
        assert s["calls"] >= 1
        assert min(s["images"], s["images_per_s"], s["cpu_us_per_image"]) > 0


def test_an_unknown_workload_is_refused(root, child_env):
    command = [sys.executable, str(root / "experiments" / "bench" / "worker.py"), "w9"]
    done = subprocess.run(command, env=child_env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert "w1_vae" in done.stderr
    assert done.stdout == ""


def test_half_precision_is_of_the_nets_alone(worker):
    w = worker.workload("w1_vae", batch_size=8, precision="bf16")
    assert (w.batch_size, worker.PRECISION.get()) == (8, "f32")
    state = jax.eval_shape(lambda key: w.step.init(w.model, key), jax.random.key(0))
    batches = Batch(jax.ShapeDtypeStruct((1, 8, *w.shape), jnp.float32))
    assert "bf16" in str(jax.make_jaxpr(w.step)(state, batches, jax.random.key(0)))
    assert {v.dtype for p in state.players.values() for v in jax.tree.leaves(p.params)} == {jnp.dtype("float32")}
