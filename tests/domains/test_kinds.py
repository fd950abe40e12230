"""Kinds of data: what only one kind knows is in one place, and a sixth kind needs one file."""

import dataclasses
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import cli, data, domains, recipes, runs, train
from genjax.cli import cache
from genjax.data import Examples, Spec
from genjax.distributions import Normal
from genjax.domains.contract import Domain, Finished, How, Words
from genjax.errors import UsageError
from genjax.metrics.protocol import Protocol
from genjax.types import Batch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OWN = ("data/", "domains/")
"""Rooms that know kinds of data and how examples are stored."""
EXEMPT = {
    "metrics/frozen_net.py": "feature nets of images: what these take",
    "metrics/image_spaces.py": "spaces of images",
    "metrics/sharpness.py": "blur of images, as a number",
    "objectives/augment.py": "changes of images that a discriminator sees",
    "distributions/likelihood.py": "what encoders see of the grey levels of a likelihood of pixels",
    "distributions/logistic.py": "the 256 levels of a pixel",
    "formats/depth.py": "images of more than 8 bits",
    "formats/wav.py": "WAV files, which have samples of several types",
    "nets/blocks.py": "up-sampling of planes",
    "nets/conv.py": "convolutions of planes",
    "nets/image.py": "nets of images",
    "nets/inception.py": "FID's own net",
    "nets/resample.py": "up- and down-sampling of planes",
    "viz/images.py": "how images become pictures; other kinds' domains call it",
    "viz/rows.py": "rows of images",
}
"""Files about one kind by name, which get arrays of it and ask of what kind they are of nobody, and why they stay."""
ASKED = {
    "asks for a kind by name": (
        r"\bdomain(\.name)? *(==|!=|\bin\b|not in\b) *[\"'(\[{]|[\"']\w+[\"'] *(==|!=) *[\w.]*domain\b"
    ),
    "takes the shape of a spec apart": r"\b(\w*spec|own|like|about)\.shape\[(:\d|-?\d)|, \w+\)? = [\w.]*\bspec\.shape",
}
"""Questions that only a domain answers: no file outside is exempt."""
STORED = {
    "unpacks h, w, c": r"\bh, w(, \w+)?\)? *(=|in\b)|\w\.shape\[1:3\]",
    "scales pixels": r"[*/] *(255|127\.5)\b|\b(255|127\.5)(\.0)? *[*/]",
    "encodes a picture": r"\bviz\.(encode|grid|sheet|show|save_grid|to_uint8|tiles|pdf|on_nothing)\(|\bto_uint8\(",
    "tells data by their dtype": (
        r"\.dtype\b[^#\n]*(==|!=|\bis\b|\bin\b)(?![^#\n]*float64)[^#\n]*\b(uint8|int16|float32)\b"
    ),
}
PATTERNS = ASKED | STORED


def code(path):
    """Lines of a file without docstrings and comments, with their numbers."""
    text = re.sub(r'"""(.|\n)*?"""', lambda m: "\n" * m[0].count("\n"), path.read_text(encoding="utf-8"))
    return [(i, line.split("  #")[0]) for i, line in enumerate(text.splitlines(), 1)]


def hits(what):
    """Lines outside of the rooms of kinds that match a pattern, by file."""
    found = {}
    for path in sorted((ROOT / "genjax").rglob("*.py")):
        name = path.relative_to(ROOT / "genjax").as_posix()
        lines = [f"{name}:{i}: {line.strip()}" for i, line in code(path) if re.search(PATTERNS[what], line)]
        if lines and not name.startswith(OWN):
            found[name] = lines
    return found


@pytest.mark.parametrize("what", PATTERNS)
def test_only_domains_and_data_know_how_examples_are_stored(what):
    exempt = {} if what in ASKED else EXEMPT
    assert [line for name, lines in hits(what).items() if name not in exempt for line in lines] == []


def test_nothing_is_exempt_that_need_not_be():
    assert set(EXEMPT) == {name for what in STORED for name in hits(what)}


@pytest.mark.parametrize(
    "line",
    [
        'square = own.domain == "image" and own.shape[0] == own.shape[1]',
        'about = {} if domain.name == "image" else constants(spec)',
        'if run.domain.name in ("music", "speech"):',
        'if spec.domain not in ["table"]:',
        'if "image" == spec.domain:',
        "grey = spec.shape[-1] == 1",
        "steps, keys = dataset.spec.shape",
    ],
)
def test_questions_for_a_kind_are_seen(line):
    assert any(re.search(pattern, line) for pattern in ASKED.values())


