"""Images that are no numbers, all alike, or mostly of one class, through every metric and every door.

What is said of them is a refusal, a count, or a number that real images have too.
"""

import dataclasses
import json
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import few, first_state

from genjax import cli, data, metrics, recipes
from genjax.cli import cache
from genjax.errors import RunFailure, UsageError
from genjax.measure.evaluate import Request, outcomes
from genjax.measure.references import real_of
from genjax.metrics.image_spaces import image_space, pixels
from genjax.metrics.table import METRICS
from genjax.runs import drawing
from genjax.runs.drawing import SHARES, by_shares
from genjax.runs.opening import Run
from genjax.runs.validation import validation
from genjax.types import Net

pytestmark = pytest.mark.filterwarnings("ignore:.*(samples in|far too large):UserWarning")
DIGITS = data.load("digits")
NET = image_space("", "digits", (8, 8, 1))
OF_SAMPLES = [name for name, m in METRICS.items() if m.kind not in ("model", "modes")]
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _quietly(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)
    with jax.debug_key_reuse(False):
        yield


def skewed(n_of_others=8):
    """Digits with nine of ten images of class 3: of the others the first few of each class."""

    def part(images):
        keep = [np.flatnonzero(images.y == c)[: None if c == 3 else n_of_others * data.size(images) // 3000 + 1]
                for c in range(10)]  # fmt: skip
        return data.take(images, np.sort(np.concatenate(keep)))

    train_part, test = part(DIGITS.train), part(DIGITS.test)
    spec = dataclasses.replace(DIGITS.spec, n_train=data.size(train_part))
    return dataclasses.replace(DIGITS, train=train_part, test=test, spec=spec)


@pytest.fixture(scope="module")
def conditional():
    """A conditional GAN of digits before its first step."""
    module = recipes.load("gan_digits")
    cfg = dataclasses.replace(module.SMOKE, conditional=True)
    experiment = module.build(cfg, DIGITS.spec)
    return cfg, experiment, first_state(experiment.step, experiment.model, KEY)


def run_of(conditional, tmp_path, images):
    """A run whose generator gives `images(z, y)`, pixels 0 ... 255."""
    cfg, experiment, state = conditional

    def apply(params, state, z, *, train=False, key=None, y=None):
        return images(z, y) / 127.5 - 1.0, state

    model = dataclasses.replace(experiment.model, generator=Net(experiment.model.generator.init, apply))
    experiment = dataclasses.replace(experiment, model=model)
    return Run(tmp_path, "gan_digits", cfg, experiment, state, DIGITS.spec, 0)


def broken_images(share, value):
    """A generator that sets a share of its images, or one pixel of each, to a value."""

    def images(z, y):
        x = jnp.full((z.shape[0], 8, 8, 1), 100.0)
        if share == "pixel":
            return x.at[:, 0, 0].set(value)
        return jnp.where(jnp.arange(z.shape[0])[:, None, None, None] < share * z.shape[0], value, x)

    return images


BROKEN = [(1.0, np.nan), (0.5, np.nan), (0.02, np.nan), ("pixel", np.nan), (0.5, np.inf), ("pixel", -np.inf)]


@pytest.mark.parametrize(("share", "value"), few(BROKEN, BROKEN[0], BROKEN[-1]))
@pytest.mark.parametrize("name", OF_SAMPLES)
def test_no_number_is_made_of_samples_that_are_not_finite(name, share, value, conditional, tmp_path):
    run = run_of(conditional, tmp_path, broken_images(share, value))
    (outcome,) = outcomes(run, real_of(DIGITS, n=64), NET, Request(name))
    assert outcome.records == []
    assert isinstance(outcome.failure, RunFailure)
    n = 64 if share == "pixel" else max(2, int(64 * share))
    assert f"{n} of 64 samples of the model hold NaN or infinity" in str(outcome.failure)


FUNCTIONS = {
    "frechet_distance": lambda x: metrics.frechet_distance(x, DIGITS_ROWS),
    "frechet_of_real": lambda x: metrics.frechet_distance(DIGITS_ROWS, x),
    "frechet_infinity": lambda x: metrics.frechet_infinity(DIGITS_ROWS, x, KEY, 3),
    "kernel_distance": lambda x: metrics.kernel_distance(DIGITS_ROWS, x),
    "kernel_distance_subsets": lambda x: metrics.kernel_distance_subsets(DIGITS_ROWS, x, KEY, 2, 20),
    "prdc": lambda x: metrics.prdc(DIGITS_ROWS, x),
    "mind": lambda x: metrics.mind(DIGITS_ROWS, x, KEY),
    "sliced_wasserstein": lambda x: metrics.sliced_wasserstein(DIGITS_ROWS, x, KEY),
    "inception_score": lambda x: metrics.inception_score(x, 2, KEY)[0],
    "nearest_neighbours": lambda x: metrics.nearest_neighbours(x, DIGITS_ROWS).distance,
    "authenticity": lambda x: metrics.authenticity(x, DIGITS_ROWS).share,
    "held_out_gap": lambda x: metrics.held_out_gap(lambda v: v[:, 0], x, DIGITS_ROWS)[:5],
    "frechet_per_class": lambda x: (
        metrics.frechet_per_class(DIGITS_ROWS, np.arange(60) % 2, x, np.arange(len(x)) % 2).mean
    ),
    "laplacian_variance": lambda x: metrics.laplacian_variance(x.reshape(-1, 8, 8, 1)),
    "high_frequency_share": lambda x: metrics.high_frequency_share(x.reshape(-1, 8, 8, 1)),
    "radial_spectrum": lambda x: metrics.radial_spectrum(x.reshape(-1, 8, 8, 1)).power,
}
DIGITS_ROWS = DIGITS.test.x[:60].reshape(60, 64) / np.float32(255)


def samples(kind):
    if kind == "constant":
        return np.full((40, 64), 0.3, np.float32)
    x = DIGITS.train.x[:40].reshape(40, 64) / np.float32(255)
    if kind == "alike":
        return np.repeat(x[:1], 40, 0)
    if kind == "dead features":
        return x * (np.arange(64) % 2).astype(np.float32)
    x[: {"one": 1, "half": 20, "all": 40}[kind.split()[0]], 5] = np.inf if kind.endswith("inf") else np.nan
    return x


@pytest.mark.parametrize("kind", ["one nan", "half nan", "all nan", "one inf", "constant", "alike", "dead features"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_refuse_what_is_not_finite_and_survive_what_is_all_alike(name, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        if kind.endswith(("nan", "inf")):
            if name == "held_out_gap":
                kind = "all nan"  # of the score's one column
                x = np.full((40, 64), np.nan, np.float32)
            else:
                x = samples(kind)
            with pytest.raises(UsageError, match=r"NaN or infinity|finite"):
                FUNCTIONS[name](x)
        else:
            found = FUNCTIONS[name](samples(kind))
            assert all(np.isfinite(v).all() for v in jax.tree.leaves(found))


@pytest.mark.parametrize("name", few(OF_SAMPLES, "fd", "prdc", "classes"))
def test_a_collapsed_model_never_looks_good(name, conditional, tmp_path):
    """One constant image for all: each number is far from that of real images, or none, and that is said."""
    run = run_of(conditional, tmp_path, lambda z, y: jnp.full((z.shape[0], 8, 8, 1), 90.0))
    (outcome,) = outcomes(run, real_of(DIGITS, n=64), NET, Request(name))
    assert outcome.failure is None
    for r in outcome.records:
        if not np.isfinite(r.value):
            assert any("no finite number" in note for note in outcome.notes)
        elif r.better == "lower":
            assert r.value > 2 * abs(r.floor)
        elif r.better == "higher":
            assert r.value < 0.6 * r.floor
        elif "ratio" in r.protocol.metric:
            assert r.value == 0.0


@pytest.mark.parametrize("name", few(OF_SAMPLES, "fd", "is", "authenticity"))
def test_real_images_of_a_skewed_set_are_near_the_floor(name, conditional, tmp_path):
    """A model that is the data, class by class, whatever the shares of the classes are."""
    dataset = skewed()
    of = [np.flatnonzero(dataset.train.y == c) for c in range(10)]
    most = max(map(len, of))
    bank = jnp.asarray(np.stack([dataset.train.x[np.resize(i, most)] for i in of]), jnp.float32)
    size = jnp.asarray([len(i) for i in of])
    run = run_of(conditional, tmp_path, lambda z, y: bank[y, (jnp.abs(z[:, 0]) * 1e5).astype(jnp.int32) % size[y]])
    real = real_of(dataset, n=40)
    shares = np.bincount(dataset.test.y) / data.size(dataset.test)
    assert shares[3] > 0.7
    (outcome,) = outcomes(run, real, NET, Request(name))
    assert outcome.failure is None
    for r in outcome.records:
        assert r.protocol.labels == SHARES
        if name in ("fd", "kd", "prdc", "mind", "is", "sharpness") and r.floor is not None:
            spread = max(abs(r.floor), r.half, 0.05)
            assert abs(r.value - r.floor) < 3 * spread, (r.protocol.metric, r.value, r.floor)


def test_the_floor_is_drawn_as_the_model_is():
    dataset = skewed()
    real = real_of(dataset, n=30)
    labels = real.labels(10)
    beside = real.stand_ins(False, labels)
    np.testing.assert_array_equal(np.bincount(beside.y, minlength=10), np.bincount(labels, minlength=10))
    lacking = real_of(dataset, n=data.size(dataset.test))
    assert isinstance(lacking.stand_ins(False, np.full(data.size(dataset.test), 5, np.int32)), str)


@pytest.mark.parametrize(
    ("n", "counts"), [(10, [9, 1]), (7, [1, 1, 1]), (1000, [90, 5, 0, 5]), (3, [1, 1, 1, 1, 1]), (5, [2])]
)
def test_labels_have_the_shares_of_the_reference(n, counts):
    given = np.repeat(np.arange(len(counts)), counts)
    found = by_shares(n, given, len(counts) + 1)
    assert len(found) == n
    assert (by_shares(n, given[::-1], len(counts) + 1) == found).all()
    exact = n * np.append(counts, 0) / sum(counts)
    assert (np.abs(np.bincount(found, minlength=len(counts) + 1) - exact) < 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_validation_of_a_broken_model_is_no_number(value, conditional, tmp_path):
    run = run_of(conditional, tmp_path, broken_images(0.5, value))
    (found,) = validation(run.experiment, data.hold_out(DIGITS, 100)).measure(run.state).values()
    assert np.isnan(found)


def test_validation_asks_for_the_shares_of_its_part(conditional, tmp_path):
    asked = []

    def images(z, y):
        jax.debug.callback(lambda y: asked.append(np.asarray(y)), y)
        return jnp.full((z.shape[0], 8, 8, 1), 90.0)

    held = data.hold_out(skewed(), 60)
    validation(run_of(conditional, tmp_path, images).experiment, held).measure(conditional[2])
    jax.effects_barrier()
    got = np.bincount(np.concatenate(asked)[:60], minlength=10)
    np.testing.assert_array_equal(got, np.bincount(held.validation.y, minlength=10))


SIZES = [(4, 297), (5, 297), (10, 297), (10, 5), (12, 20), (100, 1)]


@pytest.mark.parametrize(("n", "n_test"), few(SIZES, (5, 297), (10, 5), (100, 1)))
def test_small_sets_give_what_they_can_and_name_the_rest(n, n_test, conditional, tmp_path):
    run = run_of(conditional, tmp_path, lambda z, y: 100 + 30 * z[:, :1, None, None] + jnp.zeros((1, 8, 8, 1)))
    dataset = dataclasses.replace(DIGITS, test=data.take(DIGITS.test, np.arange(n_test)))
    found = list(outcomes(run, real_of(dataset, n=n), pixels(), Request()))
    assert all(o.failure is None for o in found)
    for outcome in found:
        if not outcome.records:
            assert any("left out: " in note for note in outcome.notes)
        for r in outcome.records:
            assert r.over_samples is not None or any("no interval" in note for note in outcome.notes) or n_test == 1
            assert r.floor is not None or any("no floor" in note for note in outcome.notes)
    assert any(o.records for o in found) == (n_test > 1)
    if n < 6:
        with pytest.raises(UsageError, match="--metrics=prdc: it takes 6 images on either side"):
            outcomes(run, real_of(dataset, n=n), pixels(), Request("prdc"))


def nan_generator(monkeypatch, share=0.5):
    whole = drawing._sampler

    def spoilt(experiment, domain):
        def image(params, state, z, y, key):
            x = whole(experiment, domain)(params, state, z, y, key)
            return jnp.where((jnp.arange(len(x)) < share * len(x)).reshape(-1, 1, 1, 1), jnp.nan, x)

        return image

    monkeypatch.setattr(drawing, "_sampler", spoilt)


def test_eval_and_sample_of_a_broken_model_say_so(smoke_run, tmp_path, monkeypatch, capsys):
    run = shutil.copytree(smoke_run("gan_digits"), tmp_path / "run")
    nan_generator(monkeypatch)
    assert cli.main(["eval", str(run), "--n", "64", "--metrics", "fd,kd,gap"]) == 1
    err = capsys.readouterr().err
    assert "fd, kd not measured: 32 of 64 samples of the model hold NaN or infinity" in err
    assert {r["metric"] for r in json.loads((run / "eval.json").read_text())["records"]} == {"gap", "gap_auc"}
    for out in ("a.npz", "folder/"):
        assert cli.main(["sample", str(run), "--n", "10", "--out", f"{tmp_path}/{out}"]) == 1
        assert "10 of 10 images hold NaN or infinity; nothing was written" in capsys.readouterr().err
        assert not (tmp_path / out).exists()
    assert cli.main(["sample", str(run), "--n", "10", "--out", str(tmp_path / "a.png")]) == 1
    assert "they are marked in" in capsys.readouterr().err
    assert (tmp_path / "a.png").stat().st_size > 100


def test_eval_says_that_the_model_has_collapsed(smoke_run, tmp_path, monkeypatch, capsys):
    run = shutil.copytree(smoke_run("gan_digits"), tmp_path / "run")
    one = lambda params, state, z, y, key: jnp.full((len(z), 8, 8, 1), 90.0)  # noqa: E731
    monkeypatch.setattr(drawing, "_sampler", lambda experiment, domain: one)
    assert cli.main(["eval", str(run), "--n", "64", "--features", "pixels", "--metrics", "prdc"]) == 0
    assert "health: Mode collapse: recall is 0" in capsys.readouterr().out


def test_a_metric_that_fails_or_a_kill_keeps_the_others(smoke_run, tmp_path, monkeypatch, capsys):
    run = shutil.copytree(smoke_run("gan_digits"), tmp_path / "run")

    def fails(r, f, key):
        raise ZeroDivisionError("by hand")

    def killed(r, f, key):
        raise KeyboardInterrupt

    monkeypatch.setitem(METRICS, "kd", METRICS["kd"]._replace(of=fails))
    assert cli.main(["eval", str(run), "--n", "70", "--features", "pixels"]) == 1
    out = capsys.readouterr()
    assert "kd not measured: ZeroDivisionError: by hand" in out.err
    assert "Traceback" not in out.err
    kept = {r["metric"] for r in json.loads((run / "eval.json").read_text())["records"]}
    assert {"fd_pixels", "precision", "high_frequency_ratio"} <= kept
    (run / "eval.json").unlink()
    monkeypatch.setitem(METRICS, "prdc", METRICS["prdc"]._replace(of=killed))
    assert cli.main(["eval", str(run), "--n", "70", "--features", "pixels"]) == 130
    assert {r["metric"] for r in json.loads((run / "eval.json").read_text())["records"]} == {"fd_pixels"}
