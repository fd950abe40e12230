"""Lines of the table through `evaluate`: each is its own function's number, of the very samples and labels drawn."""

import dataclasses
import math
import shutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import few, first_state, quick_jit

from genjax import cli, data, distributions, domains, metrics, models, nets, objectives, recipes, rng, train
from genjax.cli import cache
from genjax.data.synthetic import MIXTURES
from genjax.domains.contract import GENERIC
from genjax.errors import UsageError
from genjax.measure.evaluate import Request, evaluate
from genjax.measure.references import real_of
from genjax.metrics.image_spaces import image_space, pixels
from genjax.metrics.measured import Measured, bits_of_bound, bound, gap, likelihood
from genjax.metrics.table import METRICS, chosen
from genjax.runs.drawing import at_once, draw
from genjax.runs.opening import Run
from genjax.runs.validation import validation
from genjax.types import Net

DIGITS = data.load("digits")


def drawn(run, *how):
    """Samples of an image run, their labels and masks."""
    return draw(run.experiment, run.domain, run.spec, *how).examples


NET = image_space("", "digits", (8, 8, 1))
KEY = jax.random.key(0)


pytestmark = pytest.mark.filterwarnings("ignore:(classes. a class|.*singular):UserWarning")  # samples are few here


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def untrained(tmp_path, recipe="gan_digits", dataset=DIGITS, **fields):
    """A run of a recipe before its first step."""
    module = recipes.load(recipe)
    cfg = dataclasses.replace(module.SMOKE, **fields)
    experiment = module.build(cfg, dataset.spec)
    return Run(tmp_path, recipe, cfg, experiment, first_state(experiment.step, experiment.model, KEY), dataset.spec, 0)


def drawing(run, images):
    """The run with a generator that gives `images(z, y)`, pixels 0 ... 255."""
    old = run.experiment.model

    def apply(params, state, z, *, train=False, key=None, y=None):
        return images(z, y) / 127.5 - 1.0, state

    model = dataclasses.replace(old, generator=Net(old.generator.init, apply))
    return run._replace(experiment=dataclasses.replace(run.experiment, model=model))


@pytest.fixture
def few_halves(monkeypatch):
    """Intervals of classes cost a Fréchet distance a class and half."""
    monkeypatch.setitem(METRICS, "classes", METRICS["classes"]._replace(n_resamples=2))


def by_name(records):
    return {r.protocol.metric: r for r in records}


def measured_on(run, part, trained=None):
    e = run.experiment
    return Measured(e.model, *train.evaluation(run.state), e.score, e.transform, part, e.model.n_classes > 0, trained)


@pytest.mark.slow
def test_authenticity_is_against_all_of_the_training_part(tmp_path):
    run, real = untrained(tmp_path), real_of(DIGITS, n=60)
    got = by_name(evaluate(run, real, NET, Request("authenticity", seed=2)))["authenticity_digits"]
    fakes = drawn(run, *train.evaluation(run.state), 60, 2).x
    features = NET.features(DIGITS.train.x)
    assert got.value == metrics.authenticity(NET.features(fakes), features).share
    held_out = DIGITS.test.x[np.linspace(0, 296, 60).round().astype(int)]
    assert got.floor == metrics.authenticity(NET.features(held_out), features).share
    assert 0 < got.floor < 1
    p = got.protocol
    assert (p.split, p.n, p.n_reference, p.features) == ("train", 60, 1500, "digits")
    assert p.reference_sha256 == DIGITS.spec.fingerprint
    assert "nothing is held out" in real_of(DIGITS, "train", n=60).stand_ins(True)
    assert got.method == "Student's t over the generated images"


def test_copies_of_training_images_are_never_authentic(tmp_path):
    copies = DIGITS.train.x[:64].astype(np.float32)
    run = drawing(untrained(tmp_path), lambda z, y: jnp.asarray(copies)[: z.shape[0]])
    (got,) = evaluate(run, real_of(DIGITS, n=64), pixels(), Request("authenticity"))
    assert (got.value, got.over_samples) == (0.0, (0.0, 0.0))


