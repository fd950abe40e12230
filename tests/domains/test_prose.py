"""Prose: samples as they are stored, files of text, the space of n-grams, and the metrics of a model that is known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import data, domains, models
from genjax.data.text import encoded
from genjax.domains.contract import How
from genjax.errors import UsageError
from genjax.metrics.measured import Measured
from genjax.metrics.prose_metrics import ngram_vectors

ABOUT = {"unit": "character", "cut": "lines", "alphabet": "\nabc\ufffd", "end": 0}
SPEC = data.Spec("a", (6,), 0, 4, "", domain="prose", n_values=5, about=ABOUT)
DOMAIN = domains.of(SPEC)


def test_a_sample_ends_with_its_end():
    found = DOMAIN.finish(jnp.array([[1, 2, 0, 3, 0, 1], [1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]]), SPEC)
    assert found.examples.x.tolist() == [[1, 2, 0, 0, 0, 0], [1] * 6, [0] * 6]
    assert found.examples.event_mask.sum(1).tolist() == [3, 6, 1]
    assert found.examples.x.dtype == np.uint8
    assert found.finite.all()
    assert DOMAIN.show(found.examples, SPEC, None)[0].lines == ("ab", "aaaaaa", "")


def test_broken_samples_are_marked():
    broken = data.to_one_hot(5).inverse(jnp.full((1, 6, 5), jnp.nan))
    found = DOMAIN.finish(broken, SPEC)
    assert found.finite.tolist() == [False]


def test_files_of_text_come_back(tmp_path):
    examples = encoded(["ab", "c", "cab"], ABOUT, 6)
    (tmp_path / "a.txt").write_bytes(DOMAIN.save[".txt"](examples, SPEC, How()))
    again = data.load(str(tmp_path / "a.txt"), options={"length": 6}, like=SPEC)
    np.testing.assert_array_equal(again.train.x, examples.x)


def test_windows_are_kept_apart():
    about = {**ABOUT, "cut": "windows", "end": -1}
    spec = data.Spec("a", (3,), 0, 4, "", domain="prose", n_values=5, about=about)
    found = DOMAIN.finish(np.array([[1, 0, 2], [3, 3, 3]]), spec).examples
    assert found.event_mask is None
    assert DOMAIN.save[".txt"](found, spec, How()) == b"a\nb\n\f\nccc\n"
    assert DOMAIN.show(found, spec, None)[0].lines[0] == "a⏎b"


def test_rows_of_ngrams():
    e = encoded(["abc", "abc", "cccc", "a"], ABOUT, 6)
    rows = ngram_vectors(e.x, e.event_mask)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert np.linalg.norm(rows[0] - rows[2]) > 0.5
    padded = np.where(e.event_mask, e.x, 3)
    np.testing.assert_array_equal(ngram_vectors(padded, e.event_mask), rows)
    with pytest.raises(UsageError, match="by its n-grams"):
        DOMAIN.space("inception", SPEC)


class Even:
    """Every symbol equally likely."""

    def log_prob(self, x, event_mask=None):
        mask = jnp.ones(x.shape) if event_mask is None else event_mask
        return -math.log(5) * mask.sum(1)


def test_bits_per_character_are_of_all_symbols_that_count():
    part = encoded(["ab", "c", "cab", "a"], ABOUT, 6)

    def score(params, state, batch, key):
        elbo = Even().log_prob(batch.x, batch.event_mask)
        return {"elbo": elbo, "rate": jnp.zeros_like(elbo), "distortion": -elbo}

    measured = Measured(models.LanguageModel, {}, {}, score, data.to_integers(), part)
    found = DOMAIN.metrics_of(SPEC)["bits"].of(measured, jax.random.key(0))["bits_per_character"]
    assert found.value == pytest.approx(math.log2(5))
    assert found.half == pytest.approx(0.0, abs=1e-4)


def test_metrics_of_samples_have_the_real_value_where_samples_are_real():
    real = encoded(["ab c", "a b", "c ab", "b b c"] * 3, {**ABOUT, "alphabet": "\n abc\ufffd"}, 8)
    spec = data.Spec("a", (8,), 0, 4, "", domain="prose", n_values=6, about={**ABOUT, "alphabet": "\n abc\ufffd"})
    table, key = DOMAIN.metrics_of(spec), jax.random.key(0)
    found = {}
    for name in ("ngrams", "bleu", "novelty"):
        found |= table[name].of(table[name].prepare(real), real, key)
    assert found["ngram_js_1"] == found["ngram_js_4"] == 0.0
    assert found["bleu_2"] == pytest.approx(1.0)
    assert found["self_bleu_2"] == pytest.approx(1.0)
    assert found["copies"] == 1.0
    assert found["distinct"] == pytest.approx(1 / 3)
