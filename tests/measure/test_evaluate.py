"""Runs measured: the same numbers to the bit, a reference apart from the others, records that say what they are."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import cli, data, recipes, runs, train
from genjax.cli import cache
from genjax.data import Dataset, Examples, Lazy
from genjax.errors import UsageError
from genjax.measure import eval_file
from genjax.measure.evaluate import SEEN, Request, _too_costly, config_sha256, evaluate, weights_of
from genjax.measure.merging import merged
from genjax.measure.references import real_of
from genjax.metrics import Protocol, Record, Subject, check_alike, from_json
from genjax.metrics.frechet import frechet_distance
from genjax.metrics.image_spaces import pixels
from genjax.metrics.measured import Measured
from genjax.metrics.table import METRICS, Metric
from genjax.runs import drawing
from genjax.runs.dataset import dataset_of_run
from genjax.types import Batch


def drawn(run, params, state, n, **how):
    """Samples of an image run."""
    return drawing.draw(run.experiment, run.domain, run.spec, params, state, n, **how).examples.x


@pytest.fixture(autouse=True)
def _tests_own_cache(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)


@pytest.fixture(scope="module")
def vae(smoke_run, tmp_path_factory):
    return shutil.copytree(smoke_run("vae_digits"), tmp_path_factory.mktemp("vae") / "vae_digits0")


@pytest.fixture(scope="module")
def gan(smoke_run, tmp_path_factory):
    return shutil.copytree(smoke_run("gan_digits"), tmp_path_factory.mktemp("gan") / "gan_digits0")


def measured(run, *more):
    assert cli.main(["eval", str(run), "--features", "pixels", *more]) == 0
    return [r for r in json.loads((run / "eval.json").read_text())["records"] if r["protocol"]["n"] == 70]


def test_the_same_seed_gives_the_same_numbers_to_the_bit(vae, capsys):
    more = ["--n", "70", "--metrics", "elbo,fd"]
    first = measured(vae, *more)
    assert "fd_pixels" in capsys.readouterr().out
    assert {r["metric"] for r in first} == {"elbo", "rate", "distortion", "fd_pixels"}
    assert measured(vae, *more) == first
    other = {r["metric"]: r for r in measured(vae, *more, "--seed", "1")}
    for r in first:
        got = other[r["metric"]]
        assert (got["floor"], got["protocol"]) == (r["floor"], r["protocol"])
        # Draws of another seed; the rate is a closed form.
        assert (got["value"] == r["value"]) == (r["metric"] == "rate")


def test_a_record_is_what_one_computes_by_hand(gan):
    run = runs.open_run(gan)
    dataset = dataset_of_run(run)
    real = real_of(dataset, n=100)
    request = Request("fd", seed=3)
    (r,) = evaluate(run, real, pixels(), request)
    params, state = train.evaluation(run.state)
    fakes = drawn(run, params, state, 100, seed=3)
    flat = [x.reshape(len(x), -1) / np.float32(255) for x in (dataset.test.x, fakes, real.others.x)]
    assert r.value == pytest.approx(frechet_distance(flat[0], flat[1]), rel=1e-6)
    assert r.floor == pytest.approx(frechet_distance(flat[0], flat[2]), rel=1e-6)
    assert r.over_samples[0] < r.value < r.over_samples[1]
    assert (r.protocol.n, r.protocol.n_reference, r.protocol.split) == (100, 297, "test")
    assert r.subject.ema
    assert r.better == "lower"
    assert from_json(r.to_json()) == r
    (raw,) = evaluate(run, real, pixels(), dataclasses.replace(request, weights="trained"))
    assert not raw.subject.ema
    assert raw.value != r.value
    cool = drawn(run, params, state, 100, seed=3, temperature=0.01)
    assert cool.std(0).mean() < 0.1 * fakes.std(0).mean()


@pytest.mark.slow
def test_the_likelihood_is_of_a_reference_binarised_once(vae):
    """Whatever the batch, an example is seen as the same bits, of which the record has the hash."""
    run = runs.open_run(vae)
    real = real_of(dataset_of_run(run))
    by_name = {r.protocol.metric: r for r in evaluate(run, real, pixels(), Request("elbo"))}
    params, state = train.evaluation(run.state)
    m = Measured(run.experiment.model, params, state, run.experiment.score, run.experiment.transform, real.reference)
    assert by_name["elbo"].protocol.reference_sha256 == m.sha256()
    first = next(data.once(data.take(real.reference, np.arange(3)), 3))
    whole = next(data.once(real.reference, 297))
    seen = np.asarray(m.view(whole).x)
    np.testing.assert_array_equal(m.view(first).x, seen[:3])
    assert set(np.unique(seen)) == {0.0, 1.0}
    score = jax.vmap(lambda key: run.experiment.score(params, state, Batch(jnp.asarray(seen)), key))
    out = jax.jit(score)(jax.random.split(jax.random.key(6), 30))
    for k in ("elbo", "distortion"):  # one draw of z, as good as any of these
        each = np.mean(out[k], axis=1)
        assert abs(by_name[k].value - each.mean()) < 4 * each.std(), k
    assert by_name["rate"].value == pytest.approx(float(np.mean(out["rate"])), rel=1e-5)
    assert by_name["elbo"].value == pytest.approx(-by_name["rate"].value - by_name["distortion"].value, abs=1e-3)


def parts(n=40, test=True, stream=False):
    images = Examples(np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2, 1), np.arange(n, dtype=np.int32) % 3)
    training = images
    if stream:
        training = Lazy(n, (2, 2, 1), lambda i: data.take(images, i), images.y)
    return data.hold_out(Dataset(training, data.take(images, np.arange(5)) if test else None,
                                 data.Spec("made", (2, 2, 1), 3, n, "")), 10)  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
def test_held_out_images_are_apart_from_the_training_ones(stream):
    whole = parts(stream=stream)
    assert (data.size(whole.train), data.size(whole.validation), whole.spec.n_train) == (30, 10, 30)
    pixels_of = [set(data.take(p, np.arange(data.size(p))).x[:, 0, 0, 0].tolist())
                 for p in (whole.train, whole.validation)]  # fmt: skip
    assert len(pixels_of[0] | pixels_of[1]) == 40
    assert sorted(pixels_of[1]) != list(range(0, 40, 4))
    labels = data.take(whole.train, np.arange(30)).y
    assert (labels == data.take(whole.train, np.arange(30)).x[:, 0, 0, 0] // 4 % 3).all()
    assert (whole.train.y == labels).all()


def test_held_out_must_be_some_but_not_all():
    whole = dataclasses.replace(parts(), validation=None)
    assert data.hold_out(whole, 0) is whole
    for n in (-1, 30, 31):
        with pytest.raises(UsageError, match=f"validation={n}"):
            data.hold_out(whole, n)


def test_reference_and_floor_are_of_unlike_images():
    with_test, without = parts(), parts(test=False)
    real = real_of(with_test, n=20)
    assert (real.split, data.size(real.reference), data.size(real.others), real.has_floor) == ("test", 5, 20, True)
    assert not real_of(with_test, n=31).has_floor
    assert real_of(with_test, "validation").n == 10
    real = real_of(without)
    assert (real.split, real.n) == ("train", 15)
    assert not {x.tobytes() for x in real.reference.x} & {x.tobytes() for x in real.others.x}
    assert real_of(without).sha256() == real.sha256()
    with pytest.raises(UsageError, match="no test part"):
        real_of(without, "test")
    with pytest.raises(UsageError, match="--validation N"):
        real_of(dataclasses.replace(with_test, validation=None), "validation")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--metrics", "nosuch"], f"no such metric of images. There are {', '.join(METRICS)}, sharpness."),
        (["--metrics", "bpd"], "has no elbo"),
        (["--metrics", "latents"], "has no sigma"),
        (["--metrics", "gap", "--split", "train"], "nothing is held out"),
        (["--metrics", "classes"], "no classifier"),
        (["--metrics", "classes", "--features", "digits"], "not class-conditional"),
        (["--metrics", "modes"], "the modes of these data are not known"),
        (["--metrics", "elbo"], "has no elbo"),
        (["--metrics", "is", "--features", "pixels"], "no classifier"),
        (["--n", "3"], "at least 4"),
        (["--split", "dev"], "test, validation, train"),
        (["--split", "validation"], "no validation part"),
        (["--checkpoint", "best"], "--eval-every"),
        (["--weights", "ema"], "average or trained"),
        (["--temperature", "0"], "above 0"),
        (["--seed", "-1"], "at least 0"),
        (["--features", "vgg"], "vgg"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_nothing_written(gan, argv, says, capsys):
    run = gan
    before = sorted(p.name for p in run.iterdir())
    argv = argv if "--features" in argv else ["--features", "pixels", *argv]
    assert cli.main(["eval", str(run), *argv]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) <= 3
    assert sorted(p.name for p in run.iterdir()) == before


def test_a_folder_that_is_no_run(tmp_path, capsys):
    assert cli.main(["eval", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_file_keeps_other_records_and_drops_those_of_a_state_that_is_gone(tmp_path):
    r = Record(Protocol("fd", 100, "test", "made", "5e", 9), Subject("gan_a", "c", 0, 4, "old", True), 1.0)
    wider = dataclasses.replace(r, protocol=dataclasses.replace(r.protocol, n=200))
    eval_file.add_records(tmp_path, [r], {})
    eval_file.add_records(tmp_path, [wider], {"when": "now"})
    assert eval_file.read_eval(tmp_path) == merged([], [wider, r])
    later = dataclasses.replace(r, subject=dataclasses.replace(r.subject, step=9, state_sha256="new"))
    assert merged([r, wider], [later]) == [later]
    member = dataclasses.replace(later, subject=dataclasses.replace(later.subject, member=1))
    assert merged([r, wider], [member]) == [r, wider, member]
    (tmp_path / "eval.json").write_text('{"format": 99}')
    with pytest.raises(UsageError, match="format"):
        eval_file.read_eval(tmp_path)


def test_records_of_another_reference_go_and_are_named(tmp_path):
    """The test part was replaced: what the old one gave does not stand beside what the new one gives."""
    subject = Subject("gan_a", "c", 0, 4, "state", True)

    def record(metric, sha, split="test", **more):
        return Record(Protocol(metric, 100, split, "made", sha, 9, **more), subject, 1.0)

    old = [record("fd", "5e"), record("elbo", "seen", quantisation=SEEN), record("authenticity", "all", "train")]
    eval_file.add_records(tmp_path, old, {})
    assert eval_file.add_records(tmp_path, [record("kd", "5e")], {}).gone == []
    kept = eval_file.add_records(tmp_path, [record("kd", "6f")], {})
    assert {r.protocol.metric for r in kept.gone} == {"fd", "elbo", "kd"}
    assert [(r.protocol.metric, r.protocol.reference_sha256) for r in kept.records] == [
        ("authenticity", "all"), ("kd", "6f"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="reference_sha256: '5e' against '6f'"):
        check_alike([record("fd", "5e"), record("fd", "6f")])


def test_what_takes_half_an_hour_is_left_out_unless_it_is_named():
    """10,000 colour images of 64x64 in pixels; of 28x28 grey ones nothing is."""

    def left_out(name, shape):
        real = real_of(parts(), n=10)
        real = dataclasses.replace(real, n=10_000, reference=Examples(np.broadcast_to(np.uint8(0), (10_000, *shape))))
        return _too_costly(name, METRICS[name], real, pixels(), "images")

    assert "--metrics fd measures it nevertheless" in left_out("fd", (64, 64, 3))
    assert left_out("fd", (28, 28, 1)) == ""
    assert left_out("kd", (64, 64, 3)) == ""


def test_a_new_metric_is_a_line_of_the_table(gan, monkeypatch):
    """Three new ones: of images, of a model with a number for each example, of a model with one number."""
    run = runs.open_run(gan)
    ink = Metric(
        lambda r, f, key: {"ink_{}": f.x.mean() / r.x.mean()}, "examples", {"ink": "higher"}, settings={"p": 1}
    )
    logit = Metric(
        lambda m, key: {"logit": m.score(m.params, m.state, m.view(next(data.once(m.part, 50))), key)["logit"]},
        "model",
        needs="logit",
    )
    one = Metric(lambda m, key: {"players": len(m.params)}, "model")
    for name, m in (("ink", ink), ("logit", logit), ("one", one)):
        monkeypatch.setitem(METRICS, name, m)
    real = real_of(dataset_of_run(run), n=50)
    got = {r.protocol.metric: r for r in evaluate(run, real, pixels(), Request("ink,logit,one"))}
    assert got["ink_pixels"].protocol.settings == (("p", 1),)
    assert got["ink_pixels"].protocol.features == ""
    assert got["ink_pixels"].floor == pytest.approx(1.0, abs=0.2)
    assert got["logit"].half > 0
    assert (got["players"].value, got["players"].bounds) == (2.0, None)


@pytest.mark.slow
def test_every_line_of_the_table_gives_records(vae):
    """All that a VAE of bits has, in a space with a classifier, with floors and intervals where there are any."""
    space = pixels()._replace(name="net", sha256="5e", logits=lambda x: x.reshape(len(x), -1)[:, 20:30] / 25.5)
    run = runs.open_run(vae)
    has_not = {"bpd", "gap", "classes", "modes"}
    request = Request(",".join({"sharpness", *METRICS} - has_not), n_importance=50)
    got = evaluate(run, real_of(dataset_of_run(run), n=200), space, request)
    by_name = {r.protocol.metric: r for r in got}
    assert {r.protocol.metric for r in got if r.floor is None} == {
        "elbo", "rate", "distortion", "nll", "nll_ess", "active_units", "mutual_information", "aggregate_kl",
    }  # fmt: skip
    assert {"fd_net", "kd_net", "mind_net", "is_net", "authenticity_net", "high_frequency_ratio"} <= set(by_name)
    assert all(np.isfinite(r.value) for r in got)
    assert by_name["nll"].value <= -by_name["elbo"].value
    assert by_name["nll"].protocol.settings == (("n_samples", 50),)
    assert by_name["rate"].value == pytest.approx(
        by_name["mutual_information"].value + by_name["aggregate_kl"].value, abs=1e-3
    )
    assert by_name["fd_net"].protocol.features_sha256 == "5e"
    assert by_name["high_frequency_ratio"].protocol.features == ""
    assert by_name["high_frequency_ratio"].floor == pytest.approx(1.0, abs=0.15)


def test_the_configuration_s_hash_is_that_of_all_its_seeds():
    cfg = recipes.load("vae_digits").Config()

    def of(name, cfg, fingerprint="f"):
        run = runs.Run(Path(), name, cfg, None, None, data.Spec("made", (8, 8, 1), 0, 9, fingerprint), 4)
        return config_sha256(run)

    base = of("vae_digits", cfg)
    assert of("vae_digits", dataclasses.replace(cfg, seed=5, steps=7)) == base
    assert of("vae_digits", dataclasses.replace(cfg, data="elsewhere/digits")) == base
    assert of("vae_digits", dataclasses.replace(cfg, beta=2.0)) != base
    assert of("vae_digits", cfg, "g") != base
    assert of("other", cfg) != base


def test_weights_of_a_run_without_an_average():
    state = train.TrainState(jnp.int32(0), {"p": train.Player({"w": 1}, {})}, {})
    assert weights_of(state, "average") == weights_of(state, "trained") == ({"p": {"w": 1}}, {"p": {}})
