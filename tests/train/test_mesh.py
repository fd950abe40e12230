"""Layouts: where leaves lie, what is refused, and what the compiled program says between devices."""

import os
import subprocess
import sys
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P
from quick import few
from scripts import load_script
from train_toys import ArraySource

from genjax import data, recipes, runs, train
from genjax.checkpoint import checkpoints as checkpoint
from genjax.errors import UsageError
from genjax.train import mesh
from genjax.types import Aux


@pytest.fixture(scope="module")
def bench():
    return load_script("experiments/bench/collectives.py")


def built(name, layout, **changes):
    recipe = recipes.load(name)
    cfg = recipe.Config(data="digits", batch_size=16, z_dim=8, **changes)
    dataset = data.load("digits", image_size=cfg.image_size or None)
    experiment = recipe.build(cfg, dataset.spec)
    return experiment, data.make_source(dataset.train, cfg.batch_size, experiment.transform, layout.mesh)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data", "sizes of data and fsdp, for example data=4,fsdp=2"),
        ("data=0", "sizes of data and fsdp"),
        ("model=2", "sizes of data and fsdp"),
        ("data=2,data=2", "sizes of data and fsdp"),
        ("data=4,fsdp=4", "needs 16 devices, 8 are here"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        mesh.layout(text)


def test_what_a_mesh_is():
    assert mesh.layout("") is mesh.ONE_DEVICE
    assert str(mesh.layout("auto")) == "data=8,fsdp=1"
    assert str(mesh.layout("fsdp=2")) == "data=1,fsdp=2"
    assert mesh.layout("fsdp=2").n_devices == 2


def test_a_batch_that_the_devices_do_not_divide_is_refused():
    layout = mesh.layout("data=4,fsdp=2")
    layout.check_batch(16)
    with pytest.raises(UsageError, match=r"batch_size=20 .* 8 devices of mesh data=4,fsdp=2. Try batch_size=16 or 24"):
        layout.check_batch(20)
    with pytest.raises(UsageError, match=r"Try batch_size=8, or fewer"):
        layout.check_batch(4)


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((), P()),
        ((1000,), P()),  # small
        ((4096,), P("fsdp")),
        ((64, 128), P(None, "fsdp")),
        ((128, 64), P("fsdp")),
        ((3, 3, 64, 99), P(None, None, "fsdp")),  # 99 is larger but does not divide
        ((33, 99), P()),
    ],
)
def test_the_largest_axis_that_divides_is_split(shape, spec):
    assert mesh.layout("data=2,fsdp=4").leaf(shape).spec == spec


@pytest.mark.parametrize("fsdp", few([2, 8], 2))
def test_bytes_of_a_device_fall_as_one_over_fsdp(fsdp):
    """Parameters, optimizer states and averages; small leaves are whole."""
    layout = mesh.layout(f"data={8 // fsdp},fsdp={fsdp}")
    experiment, _ = built("gan_digits", layout)
    state = layout.init(experiment.step, experiment.model, jax.random.key(0))
    averages = [p.ema for p in state.players.values() if p.ema is not None]
    assert averages
    for tree in ([p.params for p in state.players.values()], state.opt, averages):
        leaves = jax.tree.leaves(tree)
        total = sum(x.nbytes for x in leaves)
        small = sum(x.nbytes for x in leaves if x.size < mesh.SMALL)
        assert small < 0.02 * total
        for i in range(8):
            here = sum(x.addressable_shards[i].data.nbytes for x in leaves)
            assert here == (total - small) / fsdp + small


class Weights:
    """A model that is n numbers."""

    def __init__(self, n):
        self.n = n

    def init(self, key):
        return {"p": {"w": jnp.ones(self.n)}}, {"p": {}}


def test_a_second_fit_on_a_layout_compiles_nothing():
    """A loop says where the state's leaves lie: it serves an equal layout, and a state whose leaves lie alike."""
    step = train.make_step(
        train.Move("p", lambda params, batch, ctx: (params["p"]["w"].sum(), Aux({})), optax.sgd(0.1))
    )
    source, key = ArraySource(), jax.random.key(0)

    def fit(model, text):
        layout = mesh.layout(text)
        state = layout.init(step, model, key)
        first = train.fit(step, state, source, key, steps=2, layout=layout)
        return (
            train.fit(step, first.state, source, key, steps=4, layout=mesh.layout(text)).state.players["p"].params["w"]
        )

    np.testing.assert_allclose(fit(Weights(3), "fsdp=2"), 0.6, rtol=1e-5)
    assert len(step.programs) == 1
    split = fit(Weights(2048), "fsdp=2")  # where all were whole
    assert split.sharding.spec == P("fsdp")
    assert [chunk._cache_size() for *_, chunk in step.programs] == [1, 1]
    before = step.programs[-1]
    fit(Weights(2048), "fsdp=4")
    assert step.programs[0] is before
    assert len(step.programs) == 2


