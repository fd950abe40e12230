"""What devices send each other: formulas by hand, and the bytes against a compiled program of eight devices."""

import re

import jax
import numpy as np
import optax
import pytest
import train_toys as toys
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from quick import quick_jit

from genjax import data, recipes, train
from genjax.errors import UsageError
from genjax.plan import collectives
from genjax.plan.collectives import Traffic, divides, parse, seconds, size_of, traffic, wire_bytes
from genjax.plan.devices import DEVICES

H100 = DEVICES["h100"]


def test_mesh():
    assert parse("fsdp=2") == {"data": 1, "fsdp": 2}
    assert parse(" data=8, fsdp=4") == {"data": 8, "fsdp": 4}


@pytest.mark.parametrize("text", ["8", "data", "data=0", "data=-1", "data=2,data=2", "model=2", "data=1.5", "data=x"])
def test_a_mesh_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="for example data=4,fsdp=2"):
        parse(text)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_a_ring_sends_its_share(n):
    mesh = {"data": n, "fsdp": 1}
    assert wire_bytes(Traffic("", "all-reduce", "data", 600.0, 1), mesh) == pytest.approx(2 * 600 * (n - 1) / n)
    mesh = {"data": 1, "fsdp": n}
    for kind in ("all-gather", "reduce-scatter"):
        assert wire_bytes(Traffic("", kind, "fsdp", 600.0, 1), mesh) == pytest.approx(600 * (n - 1) / n)


def test_beyond_a_node_each_device_sends_its_part_over_the_network():
    """16 GPUs in two nodes: scatter and gather 7/8 of the bytes inside, all-reduce an eighth across."""
    t = Traffic("", "all-reduce", "all", 1e9, 1)
    bound, whole = seconds(t, {"data": 16, "fsdp": 1}, H100)
    assert bound == pytest.approx(2 * 7 / 8 * 1e9 / 450e9 + 2 * 1 / 2 * 1e9 / 8 / 50e9)
    assert whole - bound == pytest.approx(2 * (3 * 3e-6 + 1 * 1e-5))


def test_the_data_axis_lies_outside_the_fsdp_axis():
    """With fsdp=8 a node is one fsdp group: its all-reduce over data is all network."""
    t = Traffic("", "all-reduce", "data", 1e9, 1)
    assert seconds(t, {"data": 4, "fsdp": 8}, H100)[0] == pytest.approx(2 * 3 / 4 * 1e9 / 50e9)


def toy(*moves, **options):
    step = train.make_step(*moves, **options)
    return step, jax.eval_shape(lambda key: step.init(toys.Game, key), jax.random.key(0))


def test_one_gradient_reduction_an_update():
    step, state = toy(
        train.Move("d", toys.game_loss("d", "g", 1.0), optax.sgd(0.1), repeat=5, every=2),
        train.Move("g", toys.game_loss("g", "d", -1.0), optax.sgd(0.1)),
    )
    found = {t.what: t for t in traffic(step, state, {"data": 8, "fsdp": 1})}
    assert found["gradient d"] == Traffic("gradient d", "all-reduce", "all", 12 * 2.5, 2.5)
    assert found["gradient g"] == Traffic("gradient g", "all-reduce", "all", 12, 1)
    assert not any(what.startswith("parameters") for what in found)
    assert traffic(step, state, {"data": 1, "fsdp": 1}) == []