@pytest.mark.parametrize("name", domains.KINDS)
def test_every_kind_is_what_its_line_says(name):
    domain = domains.of(name)
    assert domain.name == name
    assert set(domain.save) | {".npz"} == set(domains.KINDS[name])
    assert not domain.each or domain.each in domain.save
    assert set(domain.pictures) <= set(domain.save)
    assert domains.words(name) == domain.words


def test_a_kind_that_nobody_knows_is_refused_and_has_plain_words():
    with pytest.raises(UsageError, match=r"domain=knots: there is no such kind of data\. There are image, points"):
        domains.of(Spec("mine", (3,), 0, 1, "", domain="knots"))
    assert domains.words("knots") == Words("example", "examples")


SETS = {"digits": "image", "ring": "points", "synthetic_speech": "speech"}


@pytest.mark.parametrize("name", domains.KINDS)
def test_what_a_kind_says_of_a_measurement_fits_its_protocol(name):
    """Fields that a record has; a word of its own would keep every run of the kind from being measured."""
    spec = Spec(name, (8, 4, 1), 0, 1, "", domain=name, about={"unit": "character", "rate": 8000})
    said = domains.of(spec).measured(spec, None)
    assert set(said) <= {f.name for f in dataclasses.fields(Protocol)}


@pytest.mark.parametrize("name", SETS)
def test_real_examples_are_finished_already(name):
    """What is stored comes back from `finish` as it was, all of it finite; and what is not finite is counted."""
    d = data.load(name)
    domain, part = domains.of(d.spec), data.take(d.test, np.arange(6))
    assert domain.name == SETS[name]
    found = domain.finish(part.x.astype(np.float32), d.spec)
    assert isinstance(found, Finished)
    np.testing.assert_array_equal(found.examples.x, part.x)
    assert found.examples.x.dtype == d.spec.dtype
    assert found.finite.tolist() == [True] * 6
    broken = part.x.astype(np.float32)
    broken[2].flat[0] = np.nan
    assert domain.finish(broken, d.spec).finite.tolist() == [True, True, False, True, True, True]
    assert domain.vector(part, d.spec).shape[0] == 6
    assert domain.show(part, d.spec, 3, False)
    seen = domain.glance(part, d.spec)
    assert isinstance(seen, str) or (seen.dtype == np.uint8 and seen.ndim == 3)
    for suffix, save in domain.save.items():
        assert save(part, d.spec, How("six of them")), suffix


