"""Whole plans: every recipe, every device, more devices, and what each figure must obey."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import pytest
from quick import few, of_another_kind

from genjax import data, recipes
from genjax.errors import UsageError
from genjax.plan import Paper, calibrate, parse, plan
from genjax.plan.devices import DEVICES, Device
from genjax.plan.program import trace
from genjax.plan.roofline import estimate

CPU = Device(
    "cpu", "cpu", {"float32": 1e11}, 2e10, ((0.0, 1e10),), 1e10, 1, 1e10, (0.0, 0.0), 1e-6, sources=("made up",)
)  # fmt: skip
SPEC = data.Spec("paper", (28, 28, 1), 10, 60_000, "")
H100, V5E = DEVICES["h100"], DEVICES["v5e"]


@functools.lru_cache(maxsize=8)
def paper(name, **changes):
    """Traced once for all tests that plan it."""
    recipe = recipes.load(name)
    cfg, spec = recipe.Config(**changes), SPEC
    if of_another_kind(recipe):
        spec = data.load(cfg.data, options={field: getattr(cfg, field) for field in cfg.reads}).spec
    return cfg, Paper(recipe.build(cfg, spec), spec)


def planned(name, device, mesh="", batch_size=None, **changes):
    cfg, sheet = paper(name, **changes)
    return plan(sheet.experiment, sheet.spec, batch_size or cfg.batch_size, device, parse(mesh), 0.5, sheet)


DISTINCT = ("gan_digits",)


@pytest.mark.parametrize("name", few(recipes.names(), *DISTINCT))
def test_every_recipe_has_a_plan(name):
    device = list(DEVICES.values())[recipes.names().index(name) % len(DEVICES)]
    p = planned(name, device, "data=2,fsdp=2")
    assert p.devices == 4
    assert 0 < p.work.matrix <= p.work.flops
    assert 0 < p.estimate.bound < p.estimate.predicted
    assert 0 < p.bound < p.predicted < 1
    assert p.communication > 0
    assert p.memory.how == "derived"
    assert p.memory.state + p.memory.data < p.memory.peak < device.memory
    assert p.examples == recipes.load(name).Config().batch_size


@pytest.mark.slow
def test_every_device_plans_the_same_work():
    made = {name: planned("gan_digits", d, "data=2,fsdp=2") for name, d in DEVICES.items()}
    assert len({p.work for p in made.values()}) == 1
    assert made["h200"].estimate.bound < made["h100"].estimate.bound < made["a100"].estimate.bound
    assert made["v6e"].estimate.bound < made["v5e"].estimate.bound


@pytest.mark.slow
def test_more_devices_have_less_each():
    one, four, eight = (planned("vae_digits", V5E, f"data={n}", batch_size=1024) for n in (1, 4, 8))
    assert one.batch == 4 * four.batch == 8 * eight.batch
    assert one.memory.peak > four.memory.peak > eight.memory.peak
    assert one.work.matrix == pytest.approx(4 * four.work.matrix) == pytest.approx(8 * eight.work.matrix)
    assert one.estimate.bytes > four.estimate.bytes > eight.estimate.bytes
    assert one.communication == 0 < four.communication <= eight.communication
    assert one.traffic == ()


def test_fsdp_splits_the_state():
    made = [planned("vae_digits", H100, m, batch_size=1024) for m in ("data=8", "data=4,fsdp=2", "data=2,fsdp=4")]
    state = [p.memory.state for p in made]
    assert state[0] > 1.9 * state[1] > 1.9**2 * state[2]
    assert made[0].memory.peak > made[1].memory.peak > made[2].memory.peak
    assert len({p.batch for p in made}) == 1
    assert made[0].estimate.bytes > made[1].estimate.bytes > made[2].estimate.bytes  # the optimizer's share
    assert {t.traffic.kind for t in made[1].traffic} == {"all-reduce", "reduce-scatter", "all-gather"}


@pytest.mark.slow
def test_communication_dominates_where_it_is_said_to():
    """On links so slow that it soon does, with the examples of a device, or those of all, held fixed."""
    slow = dataclasses.replace(V5E, domain=1, network=4e9)
    p = planned("vae_digits", slow, "data=2", batch_size=256)
    assert p.weak is not None
    at, before = (planned("vae_digits", slow, f"data={n}", batch_size=128 * n) for n in (p.weak, p.weak // 2))
    assert at.batch == before.batch == 128
    assert before.communication <= before.estimate.predicted
    assert at.communication > at.estimate.predicted
    assert p.strong is not None
    assert p.strong <= p.weak
    assert planned("vae_digits", dataclasses.replace(slow, network=1e15, latency=(0.0, 0.0)), "data=2").weak is None


@pytest.mark.slow
def test_the_cpu_is_asked_what_it_compiles_to():
    p = planned("vae_digits", CPU, hidden=16, z_dim=2, batch_size=8)
    assert p.memory.how == "compiled"
    sheet = paper("vae_digits", hidden=16, z_dim=2, batch_size=8)[1]
    derived = sheet.memory(sheet.program(8, "cpu"), 1, None)
    assert derived.how == "derived"
    assert 0.4 < (derived.peak - derived.data) / (p.memory.peak - p.memory.data) <= 1.0
    assert 0 < p.estimate.bound < p.estimate.predicted
    assert p.compiled_flops == pytest.approx(p.work.flops, rel=0.25)
    assert (p.weak, p.strong) == (None, None)


def test_refusals():
    with pytest.raises(UsageError, match=r"batch_size=64 does not divide over 24 devices\. Try batch_size=72"):
        planned("vae_digits", DEVICES["v4"], "data=24")
    with pytest.raises(UsageError, match="mesh: the plan of a CPU"):
        planned("vae_digits", CPU, "data=2")


def test_a_kernel_takes_as_long_as_its_slowest_part():
    x = jnp.ones((64, 64))
    product, sum_ = trace(jnp.matmul, x, x), trace(jnp.add, x, x)
    flops, moved = 2 * 64**3, 3 * x.nbytes
    slow = dataclasses.replace(CPU, matrix={"float32": 1e6})
    assert estimate(product, slow).bound == pytest.approx(flops / 1e6)
    assert estimate(product, slow, 0.5).predicted == pytest.approx(2 * flops / 1e6 + 1e-6)
    assert estimate(sum_, slow).bound == pytest.approx(moved / 1e10)
    measured = dataclasses.replace(slow, vector=1e3, conv=7.0)
    assert estimate(sum_, measured).predicted == pytest.approx(moved / 1e10 + 1e-6 + 64 * 64 / 1e3)


def test_values_come_from_where_they_were_left():
    """Three passes over one array: what was just written is near, the operand is as far as a whole step."""
    x = jnp.ones((1000,))
    device = dataclasses.replace(CPU, bandwidth=((9_000.0, 4e3), (1e9, 1e3)), overhead=0.0)

    def f(x):
        a = jnp.cumsum(x)
        return jnp.cumsum(a)

    far, near, footprint = 4000 / 1e3, 4000 / 4e3, 4000 / 1e3
    assert estimate(trace(f, x), device).predicted == pytest.approx(far + footprint + near + footprint)


def test_calibration_gives_a_device(monkeypatch):
    monkeypatch.setattr(calibrate, "SECONDS", 1e-4)
    monkeypatch.setattr(calibrate, "TRIALS", 1)
    d = calibrate.cpu(peak=1e11, bandwidth=2e10)
    assert d.matrix == {"float32": 1e11}
    assert d.bandwidth == ((0.0, 2e10),)
    for v in (d.conv, d.shuffle, d.vector, d.transcendental, d.random, d.overhead, d.memory, *d.tile):
        assert v
        assert math.isfinite(v)
        assert v > 0
    assert jax.default_backend() == "cpu"
