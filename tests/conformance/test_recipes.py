"""Every recipe: one device equals eight, lowers for every platform, one trace, and trains through the public door."""

import ast
import dataclasses
import inspect
import json
import re
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import few, first_state, of_another_kind, quick_jit

from experiments.accelerator.mathematics import keeping_gradients, relative
from genjax import data, recipes, rng, runs, train
from genjax.cli.fields import fields_of
from genjax.report import words
from genjax.train import loop, mesh

PLATFORMS = ("cpu", "cuda", "tpu")
NAMES = recipes.names()
VARIANTS = [(n, False) for n in NAMES] + [(n, True) for n in NAMES if n.endswith("digits")]
LOWERED = ("vae_digits", "gan_fashion_mnist")
"""In `make test`: perceptrons, convolutions with batch norm."""
MESHES = ("data=8", "data=4,fsdp=2", "fsdp=8")
QUICK_MESHES = [
    ("vae_digits", False, "data=4,fsdp=2"),
]


def built(name, conditional=False, **changes):
    """On digits; enlarged for the recipes of larger images, whose nets leave out their inner stages at 8x8.

    A recipe of another kind of data is on its own embedded set.
    """
    recipe = recipes.load(name)
    if of_another_kind(recipe):
        cfg = dataclasses.replace(recipe.SMOKE, **changes)
        return _built(recipe, cfg, data.load(cfg.data, options={field: getattr(cfg, field) for field in cfg.reads}))
    size = 0 if name.endswith("digits") else 16
    cfg = dataclasses.replace(recipe.SMOKE, data="digits", image_size=size, conditional=conditional, **changes)
    return _built(recipe, cfg, data.load("digits", image_size=size or None))


def _built(recipe, cfg, dataset):
    experiment = recipe.build(cfg, dataset.spec)
    return cfg, experiment, data.make_source(dataset.train, cfg.batch_size, experiment.transform)


def smoke(recipe, **changes):
    """Its shortest run: on digits, or on its own embedded set."""
    own = {} if of_another_kind(recipe) else {"data": "digits"}
    return dataclasses.replace(recipe.SMOKE, **own, **changes)


def first_batches(experiment, source, key):
    n = experiment.step.n_batches
    return quick_jit(source.batches, static_argnums=4)(source.window(key, 0, 1, n), key, 0, 0, n)


@pytest.mark.parametrize(
    ("name", "conditional", "text"), few([(*v, m) for v in VARIANTS for m in MESHES], *QUICK_MESHES)
)
def test_eight_devices_equal_one(name, conditional, text, monkeypatch):
    """Losses and the whole gradient tree agree to 1e-5 in relative L2, whatever is split over the eight devices."""
    _, experiment, source = built(name, conditional, batch_size=16)
    step, key = keeping_gradients(experiment.step), jax.random.key(0)
    state, batches = first_state(step, experiment.model, key), first_batches(experiment, source, key)
    one, m_one = quick_jit(step)(state, batches, key)
    monkeypatch.setattr(mesh, "SMALL", 16)  # these nets are small, and are to be split all the same
    layout = mesh.layout(text)
    assert layout.n_devices == 8
    shardings = layout.leaves(state)
    split_leaves = [s for s in jax.tree.leaves(shardings) if not s.is_fully_replicated]
    assert (len(split_leaves) > 5) == ("fsdp" in text)
    run = quick_jit(layout.spread(step), out_shardings=(shardings, layout.everywhere))
    split = jax.device_put(batches, layout.examples(1))
    eight, m_eight = run(jax.device_put(state, shardings), split, key)
    if name == "gan_fashion_mnist":  # batch norm in both nets: its statistics are the global batch's
        assert all(p.state for p in one.players.values())
    assert relative(m_eight, m_one) < 1e-5
    assert relative(eight.opt, one.opt) < 1e-5
    assert (
        relative([p.state for p in eight.players.values()] + [1.0], [p.state for p in one.players.values()] + [1.0])
        < 1e-5
    )