def test_gap_of_one_set_is_none_and_of_two_the_function_s_own(tmp_path):
    run = untrained(tmp_path)
    part, other = data.take(DIGITS.test, np.arange(200)), data.take(DIGITS.train, np.arange(200))
    same = gap(measured_on(run, part, part), KEY)
    assert [(e.value, e.half) for e in same.values()] == [(0.0, 0.0), (0.5, 0.0)]
    params, state = train.evaluation(run.state)
    model = run.experiment.model
    logits = jax.jit(lambda x: model.logits(params["d"], state["d"], x.astype(jnp.float32) / 127.5 - 1.0)[0])
    got = gap(measured_on(run, part, other), KEY)
    want = metrics.held_out_gap(logits, other.x, part.x)
    assert got["gap"].value == pytest.approx(want.gap, abs=1e-6)
    assert got["gap_auc"].value == pytest.approx(want.auc, abs=1e-4)
    a, b = np.asarray(logits(other.x)), np.asarray(logits(part.x))
    assert got["gap"].half == pytest.approx(1.96 * math.hypot(a.std(), b.std()) / math.sqrt(200), rel=0.3)


def test_gap_is_of_as_many_training_images_as_held_out_ones(tmp_path):
    run, real = untrained(tmp_path), real_of(DIGITS, n=100)
    records = by_name(evaluate(run, real, pixels(), Request("gap")))
    p = records["gap"].protocol
    assert (p.n, p.n_reference, p.split, data.size(real.trained(100))) == (100, 100, "test", 100)
    want = gap(measured_on(run, real.some(), real.trained(100)), KEY)
    assert [r.value for r in records.values()] == [e.value for e in want.values()]
    assert all(r.half > 0 for r in records.values())


@pytest.mark.slow
def test_classes_are_those_that_the_images_were_asked_for(tmp_path, few_halves):
    """A generator that gives a digit of the class asked for is always right; of the next, always wrong."""
    said = NET.logits(DIGITS.train.x).argmax(1)
    first = np.stack([DIGITS.train.x[(said == c) & (DIGITS.train.y == c)][:40] for c in range(10)])
    first = jnp.asarray(first, jnp.float32)
    run, real = untrained(tmp_path, conditional=True), real_of(DIGITS, n=120)
    for ahead, accuracy in ((0, 1.0), (1, 0.0)):
        of = drawing(run, lambda z, y, ahead=ahead: first[(y + ahead) % 10, jnp.abs(z[:, 0] * 1e4).astype(int) % 40])
        got = by_name(evaluate(of, real, NET, Request("classes")))
        assert got["class_accuracy_digits"].value == accuracy
        fakes, asked, _ = drawn(of, *train.evaluation(of.state), 120, 0, real.labels(10))
        assert metrics.class_accuracy(fakes, asked, NET.logits).accuracy == accuracy
        want = metrics.frechet_per_class(
            NET.features(DIGITS.test.x), DIGITS.test.y, NET.features(fakes), asked
        ).mean  # fmt: skip
        assert got["class_fd_digits"].value == pytest.approx(want, rel=1e-9)
    real_accuracy = metrics.class_accuracy(DIGITS.test.x, DIGITS.test.y, NET.logits).accuracy
    assert got["class_accuracy_digits"].floor == real_accuracy == pytest.approx(0.9697, abs=1e-4)
    assert 0 < got["class_fd_digits"].floor < got["class_fd_digits"].value
    assert all(r.over_samples is not None for r in got.values())
    assert "classes" in chosen("", measured_on(run, real.some()), NET, METRICS, GENERIC, "images")


def likely(likelihood_, transform):
    """A measured VAE of that likelihood on four digits."""
    vae = models.VAE(
        nets.mlp_encoder((8, 8, 1), 4, (8,)), nets.mlp_decoder(2, (8, 8, likelihood_.n_out(1)), (8,)), 2, likelihood_
    )
    params, state = quick_jit(vae.init)(KEY)
    return Measured(vae, params, state, objectives.score_vae(vae), transform, data.take(DIGITS.test, np.arange(4)))


OTHER = data.Transform(lambda key, b: b, lambda x: x)


@pytest.mark.parametrize(
    ("of", "transform", "bits"),
    [
        (distributions.discretized_logistic(), data.to_signed(), 8.0),
        (distributions.discretized_logistic_mixture(2), data.to_signed(), 8.0),
        (distributions.categorical(), data.to_signed(), 8.0),
        (distributions.gaussian(), data.dequantize(), 16.0),
        (distributions.gaussian_global(), data.compose(data.shift(1), data.dequantize()), 16.0),
        (distributions.bernoulli(), data.binarize(), None),
        (distributions.gaussian(), data.to_unit(), None),
        (distributions.gaussian(), data.compose(data.dequantize(), OTHER), None),
    ],
)
def test_bits_of_a_log_likelihood_where_they_mean_something(of, transform, bits):
    """-64 log 256 nats of 64 pixels: 8 bits each of a probability, 8 more of a density whose unit holds 256 levels."""
    m = likely(of, transform)
    found = m.bits(np.full(2, -64 * math.log(256.0)))
    assert found is None if bits is None else found.tolist() == [bits, bits]
    assert ("bpd" in chosen("", m, pixels(), METRICS, GENERIC, "images")) == (bits is not None)
    if bits is None:
        with pytest.raises(UsageError, match=r"--metrics=bpd: .* mean nothing"):
            chosen("bpd", m, pixels(), METRICS, GENERIC, "images")