def test_fsdp_scatters_gradients_and_gathers_changed_parameters(monkeypatch):
    monkeypatch.setattr(collectives.layouts, "SMALL", 1)
    step, state = toy(
        train.Move("d", toys.game_loss("d", "g", 1.0), optax.sgd(0.1), repeat=3),
        train.Move("g", toys.game_loss("g", "d", -1.0), optax.sgd(0.1)),
    )
    found = [t for t in traffic(step, state, {"data": 2, "fsdp": 3}) if "gradient " in t.what or "param" in t.what]
    assert found == [
        Traffic("gradient d", "reduce-scatter", "fsdp", 36, 3),
        Traffic("gradient d", "all-reduce", "data", 12, 3),
        Traffic("gradient g", "reduce-scatter", "fsdp", 12, 1),
        Traffic("gradient g", "all-reduce", "data", 4, 1),
        Traffic("parameters d", "all-gather", "fsdp", 48, 4),  # at first, and after each of its updates
        Traffic("parameters g", "all-gather", "fsdp", 12, 1),  # its update ends the step
    ]


def test_what_fsdp_does_not_divide_stays_whole(monkeypatch):
    assert divides((32, 32), 4)
    assert not divides((31, 33), 4)
    assert not divides((32, 16), 4)  # small
    monkeypatch.setattr(collectives.layouts, "SMALL", 1)
    tree = {"w": jax.ShapeDtypeStruct((6, 5), np.float32), "b": jax.ShapeDtypeStruct((5,), np.float32)}
    assert size_of(tree) == 140
    assert size_of(tree, 3) == 40 + 20
    assert size_of(tree, 5) == 24 + 4
    step, state = toy(train.Move("d", toys.game_loss("d", "g", 1.0), optax.sgd(0.1)))
    (t,) = [t for t in traffic(step, state, {"data": 1, "fsdp": 2}) if t.what == "gradient d"]  # 3 is odd
    assert (t.kind, t.axis, t.bytes) == ("all-reduce", "all", 12)


def test_batch_statistics_are_gathered_and_their_gradient_reduced():
    """Mean and variance of 4 and 8 channels, two layers, in each of three updates."""

    def layer(c):
        return dict.fromkeys(("mean", "var"), jax.ShapeDtypeStruct((c,), np.float32))

    step, state = toy(train.Move("d", toys.game_loss("d", "g", 1.0), optax.sgd(0.1), repeat=3))
    players = {n: p._replace(state={}) for n, p in state.players.items()}
    players["g"] = players["g"]._replace(state={"one": layer(4), "two": layer(8)})
    found = {t.what: t for t in traffic(step, state._replace(players=players), {"data": 2, "fsdp": 4})}
    assert found["batch statistics"] == Traffic("batch statistics", "all-gather", "all", 3 * 8 * 2 * 12 * 4, 3 * 2)
    assert found["their gradient"] == Traffic("their gradient", "all-reduce", "all", 3 * 2 * 12 * 4, 3 * 2)


def test_the_compiled_program_sends_these_bytes():
    """A VAE's step on eight devices makes one all-reduce: the gradient and the scalars of the metrics."""
    recipe = recipes.load("vae_digits")
    dataset = data.load("digits")
    experiment = recipe.build(recipe.SMOKE, dataset.spec)
    source, step = data.make_source(dataset.train, 16, experiment.transform), experiment.step
    key = jax.random.key(0)
    state = jax.eval_shape(lambda key: step.init(experiment.model, key), key)
    batches = jax.eval_shape(lambda: source.batches(source.window(key, 0, 1, 1), key, 0, 0, 1))
    mesh = Mesh(np.array(jax.devices()), ("data",))

    def on(tree, spec):
        sharding = NamedSharding(mesh, spec)
        return jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding), tree)

    hlo = quick_jit(step).lower(on(state, P()), on(batches, P(None, "data")), key).compile().as_text()
    calls = re.findall(r"= (.*?) all-reduce(?:-start)?\(", hlo)
    shapes = [re.findall(r"f32\[([\d,]*)\]", c) for c in calls]
    (sent,) = [sum(int(np.prod([int(n) for n in s.split(",") if n])) for s in c) * 4 for c in shapes]
    (t,) = traffic(step, state, {"data": 8, "fsdp": 1})
    assert 0 <= sent - t.bytes <= 4 * 8
    assert len(calls) == t.calls == 1