@pytest.mark.parametrize(
    ("name", "conditional"), few(VARIANTS, *((name, False) for name in LOWERED), ("gan_digits", True))
)
def test_step_and_sampler_lower_for_every_platform(name, conditional):
    cfg, experiment, source = built(name, conditional)
    key = jax.random.key(0)
    state = jax.eval_shape(lambda key: experiment.step.init(experiment.model, key), key)
    chunk = loop.make_chunk(experiment.step, source, 4)
    window = source.window(key, 0, 1, experiment.step.n_batches)
    batches = jax.eval_shape(partial(source.batches, n_batches=experiment.step.n_batches), window, key, 0, 0)
    exported = jax.export.export(chunk, platforms=PLATFORMS)(state, window, key, np.int32(1))
    assert exported.platforms == PLATFORMS
    _, metrics = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    captions = {c.keys: c.text for c in words.charts(dict.fromkeys(metrics, np.zeros(2)))}
    assert words.UNKNOWN not in captions.values(), captions
    model = experiment.model
    sampler = jax.jit(lambda params, net, key: experiment.transform.inverse(model.sample(params, net, key, 4)))
    exported = jax.export.export(sampler, platforms=PLATFORMS)(*train.evaluation(state), key)
    assert exported.out_avals[0].shape[0] == 4
    assert of_another_kind(recipes.load(name)) or exported.out_avals[0].shape[1:] == batches.x.shape[2:]
    score = jax.jit(experiment.score)
    one = jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape[1:], v.dtype), batches)
    jax.export.export(score, platforms=PLATFORMS)(*train.evaluation(state), one, key)
    assert cfg.z_dim in (model.z_dim, getattr(model, "code_dim", None))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_trains_through_the_public_door(name, tmp_path, capsys, monkeypatch):
    made, operands = [], []
    original = loop.make_chunk

    def make_chunk(*a):
        made.append(original(*a))

        def chunk(*args):
            operands.append(jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype), args))
            return made[-1](*args)

        return chunk

    monkeypatch.setattr(loop, "make_chunk", make_chunk)
    recipe = recipes.load(name)
    cfg = smoke(recipe, steps=5)
    folder = tmp_path / "run"
    options = runs.Options(run_dir=str(folder), log_every=2, save_every=2, sample_every=2, quiet=True)
    assert runs.run(recipe.__file__, recipe.build, cfg, options) == 0
    assert [f._cache_size() for f in made] == [1]  # one compilation per run
    memory = made[0].lower(*operands[0]).compile().memory_analysis()
    state_bytes = sum(v.size * v.dtype.itemsize for v in jax.tree.leaves(operands[0][0]))
    assert memory.alias_size_in_bytes >= state_bytes  # donated: no second copy of the state
    rows = memory.output_size_in_bytes - memory.alias_size_in_bytes
    assert rows < 4 * loop.CAPACITY * 20 + 4096  # the metrics' buffer
    opened = runs.open_run(folder)
    assert opened.step == 5
    assert opened.config == cfg
    rows = runs.read_metrics(folder)
    assert rows["step"].tolist() == [2, 4, 5]
    assert all(np.isfinite(v).all() for v in rows.values())
    assert sorted(p.stem for p in (folder / "samples").iterdir()) == [f"{i:08d}" for i in (0, 2, 4, 5)]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert " ".join(manifest["command"]).startswith(f"genjax train {name}")
    assert runs.run(recipe.__file__, recipe.build, cfg, options) == 0  # a finished run says so
    assert "finished" in capsys.readouterr().err
    model, state, config = runs.load(folder)
    assert config.seed == 0
    x = model.sample(*train.evaluation(state), jax.random.key(0), 3)
    assert x.shape[0] == 3
    assert of_another_kind(recipe) or x.shape == (3, 8, 8, 1)


