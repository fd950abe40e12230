"""Evaluation while training: it changes nothing, resumes to the bit, keeps the best, and never looks at a test part."""

import dataclasses
import json

import numpy as np
import pytest
from quick import few

from genjax import cli, data, recipes, runs
from genjax.checkpoint.checkpoints import Checkpoints, digest, read_leaves
from genjax.cli import cache
from genjax.errors import UsageError
from genjax.measure import eval_file
from genjax.runs import setup
from genjax.runs.dataset import dataset_of
from genjax.runs.opening import built
from genjax.runs.validation import VALIDATION, validation
from genjax.train import mesh

NAMES = ("vae_digits", "gan_digits")
ONE_QUICKLY = (NAMES[0], pytest.param(NAMES[1], marks=pytest.mark.slow))


@pytest.fixture(autouse=True)
def _tests_own_cache(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Digits as an .npz, for which there is no feature net."""
    part = data.load("digits").train
    path = tmp_path_factory.mktemp("data") / "few.npz"
    np.savez(path, train_image=part.x[:120], train_label=part.y[:120], test_image=part.x[120:160],
             test_label=part.y[120:160])  # fmt: skip
    return str(path)


def config(name, images, **more):
    return dataclasses.replace(recipes.load(name).SMOKE, data=images, validation=20, steps=9, **more)


def run(name, images, folder, steps=9, eval_every=2, **more):
    options = {"run_dir": str(folder), "quiet": True, "log_every": 4, "save_every": 3, "sample_every": 9, **more}
    cfg = dataclasses.replace(config(name, images), steps=steps)
    recipe = recipes.load(name)
    return runs.run(recipe.__file__, recipe.build, cfg, runs.Options(eval_every=eval_every, **options))


@pytest.fixture(scope="module", params=ONE_QUICKLY)
def whole(request, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / request.param
    assert run(request.param, images, folder) == 0
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / VALIDATION).read_text().splitlines()]


def last_digest(folder):
    return digest(read_leaves(folder / "checkpoints")[1])


@pytest.mark.slow
def test_it_changes_nothing_of_the_run(whole, images, tmp_path):
    assert run(whole.name, images, tmp_path / "off", eval_every=0) == 0
    assert last_digest(tmp_path / "off") == last_digest(whole)
    assert not (tmp_path / "off" / VALIDATION).exists()


@pytest.mark.slow
def test_a_resumed_run_is_the_same_to_the_bit(whole, images, tmp_path):
    """Stopped at an evaluation, or between two; a kill has left the row of the next one, whose checkpoint it hit."""
    part, stop = tmp_path / "part", 4 if whole.name == "gan_digits" else 5
    assert run(whole.name, images, part, steps=stop) == 0
    with (part / VALIDATION).open("a") as f:
        f.write('{"step": 6, "val/elbo": 1e9}\n')
    assert run(whole.name, images, part) == 0
    assert last_digest(part) == last_digest(whole)
    assert (part / VALIDATION).read_bytes() == (whole / VALIDATION).read_bytes()
    assert eval_file.best_of(part) == eval_file.best_of(whole)


def test_the_best_on_validation_is_kept(whole):
    step, how = eval_file.best_of(whole)
    name = how.partition(":")[2]
    assert name == ("val/elbo" if whole.name == "vae_digits" else "val/kd_pixels")
    pick = max if how.startswith("max") else min
    assert step == pick(rows(whole), key=lambda r: r[name])["step"]
    assert [r["step"] for r in rows(whole)] == [2, 4, 6, 8]
    with Checkpoints(whole / "checkpoints", read_only=True) as checkpoints:
        assert step in checkpoints.sealed()
        assert checkpoints.sealed()[-1] == 9


@pytest.mark.slow
def test_an_old_best_outlives_newer_checkpoints(images, tmp_path, monkeypatch):
    """The second of four evaluations is the best: two newer ones and the last do not displace it."""
    real, values = setup.validation, iter([3.0, 7.0, 5.0, 6.0])

    def staged(*args):
        return dataclasses.replace(real(*args), measure=lambda state: {"val/elbo": next(values)})

    monkeypatch.setattr(setup, "validation", staged)
    assert run("vae_digits", images, tmp_path / "run") == 0
    assert eval_file.best_of(tmp_path / "run") == (4, "max:val/elbo")
    with Checkpoints(tmp_path / "run" / "checkpoints", read_only=True) as checkpoints:
        assert checkpoints.sealed() == [4, 8, 9]
    assert runs.open_run(tmp_path / "run", step=4).step == 4


def test_eval_measures_last_and_best(whole, capsys):
    assert cli.main(["eval", str(whole), "--n", "40", "--metrics", "kd"]) == 0
    last, best = sorted(eval_file.read_eval(whole), key=lambda r: r.protocol.checkpoint == "best")
    step, how = eval_file.best_of(whole)
    assert (last.protocol.checkpoint, last.subject.step, last.subject.chosen_by) == ("last", 9, "")
    assert (best.protocol.checkpoint, best.subject.step, best.subject.chosen_by) == ("best", step, how)
    assert best.subject.state_sha256 != last.subject.state_sha256
    assert best.value != last.value
    assert best.floor == last.floor
    assert f"best (step {step})" in capsys.readouterr().out
    assert cli.main(["eval", str(whole), "--n", "40", "--metrics", "kd", "--split", "validation"]) == 0


def made(name, images, **parts):
    cfg = config(name, images)
    dataset = dataset_of(cfg)
    experiment = built(recipes.load(name).build, cfg, dataset.spec)
    return experiment, dataclasses.replace(dataset, **parts)


@pytest.mark.parametrize("name", few(NAMES, NAMES[0]))
def test_a_test_part_is_never_looked_at(name, images):
    import jax

    experiment, dataset = made(name, images)
    state = experiment.step.init(experiment.model, jax.random.key(0))
    with_test = validation(experiment, dataset).measure(state)
    without = validation(experiment, dataclasses.replace(dataset, test=None)).measure(state)
    assert with_test == without
    other = data.Examples(255 - dataset.validation.x, dataset.validation.y)
    assert validation(experiment, dataclasses.replace(dataset, validation=other)).measure(state) != with_test


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_over_devices_and_members_it_is_the_same(name, images):
    """A state over 8 devices, and each of two members, against the run alone."""
    import jax

    from genjax.train import Population

    experiment, dataset = made(name, images)
    init = jax.jit(lambda key: experiment.step.init(experiment.model, key))
    states = [init(jax.random.key(s)) for s in (0, 1)]
    alone = [validation(experiment, dataset).measure(s) for s in states]
    layout = mesh.layout("data=2,fsdp=4")
    spread = layout.init(experiment.step, experiment.model, jax.random.key(0))
    got = validation(experiment, dataset, layout).measure(spread)
    assert got == pytest.approx(alone[0], rel=1e-4, abs=1e-6)
    both = dataclasses.replace(experiment, step=Population(experiment.step, 2))
    stacked = jax.tree.map(lambda *v: np.stack(v), *states)._replace(step=states[0].step)
    got = validation(both, dataset).measure(stacked)
    for k, each in got.items():
        assert each == pytest.approx([a[k] for a in alone], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"validation": 0}, "--validation 12"),
        ({"validation": 120}, "validation=120: must be"),
        ({"keep_best": "min:loss"}, "by one of val/elbo"),
        ({"keep_best": "max:val/elbo", "eval_every": 0}, "Add --eval-every"),
        ({"keep_best": "best"}, "min:METRIC"),
    ],
)
def test_refusals_write_nothing(more, says, images, tmp_path):
    recipe, more = recipes.load("vae_digits"), {"eval_every": 2, **more}
    cfg = dataclasses.replace(recipe.SMOKE, data=images, validation=more.pop("validation", 20))
    with pytest.raises(UsageError, match=says):
        runs.run(recipe.__file__, recipe.build, cfg, runs.Options(run_dir=str(tmp_path / "run"), quiet=True, **more))
    assert not (tmp_path / "run").exists()