@pytest.mark.parametrize(
    ("recipe", "what", "says"),
    [
        (
            "vae_digits",
            "ring",
            "data=ring: ring holds points, but vae_digits is for images. Recipes that take ",
        ),
        ("gan_mnist", "grid", "gan_mnist is for images. Recipes that take points: gan_ring2d, vae_ring2d"),
    ],
)
def test_a_recipe_refuses_data_of_another_kind_by_name(recipe, what, says, tmp_path, capsys):
    assert cli.main(["train", recipe, "--data", what, "--steps", "2", "--run-dir", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_every_shipped_recipe_says_what_it_takes_and_the_list_can_be_asked(capsys):
    for name in recipes.names():
        assert recipes.domains(recipes.find(name)), name
        assert recipes.domains(recipes.find(name)) == tuple(recipes.load(name).Config.domains)
    assert cli.main(["list", "points"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:2]] == ["gan_ring2d", "vae_ring2d"]
    assert cli.main(["list", "point"]) == 2
    assert "Did you mean points?" in capsys.readouterr().err
    assert cli.main(["demo", "--data", "imagse"]) == 2
    assert "--data=imagse: there is no such demo. Did you mean image" in capsys.readouterr().err


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A run of the toy kind, trained whole."""
    folder = tmp_path_factory.mktemp("toy")
    recipe = folder / "bits.py"
    recipe.write_bytes((HERE / "bits.py").read_bytes())
    run = folder / "whole"
    assert cli.main(["train", str(recipe), "--steps", "40", "--sample-every", "20", "--run-dir", str(run), "--quiet",
                     "--no-compile-cache"]) == 0  # fmt: skip
    return recipe, run


@pytest.fixture(autouse=True)
def _tests_own_cache(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)


def test_a_sixth_kind_is_sixty_lines():
    """Its domain, its reader and its recipe."""
    assert len((HERE / "bits.py").read_text().splitlines()) <= 60


def test_a_sixth_kind_is_trained_and_continued_to_the_bit(toy, tmp_path, capsys):
    recipe, whole = toy
    flags = ["--run-dir", str(tmp_path / "cut"), "--quiet", "--no-compile-cache"]
    for steps in ("16", "40"):
        assert cli.main(["train", str(recipe), "--steps", steps, "--sample-every", "20", *flags]) == 0
    digests = []
    for run in (whole, tmp_path / "cut"):
        capsys.readouterr()
        assert cli.main(["digest", str(run)]) == 0
        digests.append(capsys.readouterr().out.splitlines()[-1])
    assert digests[0] == digests[1]
    kept = sorted(p.name for p in (whole / "samples").iterdir())
    assert kept == ["00000000.txt", "00000020.txt", "00000040.txt"]
    for name in kept:
        assert (whole / "samples" / name).read_bytes() == (tmp_path / "cut" / "samples" / name).read_bytes()
    assert re.fullmatch(r"([01]{12}\n){63}[01]{12}", (whole / "samples" / kept[-1]).read_text())


def test_a_sixth_kind_is_sampled_scored_measured_and_shown(toy, tmp_path, capsys):
    _, run = toy
    assert cli.main(["sample", str(run), "--n", "5", "--out", str(tmp_path / "s.txt")]) == 0
    assert "5 strings of bits at step 40" in capsys.readouterr().out
    assert re.fullmatch(r"([01]{12}\n){4}[01]{12}", (tmp_path / "s.txt").read_text())
    assert cli.main(["sample", str(run), "--n", "5", "--out", str(tmp_path / "s.npz")]) == 0
    again = data.load(tmp_path / "s.npz")
    assert (again.spec.domain, again.spec.n_values, again.spec.shape) == ("bits", 2, (12,))
    assert cli.main(["sample", str(run), "--n", "5", "--out", str(tmp_path / "s.mid")]) == 2
    assert "must end in .txt or .npz" in capsys.readouterr().err

    assert cli.main(["score", str(run), "chain", "--out", str(tmp_path / "s.csv")]) == 0
    assert "400 strings scored" in capsys.readouterr().out
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 401
    assert cli.main(["score", str(run), "digits", "--out", str(tmp_path / "s.csv")]) == 2
    assert "DATA=digits: holds images, but bits was trained on strings." in capsys.readouterr().err

    assert cli.main(["eval", str(run), "--n", "60", "--metrics", "elbo,kd,prdc"]) == 0
    records = {r["metric"]: r for r in json.loads((run / "eval.json").read_text())["records"]}
    assert {"elbo", "rate", "distortion", "kd_bits", "recall"} <= set(records)
    assert records["kd_bits"]["protocol"]["quantisation"] == "none"
    assert cli.main(["eval", str(run), "--n", "60", "--metrics", "sharpness"]) == 2
    assert "there is no such metric of strings" in capsys.readouterr().err

    assert cli.main(["report", str(run), "--out", str(tmp_path / "page.html")]) == 0
    page = re.sub(r"<(style|script|svg).*?</\1>", "", (tmp_path / "page.html").read_text(), flags=re.DOTALL)
    for said in ("chain, 300 strings", "Test strings, which", '<pre class="lines">', "kd_bits", "--out samples.txt"):
        assert said in page, said
    assert not re.search(r"\bimages?\b", re.sub(r"<[^>]*>", " ", page))


def test_a_domain_brought_by_a_recipe_reaches_the_run(toy):
    _, run = toy
    opened = runs.open_run(run)
    assert isinstance(opened.domain, Domain)
    assert (opened.domain.many, opened.spec.domain, opened.spec.masked) == ("strings", "bits", 1)


def test_masks_are_what_the_model_is_measured_on(toy):
    """The bound of a string is that of its own bits: what lies behind its end changes nothing."""

    _, run = toy
    opened = runs.open_run(run)
    part = data.take(opened.domain.read("chain").test, np.arange(20))
    params, state = train.evaluation(opened.state)

    def elbo(part):
        batch = opened.experiment.transform(
            jax.random.key(0), Batch(jnp.asarray(part.x), event_mask=jnp.asarray(part.event_mask))
        )
        return opened.experiment.score(params, state, batch, jax.random.key(1))

    got = elbo(part)
    mu = np.asarray(got["mu"])
    logits = opened.experiment.model.decode(params["vae"], state["vae"], _z(got, jax.random.key(1)))[0].logits
    each = part.x * np.asarray(logits) - np.logaddexp(0, np.asarray(logits))
    np.testing.assert_allclose(got["distortion"], -(each * part.event_mask).sum(1), rtol=1e-5)
    assert mu.shape == (20, 2)
    assert np.abs((each * ~part.event_mask).sum(1)).max() > 1


def _z(got, key):
    """The sample of z that a score draws."""
    return Normal(jnp.asarray(got["mu"]), 2 * jnp.log(jnp.asarray(got["sigma"]))).sample(key)


def test_examples_without_a_mask_say_so():
    assert repr(Examples(np.zeros((2, 3), np.uint8), None, np.ones((2, 3), bool))) == "Examples(2 of 3, uint8, masked)"