@pytest.mark.parametrize("name", few(NAMES, "vq_vae_digits"))
def test_resumes_to_the_bit(name, tmp_path, programs, monkeypatch):
    """Three steps, a checkpoint and two more are five: every player's parameters and numbers, and both digests."""
    programs.patch(monkeypatch)
    recipe, states = recipes.load(name), []
    for folder, sessions in (("whole", (5,)), ("parts", (3, 5))):
        options = runs.Options(run_dir=str(tmp_path / folder), quiet=True, health=False)
        for steps in sessions:
            cfg = smoke(recipe, steps=steps)
            assert runs.run(recipe.__file__, recipe.build, cfg, options) == 0
        states.append(runs.open_run(tmp_path / folder).state)
    assert states[0].players.keys() == states[1].players.keys()
    for a, b in zip(*map(jax.tree.leaves, states), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_recipe_form(name):
    """A docstring with command, expectation and source; at most 40 lines of code; it reads each of its fields.

    60 lines where a recipe says how its data are read. Data without labels refuse `conditional` by themselves.
    """
    path, recipe = recipes.find(name), recipes.load(name)
    text, doc = path.read_text(), recipes.docstring(path)
    assert doc.splitlines()[0].endswith((".", "?"))
    for part in (f"Command:  genjax train {name}", "\nExpect:   ", "\nSource:   "):
        assert part in doc
    code = text.splitlines()[ast.parse(text).body[0].end_lineno :]
    assert len([line for line in code if line.strip()]) <= (60 if of_another_kind(recipe) else 40)
    assert not hasattr(recipe, "main")
    assert "__main__" not in text
    fields = {f.name for f in dataclasses.fields(recipe.Config)}
    assert {"seed", "steps", "batch_size", "z_dim", "data", "image_size", "conditional"} <= fields
    by_build = inspect.getsource(sys.modules[recipe.build.__module__])
    of_run = {"data", "image_size", "validation", "seed", "steps", "batch_size", *recipe.Config.reads}
    for field in fields - of_run - ({"conditional"} if of_another_kind(recipe) else set()):
        assert f"cfg.{field}" in by_build
    assert all(flag.comment for flag in fields_of([recipe.Config]).values())


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_a_docstring_are_the_records(name):
    """`METRIC VALUE +- HALF` in what is to be expected: mean and half-width over the seeds, as they were rounded."""
    (expect,) = re.findall(r"^Expect:(.*?)^\w+:", recipes.docstring(recipes.find(name)), re.MULTILINE | re.DOTALL)
    for metric, mean, half in re.findall(r"(\w+) (-?[\d.]+) \+- ([\d.]+)", expect):
        (file,) = set(re.findall(r"experiments/results/\w+\.json", expect))
        measured = json.loads((recipes.folder().parent / file).read_text())["runs"]
        found = [
            x
            for r in measured if r["recipe"].split(" ")[0] == name
            for x in r["records"] if x["metric"] == metric and x["protocol"]["checkpoint"] == "last"
        ]  # fmt: skip
        of_seeds = [(x["value"], (x["over_seeds"][1] - x["over_seeds"][0]) / 2) for x in found if x["over_seeds"]]
        assert any(_rounds(a, mean) and _rounds(b, half) for a, b in of_seeds), (metric, mean, half)


def _rounds(number, text):
    return f"{number:.{len(text.partition('.')[2])}f}" == text


ODD = [
    ("vae_digits", (9, 7, 5)),
    ("vae_mnist", (32, 32, 3)),
    ("vae_mnist", (20, 36, 2)),
    ("iwae_mnist", (9, 7, 5)),
    ("gan_digits", (28, 28, 1)),
    ("gan_digits", (9, 7, 5)),
    ("gan_fashion_mnist", (20, 36, 2)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shape"), ODD)
def test_any_height_width_and_channels(name, shape):
    recipe = recipes.load(name)
    cfg = dataclasses.replace(recipe.SMOKE, conditional=True)
    images = np.random.default_rng(0).integers(0, 256, (12, *shape), np.uint8)
    dataset = data.load((images, np.arange(12) % 3))
    assert dataset.spec.shape == shape
    experiment = recipe.build(cfg, dataset.spec)
    source = data.make_source(dataset.train, cfg.batch_size, experiment.transform)
    key = jax.random.key(0)
    state = first_state(experiment.step, experiment.model, key)
    state, metrics = quick_jit(experiment.step)(state, first_batches(experiment, source, key), key)
    assert all(np.isfinite(float(v)) for v in metrics.values())
    sample = quick_jit(experiment.model.sample, static_argnums=3)
    assert sample(*train.evaluation(state), rng.named(key, "s"), 2).shape == (2, *shape)


def test_the_rate_of_iwae_mnist_is_a_function_of_the_examples_seen():
    """Stage i lasts 3^i passes of 3280; any batch size and any number of passes cut the same curve."""
    schedule = recipes.load("iwae_mnist").schedule
    passes = np.array([0, 0.99, 1, 3.99, 4, 13, 40, 121, 364, 1092.9, 1093, 3279.9, 5000])
    want = 1e-3 * 10.0 ** (-np.array([0, 0, 1, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7]) / 7)
    for batch_size, total in ((20, 3280), (100, 3280), (100, 328)):
        rate = schedule(1e-3, total, 60_000, batch_size)
        updates = np.round(passes * (total / 3280) * 60_000 / batch_size).astype(np.int32)
        np.testing.assert_allclose([rate(jnp.asarray(u)) for u in updates], want, rtol=1e-6)


@pytest.mark.slow
def test_streamed_and_resident_data_give_the_same_run(tmp_path):
    """A folder of images decoded on demand trains to the same state, bit for bit, as the same images in memory."""
    from PIL import Image

    images = data.load("digits").train.x[:24]
    for i, image in enumerate(images):
        (tmp_path / "photos" / str(i % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(tmp_path / "photos" / str(i % 2) / f"{i:02d}.png")
    recipe = recipes.load("gan_digits")
    states = []
    for stream in (False, True):
        dataset = data.load(str(tmp_path / "photos"), stream=stream)
        experiment = recipe.build(recipe.SMOKE, dataset.spec)
        source = data.make_source(dataset.train, recipe.SMOKE.batch_size, experiment.transform)
        assert (source.capacity is not None) == stream
        key = jax.random.key(0)
        fitted = train.fit(
            experiment.step, experiment.step.init(experiment.model, key), source, key, steps=7, log_every=3
        )
        states.append(jax.tree.leaves(fitted.state))
    assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(*states, strict=True))


def test_tensorboard_events_when_asked(tmp_path):
    recipe = recipes.load("vae_digits")
    options = runs.Options(run_dir=str(tmp_path / "run"), log_every=2, quiet=True, tensorboard=True)
    assert runs.run(recipe.__file__, recipe.build, recipe.SMOKE, options) == 0
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
