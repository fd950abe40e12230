"""Every recipe as a population: a member's step is the single run's, and accelerators run all members at once."""

import dataclasses
import re

import jax
import numpy as np
import pytest
from quick import QUICK, first_state, of_another_kind

from experiments.accelerator.mathematics import keeping_gradients, relative
from genjax import data, recipes, runs, train
from genjax.runs.build_population import populated, roots_of
from genjax.runs.config import kinds
from genjax.runs.members import with_traced
from genjax.train.population import Population, advance_all, member_of
from genjax.train.step import advance

NAMES = recipes.names()
QUICKEST = ("vae_digits", "gan_digits")
VARIANTS = [(n, c) for n in NAMES for c in (False, True) if not c or n.endswith("digits")]


def swept(name):
    """A recipe's sweepable fields with two allowed values each: together a small grid."""
    recipe = recipes.load(name)
    fields = [f for f in dataclasses.fields(recipe.Config) if kinds(recipe.Config)[f.name] == "sweepable"]
    return ";".join(f"{f.name}={0.5 * f.default!r},{0.25 * f.default!r}" for f in fields)


def population_of(name, conditional=False, sweep=None, **changes):
    """Single experiment of a member, the population, its members, the sources; all keep gradients."""
    recipe = recipes.load(name)
    if of_another_kind(recipe):  # of another kind of data, on its own embedded set
        cfg = dataclasses.replace(recipe.SMOKE, **changes)
        dataset = data.load(cfg.data, options={field: getattr(cfg, field) for field in cfg.reads})
    else:
        size = 0 if name.endswith("digits") else 16
        cfg = dataclasses.replace(recipe.SMOKE, data="digits", image_size=size, conditional=conditional, **changes)
        dataset = data.load("digits", image_size=size or None)
    members = runs.members_of(cfg, 2, swept(name) if sweep is None else sweep)

    def build(c):
        made = recipe.build(c, dataset.spec)
        return dataclasses.replace(made, step=keeping_gradients(made.step))

    first = build(members.configs[0])
    every = populated(first, members, build)
    return build, every, members, train.shares(dataset.train, cfg.batch_size, first.transform, members.n)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "conditional"), VARIANTS)
def test_a_member_s_step_is_the_single_run_s(name, conditional):
    """Losses and the whole gradient tree to 1e-5 in relative L2, with all sweepable fields swept."""
    build, every, members, source = population_of(name, conditional)
    roots = roots_of(members)
    state = first_state(every.step, every.model, roots)
    window = source.window(roots, 0, 1, every.step.n_batches)
    chunk = jax.jit(advance_all(every.step, source, 1), compiler_options=QUICK)
    after, rows = chunk(state, window, roots, np.int32(1))
    i = members.n - 1
    step, key = build(members.configs[i]).step, jax.random.key(members.configs[i].seed)
    single = first_state(step, every.model, key)
    assert relative(member_of(state, i).players, single.players) < 1e-6
    alone = jax.jit(advance(step, source.sources[0], 1), compiler_options=QUICK)
    one, row = alone(single, window, key, np.int32(1))
    assert relative({k: v[:, i] for k, v in rows.items()}, row) < 1e-5
    for k in (k for k in row if k.endswith("loss")):
        assert relative(rows[k][:, i], row[k]) < 1e-5, k
    assert relative(member_of(after, i).opt, one.opt) < 1e-5
    assert int(after.step) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICKEST)
def test_accelerators_run_all_members_at_once(name):
    """Exported for TPU and CUDA, a population has the single run's loops and as many plain convolutions."""
    build, every, members, source = population_of(name)
    roots = roots_of(members)
    state = jax.eval_shape(lambda r: every.step.init(every.model, r), roots)
    window = source.window(roots, 0, 1, every.step.n_batches)
    key = jax.random.key(0)
    single = jax.eval_shape(lambda k: build(members.configs[0]).step.init(every.model, k), key)
    alone = jax.jit(advance(every.step.step, source.sources[0], 4))
    together = jax.jit(advance_all(every.step, source, 4))

    def counts(f, platform, *args):
        text = jax.export.export(f, platforms=(platform,))(*args, np.int32(1)).mlir_module()
        return len(re.findall(r"stablehlo\.while", text)), len(re.findall(r"stablehlo\.convolution", text))

    for platform in ("tpu", "cuda"):
        assert counts(together, platform, state, window, roots) == counts(alone, platform, single, window, key)
    loops, convolutions = counts(alone, "cpu", single, window, key)
    in_turn = int(name == "gan_digits")  # a loop over members more
    assert counts(together, "cpu", state, window, roots) == (loops + in_turn, convolutions)


@pytest.mark.slow
def test_every_sweepable_field_of_every_recipe_can_be_swept():
    """Build never decides anything by the value of such a field, whatever else is switched on."""
    for name in NAMES:
        recipe = recipes.load(name)
        more = {f: v for f, v in (("warm_up", 3), ("free_bits", 0.1)) if f in kinds(recipe.Config)}
        cfg = dataclasses.replace(recipe.SMOKE, **more)
        own = of_another_kind(recipe)
        options = {field: getattr(cfg, field) for field in cfg.reads} if own else {}
        spec = data.load(cfg.data if own else "digits", options=options).spec
        fields = [f for f, kind in kinds(recipe.Config).items() if kind == "sweepable"]
        assert fields

        def made(values, recipe=recipe, cfg=cfg, spec=spec):
            return recipe.build(with_traced(cfg, values), spec) and None

        jax.eval_shape(made, dict.fromkeys(fields, jax.ShapeDtypeStruct((), np.float32)))


def test_a_step_that_runs_now_and_then_stays_a_branch():
    """`every=` of a population's move is decided by the one step counter: no member computes both sides."""
    _, every, members, source = population_of("gan_digits", sweep="")
    moves = tuple(dataclasses.replace(m, every=2 if m.name == "d" else 1) for m in every.step.step.moves)
    lazy = Population(dataclasses.replace(every.step.step, moves=moves), members.n)
    roots = roots_of(members)
    state = jax.eval_shape(lambda r: lazy.init(every.model, r), roots)
    chunk = jax.jit(advance_all(lazy, source, 4))
    window = source.window(roots, 0, 1, 1)
    text = jax.export.export(chunk, platforms=("tpu",))(state, window, roots, np.int32(1)).mlir_module()
    assert "stablehlo.case" in text