def test_bits_are_the_bound_s_and_the_likelihood_s_nats_in_another_unit(monkeypatch):
    monkeypatch.setattr(jax, "jit", quick_jit)
    m = likely(distributions.gaussian(), data.dequantize())
    unit = 64 * math.log(2)
    np.testing.assert_allclose(bits_of_bound(m, KEY)["bpd"], 8 - bound(m, KEY)["elbo"] / unit, rtol=1e-6)
    found = likelihood(m, KEY, 2)
    np.testing.assert_allclose(found["nll_bpd"], 8 + found["nll"] / unit, rtol=1e-6)
    monkeypatch.setattr(Measured, "bits", lambda self, log_likelihood: None)
    assert set(likelihood(m, KEY, 2)) == {"nll", "nll_ess"}


@pytest.mark.parametrize("name", few(["gan_ring2d", "vae_ring2d"]))
def test_points_have_modes_and_no_images(name, tmp_path):
    ring = data.load("ring")
    run, real, space = untrained(tmp_path, name, ring), real_of(ring, n=500), domains.of(ring.spec).space("", ring.spec)
    got = by_name(evaluate(run, real, space, Request(seed=4)))
    bounds = {"elbo", "rate", "distortion"} if name.startswith("vae") else set()
    assert set(got) == bounds | {"modes", "good_share", "modes_kl"}
    key, mixture = rng.named(jax.random.key(4), "points"), MIXTURES["ring"]()
    points = at_once(run.experiment.model, *train.evaluation(run.state), 500, key)
    for which, x in (("value", points), ("floor", real.others.x)):
        want = metrics.mode_coverage(x, mixture.centers, mixture.sd)
        assert [getattr(got[k], which) for k in list(got)[-3:]] == [want.hit, want.good, want.kl], which
    assert got["modes"].floor == 8
    assert (got["modes"].protocol.quantisation, got["modes"].protocol.features) == ("none", "")
    for metric in ("fd", "authenticity", "is", "classes"):
        with pytest.raises(UsageError, match=f"--metrics={metric}: the data are points"):
            evaluate(run, real, space, Request(metric))
    with pytest.raises(UsageError, match="--metrics=sharpness: there is no such metric of points"):
        evaluate(run, real, space, Request("sharpness"))


def test_a_vae_s_points_have_its_likelihood_s_noise(tmp_path):
    run = untrained(tmp_path, "vae_ring2d", data.load("ring"))
    model, weights = run.experiment.model, train.evaluation(run.state)
    noise = at_once(model, *weights, 4000, KEY, temperature=1e-6)  # around the decoder's one mean
    assert noise.std(0).ravel() == pytest.approx([1.0, 1.0], rel=0.05)  # log sigma starts at 0
    means = at_once(model, *weights, 4000, KEY) - noise
    assert (means.std(0) > 0.01).all()


@pytest.mark.slow
def test_modes_of_stacked_digits_are_named_by_a_classifier(tmp_path):
    stacks = data.stacked(DIGITS.train, 600)
    made = dataclasses.replace(data.load((stacks.x, stacks.y)))
    made = dataclasses.replace(made, spec=dataclasses.replace(made.spec, name="stacked"))
    run, real, space = untrained(tmp_path, dataset=made), real_of(made, n=300), image_space("", "stacked", (8, 8, 3))
    with pytest.warns(UserWarning, match="modes: of 300 samples; published numbers are of 26,000: --n 26000"):
        got = by_name(evaluate(run, real, space, Request("modes")))
    fakes = drawn(run, *train.evaluation(run.state), 300, 0).x
    for which, x in (("value", fakes), ("floor", real.others.x)):
        want = metrics.stacked_coverage(x, NET.logits)
        assert [getattr(got[k], which) for k in ("modes", "modes_kl")] == [want.hit, want.kl], which
    assert (got["modes"].protocol.features, got["modes"].protocol.features_sha256) == (NET.name, NET.sha256)
    assert got["modes"].floor > 200
    assert image_space("", "stacked", (28, 28, 3)).modes.features == "mnist"
    for name, shape in (("stacked", (28, 28, 1)), ("stacked", (9, 9, 3)), ("ring", (8, 8, 1)), ("digits", (8, 8, 1))):
        assert image_space("pixels", name, shape).modes is None, (name, shape)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_to_the_bit(tmp_path, few_halves):
    run = untrained(tmp_path, conditional=True)
    request = Request("gap,authenticity,classes", seed=1)
    first = evaluate(run, real_of(DIGITS, n=70), NET, request)
    assert [r.protocol.metric for r in first] == [
        "gap", "gap_auc", "authenticity_digits", "class_accuracy_digits", "class_fd_digits",
    ]  # fmt: skip
    assert evaluate(run, real_of(DIGITS, n=70), NET, request) == first
    other = evaluate(run, real_of(DIGITS, n=70), NET, dataclasses.replace(request, seed=2))
    assert [(r.protocol, r.floor) for r in other] == [(r.protocol, r.floor) for r in first]
    assert other[-1].value != first[-1].value
    assert other[0].value == first[0].value  # no draw is in it, but its halves are drawn
    assert other[0].over_samples != first[0].over_samples