@pytest.mark.slow
def test_initial_states_are_the_single_device_s():
    layout = mesh.layout("data=2,fsdp=4")
    experiment, _ = built("gan_digits", layout)
    one = experiment.step.init(experiment.model, jax.random.key(3))
    many = layout.init(experiment.step, experiment.model, jax.random.key(3))
    assert jax.tree.structure(one) == jax.tree.structure(many)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "text"),
    few(
        [
            ("gan_digits", "data=8"),
            ("vae_digits", "fsdp=8"),
            ("gan_digits", "data=4,fsdp=2"),
            ("vae_digits", "data=8"),
            ("gan_fashion_mnist", "data=8"),
            ("gan_fashion_mnist", "fsdp=8"),
            ("vae_mnist", "data=4,fsdp=2"),
        ],
        ("vae_digits", "fsdp=8"),
    ),
)
def test_collectives_of_a_step(name, text, bench):
    """Between devices go gradients, split parameters before they are read, batch statistics and scalars; no examples.

    One reduction per move where no batch statistics are between a gradient and the next.
    """
    layout = mesh.layout(text)
    experiment, source = built(name, layout, **({} if name.endswith("digits") else {"image_size": 16}))
    program, state = bench.compiled(experiment, source, layout)
    found = bench.collectives(program.as_text())
    params = {n: jax.tree.leaves(p.params) for n, p in state.players.items()}
    leaves = [x for n in params for x in params[n]]
    split = Counter(x.shape for x in leaves if not x.sharding.is_fully_replicated)
    states = jax.tree.leaves([p.state for p in state.players.values()])
    shares = {sorted_shape((8, 2, x.size)) for x in states}  # each device's mean and variance, of every channel
    gathered = Counter(sorted_shape(shape) for c in found if c.kind == "all-gather" for _, shape in c.parts)
    assert {c.kind for c in found} == ({"all-reduce", "all-gather"} if gathered else {"all-reduce"})
    assert shares <= set(gathered)
    gathered = Counter({shape: n for shape, n in gathered.items() if shape not in shares})
    wanted = Counter(sorted_shape(shape) for shape in split.elements())
    assert set(gathered) == set(wanted)
    moves = experiment.step.moves
    assert all(gathered[shape] <= len(moves) * wanted[shape] for shape in gathered)  # once a move, at most
    reduced = Counter(int(np.prod(shape)) for c in found if c.kind == "all-reduce" for _, shape in c.parts)
    fsdp = layout.mesh.shape["fsdp"]
    sizes = {1, *(x.size for x in leaves), *(x.size // fsdp for x in leaves)}
    assert set(reduced) <= sizes  # of leaves, their statistics, and scalars
    gradients = Counter(x.size for m in moves for n in m.players for x in params[n])
    assert all(reduced[n] >= gradients[n] for n in gradients)
    if text == "data=8" and not any(p.state for p in state.players.values()):
        assert len(found) == len(moves)
        if name == "gan_digits":  # and no device does another's work; the optimizers' is everyone's
            layout = mesh.layout("data=1")
            experiment, source = built(name, layout)
            alone, _ = bench.compiled(experiment, source, layout)
            assert program.cost_analysis()["flops"] < 0.3 * alone.cost_analysis()["flops"]


def sorted_shape(shape):
    """XLA may gather a transposed array."""
    return tuple(sorted(shape))


@pytest.mark.slow
def test_a_run_moves_between_numbers_of_devices(tmp_path, capsys):
    """8 -> 1 -> 8: the restored state is the saved one to the bit, and the change is told."""
    recipe = recipes.load("vae_digits")
    config = {"data": "digits", "batch_size": 8, "z_dim": 4, "hidden": 64}

    def session(steps, text):
        options = runs.Options(run_dir=str(tmp_path / "run"), log_every=1, quiet=True, mesh=text)
        assert runs.run(recipe.__file__, recipe.build, recipe.Config(**config, steps=steps), options) == 0
        return checkpoint.read_leaves(tmp_path / "run" / "checkpoints")[1], capsys.readouterr().err

    session(2, "data=2,fsdp=4")
    _, err = session(4, "")
    assert "continuing from step 2" in err
    assert "bit-exact resumption is not promised" in err
    assert "mesh: was data=2,fsdp=4, is none" in err
    saved, err = session(5, "fsdp=8")
    assert "mesh: was data=2,fsdp=4, is data=1,fsdp=8" in err
    layout = mesh.layout("data=4,fsdp=2")
    experiment = recipe.build(recipe.Config(**config), data.load("digits").spec)
    like = layout.init(experiment.step, experiment.model, jax.random.key(0))
    with checkpoint.Checkpoints(tmp_path / "run" / "checkpoints", read_only=True) as checkpoints:
        back = checkpoints.restore(like)
    assert back.step == 5
    assert checkpoint.tree_digest(back.tree) == checkpoint.digest(saved)
    assert all(a.sharding == b.sharding for a, b in zip(jax.tree.leaves(back.tree), jax.tree.leaves(like), strict=True))
    assert not all(x.sharding.is_fully_replicated for x in jax.tree.leaves(back.tree))


ASKED = [("data=3", 3), ("auto", len(os.sched_getaffinity(0))), ("", 1)]


@pytest.mark.parametrize(("text", "n"), few(ASKED, ASKED[0]))
def test_a_cpu_has_the_devices_that_the_mesh_asks_for(text, n, child_env):
    script = f"from genjax.train import mesh; mesh.use_cores({text!r}); import jax; print(jax.device_count())"
    done = subprocess.run([sys.executable, "-c", script], env=child_env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(n)


def test_devices_are_left_alone_once_jax_is_in_use():
    mesh.use_cores("data=3")
    assert jax.device_count() == 8
