"""The report: every picture is there, nothing is loaded, nothing is unescaped, and any run gets a page."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import few, quick_jit
from reliability.trees import seal_anew

from genjax import data, distributions, domains, losses, models, objectives, recipes, report, runs, train, viz
from genjax.checkpoint.checkpoints import tree_digest
from genjax.cli.flags import parse_all
from genjax.data import Dataset, Examples, Spec
from genjax.errors import UsageError
from genjax.report import facts, html, page, pictures, words
from genjax.trust import Access
from genjax.types import Net

VOID = {"meta", "img", "br", "input", "link"}


class Reader(HTMLParser):
    """Checks that tags are balanced; collects tags, attributes and text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.raw = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        (self.raw if self.open and self.open[-1] in ("script", "style") else self.text).append(text)

    def find(self, tag):
        return [attrs for t, attrs in self.tags if t == tag]

    @property
    def said(self):
        return " ".join(" ".join(self.text).split())


def read(path):
    text = path.read_text(encoding="utf-8")
    reader = Reader(text)
    check_self_contained(text, reader)
    return reader


def check_self_contained(text, reader):
    for tag, attrs in reader.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
            if name in attrs:
                assert attrs[name].startswith(("data:", "#")), (tag, attrs[name][:80])
        assert not [a for a in attrs if a.startswith("on")], (tag, attrs)
    assert "@import" not in text
    assert all(u.startswith("#") for u in re.findall(r"url\(([^)]*)\)", text))
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\s*\(", "".join(reader.raw))
    for img in reader.find("img"):
        assert img["alt"].strip()
        assert int(img["width"]) > 0
    ids = [a["id"] for _, a in reader.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attrs in reader.tags:
        assert attrs.get("href", "").removeprefix("#") in {"", "data:,", *ids}
    for svg in reader.find("svg"):
        assert svg["role"] == "img"
        assert svg["aria-label"]
    assert all(a.get("aria-label") for a in reader.find("input"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two short real runs, by recipe name."""
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for name, more in (("vae_digits", {"z_dim": 2}), ("gan_digits", {})):
        recipe = recipes.load(name)
        options = runs.Options(run_dir=str(folder / name), quiet=True, log_every=1, sample_every=2, save_every=2)
        assert runs.run(recipe.__file__, recipe.build, dataclasses.replace(recipe.SMOKE, **more), options) == 0
        made[name] = folder / name
    return made


@pytest.fixture
def run_of(trained, tmp_path):
    """A copy of one of the runs to spoil."""

    def copy(name, to="run"):
        return shutil.copytree(trained[name], tmp_path / to)

    return copy


def edit(file, change):
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))
    if file.name == "config.json":
        seal_anew(file.parent)


def test_a_vae_run(run_of):
    run = run_of("vae_digits")
    out = report.write([run])
    assert out == run / "report.html"
    got = read(out)
    for said in (
        "Finished",
        "Samples growing over training",
        "Reconstructions",
        "The latent plane",
        "Latent traversals",
        "Interpolations",
        "Evidence lower bound",
        "Rate",
        "Reproduce",
        "Train longer",
        "Environment",
        "Health",
        "Too short to judge: 4 steps",
        tree_digest(runs.open_run(run).state),
    ):
        assert said in got.said, said
    assert "bernoulli, chosen by the data" in got.said
    assert "discriminator" not in got.said
    assert len([f for f in got.find("input") if f["type"] == "range"]) == 1
    assert out.stat().st_size < 500_000


def test_a_gan_run(run_of):
    got = read(report.write([run_of("gan_digits")]))
    for said in (
        "What the discriminator says",
        "During training",
        "Now:",
        "Interpolations",
        "Discriminator loss",
        "Generator loss",
    ):
        assert said in got.said, said
    assert "Reconstructions" not in got.said


def test_two_runs_side_by_side(run_of, tmp_path):
    vae, gan = run_of("vae_digits", "vae"), run_of("gan_digits", "gan")
    out = report.write([str(vae), str(gan)])
    assert out == tmp_path / "report.html"
    got = read(out)
    for said in (
        "A VAE and a GAN on digits, side by side",
        "Real images",
        "Close up",
        words.BLUR,
        words.SHARP,
        "What differs",
        "A GAN has no encoder",
    ):
        assert said in got.said, said
    scrub = next(a for t, a in got.tags if "scrub" in a.get("class", ""))
    ids = {a.get("id") for _, a in got.tags}
    assert len(scrub["data-frames"].split()) == 2
    assert set(scrub["data-frames"].split()) <= ids
    tied = [a for _, a in got.tags if a.get("data-group") == "compare"]
    assert len(tied) == 3
    assert len({a["data-width"] for a in tied}) == 1


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(run_of):
    run = run_of("gan_digits")
    assert report.write([run]).read_bytes() == report.write([run]).read_bytes()


def test_an_unfinished_run_says_how_to_continue(run_of):
    run = run_of("vae_digits")
    edit(run / "config.json", lambda c: c["config"].update(steps=1000))
    got = read(report.write([run]))
    assert "Not finished" in got.said
    assert "Continue" in got.said
    assert "Reconstructions" in got.said


@pytest.mark.slow
def test_a_run_without_checkpoint_metrics_or_samples_still_gets_a_page(run_of):
    run = run_of("vae_digits")
    shutil.rmtree(run / "checkpoints")
    assert "step 2 was sealed once, now" in read(report.write([run])).said
    edit(run / "config.json", lambda c: c.pop("sealed"))  # as of a run that never came to one
    got = read(report.write([run]))
    assert "no checkpoint yet" in got.said
    assert "Evidence lower bound" in got.said
    shutil.rmtree(run / "samples")
    (run / "metrics.jsonl").unlink()
    (run / "manifest.json").unlink()
    got = read(report.write([run]))
    assert "There are no samples yet" in got.said
    assert "Nothing has been logged yet" in got.said
    assert "Not recorded" in got.said
    got = read(report.write([run, run_of("gan_digits", "other")]))
    assert "No samples yet" in got.said


@pytest.mark.slow
def test_a_run_without_its_data_says_so(run_of, tmp_path):
    run = run_of("vae_digits")
    got = read(report.write([run], access=Access(data=str(tmp_path / "no_such_set"))))
    assert "There are no real images here" in got.said
    assert "no_such_set" in got.said
    assert "Latent traversals" in got.said
    assert "Reconstructions" not in got.said
    assert "not what the run was trained on" in read(report.write([run], access=Access(data="ring"))).said


@pytest.mark.slow
def test_gaps_are_drawn_and_mentioned(run_of):
    run = run_of("gan_digits")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows[1]["g/loss"] = "NaN"
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert f"1 of {len(rows)} rows has no finite g/loss, the first at step 2: a gap" in read(report.write([run])).said


def test_text_is_escaped(run_of):
    evil = '"><script>alert(1)</script>'
    run = run_of("vae_digits", "run <script>alert(2)<b>")

    def spoil(c):
        c["data"]["name"] = evil
        c["experiment"] = evil
        c["config"]["note"] = evil

    edit(run / "config.json", spoil)
    edit(run / "manifest.json", lambda m: m.update({"cpu": evil, evil: {"x": [evil]}}))
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("".join(json.dumps(json.loads(x) | {evil: 1.0}) + "\n" for x in lines))
    other = run_of("gan_digits", "other")
    for out in (report.write([run]), report.write([run, other])):
        got = read(out)
        assert len(got.find("script")) == 1
        assert evil in got.said


def test_input_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        report.write([tmp_path / "nothing"])
    with pytest.raises(UsageError, match="not a run's folder"):
        report.write([tmp_path])
    with pytest.raises(UsageError, match="at least one run"):
        report.write([])
    with pytest.raises(UsageError, match=r"page\.pdf: a page is HTML"):
        report.write([tmp_path], tmp_path / "page.pdf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_unwritable_file_is_refused(run_of, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        report.write([run_of("gan_digits")], tmp_path / "file" / "page.html")


def test_commands_parse_back_to_the_configuration(trained):
    run = facts.read(str(trained["vae_digits"]), 4)
    words_ = facts.commands(run)["Reproduce in a new folder"].split()
    recipe = recipes.load(words_[2])
    cfg, options = parse_all([recipe.Config, runs.Options], words_[3:], "x", "")
    assert dataclasses.asdict(cfg) == run.config
    assert options.log_every == 1
    assert f"--run-dir={trained['vae_digits']}" in facts.commands(run)["Train longer"]


def test_frames_are_thinned_evenly_with_both_ends(tmp_path, monkeypatch):
    (tmp_path / "samples").mkdir()
    for step in range(0, 1000, 10):
        viz.save_grid(tmp_path / "samples" / f"{step:08d}.png", np.full((4, 3, 3, 1), step // 4), 2)
    of = domains.of("image"), Spec("grey", (3, 3, 1), 0, 1, "")
    kept, n = facts._frames([tmp_path / "samples"], *of, 4, [])
    assert n == 100
    assert len(kept) == facts.N_FRAMES
    assert (kept[0].step, kept[-1].step) == (0, 990)
    gaps = np.diff([f.step for f in kept])
    assert gaps.max() - gaps.min() <= 10
    monkeypatch.setattr(facts, "FRAME_BYTES", 1)
    assert [f.step for f in facts._frames([tmp_path / "samples"], *of, 4, [])[0]] == [0, 990]


def test_slerp_keeps_the_length_and_meets_its_ends():
    a, b = np.random.default_rng(0).normal(size=(2, 16))
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    path = pictures.slerp(a, b, np.linspace(0, 1, 5))
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), np.linalg.norm(a), rtol=1e-12)
    np.testing.assert_allclose(path[[0, -1]], [a, b], rtol=1e-12)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
    np.testing.assert_allclose(pictures.slerp(a, a, np.array([0.5])), a[None])
    assert np.isfinite(pictures.slerp(a, -a, np.array([0.5]))).all()
    assert np.isfinite(pictures.slerp(0 * a, b, np.array([0.5]))).all()


def opened(model, transform, score, shape, n_classes):
    """What `runs.open_run` gives, of an untrained model."""
    params, net = quick_jit(model.init)(jax.random.key(0))
    players = {k: train.Player(params[k], net[k]) for k in params}
    state = train.TrainState(jnp.int32(0), players, {})
    spec = Spec("made", shape, n_classes, 12, "x")
    experiment = SimpleNamespace(model=model, transform=transform, score=score)
    about = {"domain": domains.of(spec), "spec": spec}
    return SimpleNamespace(config=SimpleNamespace(seed=0), experiment=experiment, state=state, **about)


def linear(n_in, shape, n_classes=0):
    """x -> x W, plus one over the label's number so that labels show."""

    def init(key):
        return {"w": jax.random.normal(key, (n_in, int(np.prod(shape)))) / n_in}, {}

    def apply(params, state, x, *, train=False, key=None, y=None):
        out = x.reshape(x.shape[0], -1) @ params["w"]
        if n_classes:
            out = out + y[:, None]
        return out.reshape(x.shape[0], *shape), state

    return Net(init, apply)


def made_set(shape, n_classes, test=True):
    image = np.random.default_rng(0).integers(0, 256, (12, *shape), np.uint8)
    part = Examples(image, np.arange(12, dtype=np.int32) % n_classes if n_classes else None)
    return Dataset(part, part if test else None, Spec("made", shape, n_classes, 12, "x"))


SHAPES = [(4, 6, 1), (5, 3, 3), (3, 3, 2)]


@pytest.mark.parametrize(
    ("shape", "n_classes"), few([(s, n) for s in SHAPES for n in (0, 3)], (SHAPES[0], 0), (SHAPES[1], 3))
)
def test_pictures_of_a_vae_of_any_shape(shape, n_classes):
    size, z = int(np.prod(shape)), 3
    encoder, decoder = linear(size, (2 * z,), n_classes), linear(z, shape, n_classes)
    vae = models.VAE(encoder, decoder, z, distributions.bernoulli(), shape[2], n_classes)
    run = opened(vae, data.to_unit(), objectives.score_vae(vae), shape, n_classes)
    got = pictures.draw(run, made_set(shape, n_classes, test=False))
    kinds = {f.kind: f for f in got.figures}
    assert set(kinds) == {"reconstructions", "traversals", "interpolations"} | ({"classes"} if n_classes else set())
    assert len(kinds["traversals"].rows) == z
    assert "no test part" in kinds["reconstructions"].text
    assert [len(r.examples.x) for r in kinds["reconstructions"].rows] == [8, 8, 4, 4]
    assert all(r.examples.x.shape[1:] == shape and r.examples.x.dtype == np.uint8 for f in got.figures for r in f.rows)
    without = pictures.draw(run, None)
    assert without.real is None
    assert "reconstructions" not in {f.kind for f in without.figures}
    for f in (*got.figures, *without.figures):
        Reader(html.figure(f, "g"))


@pytest.mark.slow
def test_a_set_of_one_image_gets_a_page(tmp_path):
    """It has no second image to interpolate to: that figure is left out."""
    np.savez(tmp_path / "one.npz", image=np.full((1, 8, 8), 7, np.uint8))
    recipe = recipes.load("vae_digits")
    cfg = dataclasses.replace(recipe.SMOKE, batch_size=1, data=str(tmp_path / "one.npz"))
    assert runs.run(recipe.__file__, recipe.build, cfg, runs.Options(run_dir=str(tmp_path / "run"), quiet=True)) == 0
    report.write([str(tmp_path / "run")], tmp_path / "report.html")
    said = read(tmp_path / "report.html").said
    assert "Reconstructions" in said
    assert "Interpolations" not in said


def test_reconstructions_and_traversals_are_the_models():
    """An encoder that reads two pixels and a decoder that writes them: the pictures are known."""

    def encode(params, state, x, **_):
        mu = 4.0 * x.reshape(x.shape[0], -1)[:, :2] - 2.0
        return jnp.concatenate([mu, jnp.full_like(mu, -20.0)], axis=1), state

    def decode(params, state, z, **_):
        return jnp.pad(z, ((0, 0), (0, 2))).reshape(-1, 2, 2, 1), state

    nets = [Net(lambda key: ({}, {}), f) for f in (encode, decode)]
    vae = models.VAE(*nets, 2, distributions.bernoulli())
    run = opened(vae, data.to_unit(), objectives.score_vae(vae), (2, 2, 1), 0)
    got = {f.kind: f for f in pictures.draw(run, made_set((2, 2, 1), 0)).figures}
    original, rebuilt = (r.examples.x.astype(float)[:, 0, :, 0] for r in got["reconstructions"].rows[:2])
    np.testing.assert_allclose(rebuilt, 255 / (1 + np.exp(2 - 4 * original / 255)), atol=0.51)
    wanted = np.round(255 / (1 + np.exp(-np.linspace(-3, 3, pictures.N_ACROSS))))
    for row in got["traversals"].rows:
        d = int(row.label[1])
        np.testing.assert_allclose(row.examples.x[:, 0, d, 0], wanted, atol=1)
        assert len(np.unique(row.examples.x[:, 0, 1 - d, 0])) == 1
    plane = np.stack([r.examples.x for r in got["manifold"].rows])[:, :, 0, :, 0].astype(int)
    assert (np.diff(plane[..., 0], axis=1) > 0).all()
    assert (np.diff(plane[..., 1], axis=0) < 0).all()


@pytest.mark.parametrize("n_classes", [0, 3])
@pytest.mark.parametrize("loss", [losses.nonsaturating, losses.wasserstein])
def test_pictures_of_a_gan(loss, n_classes):
    shape = (4, 6, 1)
    critic = linear(24, (1,), n_classes)
    flat = Net(critic.init, lambda *a, **k: (critic.apply(*a, **k)[0][:, 0], {}))
    gan = models.GAN(linear(5, shape, n_classes), flat, 5, n_classes)
    run = opened(gan, data.to_signed(), objectives.gan(gan, loss).score, shape, n_classes)
    got = pictures.draw(run, made_set(shape, n_classes))
    assert list(got.scores) == ["training", "generated", "test"]
    assert [len(v) for v in got.scores.values()] == [12, pictures.N_SCORED, 12]
    np.testing.assert_array_equal(got.scores["training"], got.scores["test"])
    assert got.is_probability == (loss is losses.nonsaturating)
    assert {f.kind for f in got.figures} == {"interpolations"} | ({"classes"} if n_classes else set())
    assert list(pictures.draw(run, None).scores) == ["generated"]


def test_other_models_are_named():
    model = SimpleNamespace(init=lambda key: ({}, {}), z_dim=2, n_classes=0)
    with pytest.raises(UsageError, match="SimpleNamespace"):
        pictures.draw(opened(model, None, None, (2, 2, 1), 0), None)


def test_charts_cover_every_metric_once():
    names = ("step", "seconds", "examples_per_s", "elbo", "rate", "beta", "my/thing", "d/skipped")
    rows = dict.fromkeys(names, np.ones(3))
    keys = [k for c in words.charts(rows) for k in c.keys]
    assert sorted(keys) == sorted(["elbo", "rate", "my/thing", "d/skipped", "examples_per_s"])
    assert all(c.title and c.text for c in words.charts(rows))
    rows["beta"] = np.arange(3.0)
    assert "beta" in [k for c in words.charts(rows) for k in c.keys]


@pytest.mark.slow
def test_the_page_has_a_family_even_where_the_model_cannot_be_opened(run_of):
    run = run_of("gan_digits")
    shutil.rmtree(run / "recipe")
    edit(run / "config.json", lambda c: c["code"].update(entry="gone.py", recipe={"gone.py": "0" * 64}))
    got = facts.read(str(run), 4)
    assert got.family == "GAN"
    assert "gone.py" in got.problems[0]
    Reader(page.page([got]))