@pytest.mark.slow
def test_eval_of_points_from_the_command_line(smoke_run, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)
    run = shutil.copytree(smoke_run("gan_ring2d"), tmp_path / "run")
    assert cli.main(["eval", str(run), "--n", "200"]) == 0
    assert "good_share" in capsys.readouterr().out
    assert cli.main(["eval", str(run), "--metrics", "fd"]) == 2
    assert "the data are points" in capsys.readouterr().err
    assert cli.main(["compare", str(run), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "good_share" in page
    assert "#spectra" not in page


@pytest.mark.slow
def test_points_are_validated_as_points(tmp_path):
    """Not as shades of grey: by the kernel distance of their coordinates."""
    ring = data.hold_out(data.load("ring"), 300)
    run = untrained(tmp_path, "gan_ring2d", ring)
    key = rng.named(jax.random.key(0), "validation")
    z = jnp.concatenate([jax.random.normal(rng.at_step(key, i), (100, 2)) for i in range(3)])
    points = run.experiment.model.generate(*train.evaluation(run.state), z)
    want = metrics.kernel_distance(ring.validation.x.reshape(300, 2), np.asarray(points).reshape(300, 2))
    assert validation(run.experiment, ring).measure(run.state) == {"val/kd_plane": pytest.approx(want, rel=1e-4)}


def test_every_line_says_what_it_is_better_for():
    for name, m in METRICS.items():
        assert set(m.better.values()) <= {"lower", "higher", "nearest", ""}, name
        assert m.n_resamples == 0 or m.n_resamples >= 2


@pytest.mark.parametrize("name", few(["vae_digits", "iwae_mnist"], "vae_digits"))
def test_what_a_half_precision_run_is_measured_by_is_float32(name, tmp_path, monkeypatch):
    """No bfloat16 in the likelihood, nor in the bound, of a recipe whose nets compute in it."""
    traced = []

    def tracing(f):
        def shapes(*args):
            jaxpr, out = jax.make_jaxpr(f, return_shape=True)(*args)
            traced.append(str(jaxpr))
            return jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), out)

        return shapes

    run = untrained(tmp_path, name, precision="bf16")
    m = measured_on(run, data.take(DIGITS.test, np.arange(4)))
    monkeypatch.setattr(jax, "jit", tracing)
    z = jnp.zeros((1, run.experiment.model.z_dim))
    assert "bf16" in str(jax.make_jaxpr(lambda z: m.model.decode(m.params["vae"], m.state["vae"], z)[0])(z))
    for of in (partial(likelihood, n_samples=3), bound):
        of(m, KEY)
        assert traced
        assert not [t for t in traced if "bf16" in t]
        traced.clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "metric", "dataset"),
    [
        ("vae_music", "iw_nats", ("tunes", {"window": 16})),
        pytest.param("vae_prose", "nll_bits", ("psalms", {"length": 16}), marks=pytest.mark.slow),
    ],
)
def test_importance_samples_are_as_many_as_asked(recipe, metric, dataset, tmp_path):
    """For any kind of data the protocol records the number, and more samples give no worse a bound."""
    dataset = data.load(dataset[0], options=dataset[1])
    run = untrained(tmp_path, recipe, dataset)
    real, space = real_of(dataset, n=16), run.domain.space("", run.spec)
    found = {}
    for n in (1, 8):
        got = evaluate(run, real, space, Request(metric, n_importance=n))[0]
        assert got.protocol.settings == (("n_samples", n),)
        found[n] = got.value
    assert found[8] <= found[1]
