"""Pages of data that are no images: sounds on both sides, texts below each other, words that fit."""

import dataclasses

import numpy as np
import pytest

from genjax import data, distributions, domains, nets
from genjax.data import Examples
from genjax.report import comparison, html, neighbours, page, pictures, samples, words
from genjax.report.facts import Facts, Frame


@pytest.fixture(scope="module")
def tunes():
    return data.load("tunes", options={"window": 16})


@pytest.fixture(scope="module")
def psalms():
    return data.load("psalms", options={"length": 24})


def shown_of(dataset):
    domain, spec = domains.of(dataset.spec), dataset.spec
    return lambda examples, ncols, close: domain.show(examples, spec, ncols, close)


def facts_of(dataset, family):
    """What a page needs of a run, with held-out examples in the place of its samples."""
    domain, some = domains.of(dataset.spec), pictures.spread(dataset.test, 25)
    shown = pictures.Pictures(some, some, (), {}, False, shown_of(dataset))
    return Facts(
        "there", f"a_{family}", "r", family, {}, {}, dataclasses.asdict(dataset.spec), {}, {}, (), 0, None, "", shown,
        (), domain=domain,
    )  # fmt: skip


def test_both_sides_of_a_comparison_and_the_real_ones_can_be_heard(tunes):
    runs = [facts_of(tunes, family) for family in ("VAE", "GAN")]
    for run in runs:
        assert samples.heard_of(run.pictures, run.pictures.samples, "").count("<audio") == samples.N_HEARD
    assert "a grey line begins each bar" in samples.legend(runs[0])


def test_texts_have_nothing_to_hear_and_no_enlargement(psalms):
    run = facts_of(psalms, "VAE")
    assert samples.heard_of(run.pictures, run.pictures.samples, "") == ""
    assert not page._enlarged([run._replace(frames=(Frame(1, "a line"),))])


def test_what_is_said_of_photographs_is_said_of_images_alone(tunes):
    runs = [facts_of(tunes, family) for family in ("VAE", "GAN")]
    speech = domains.of("speech")
    assert speech.drawn == "mean"
    assert not speech.pictures
    runs = [run._replace(domain=speech) for run in runs]
    assert comparison._families(runs) == ""
    assert comparison._close_up(runs, None) == ""


def test_lines_of_text_stand_below_each_other(psalms):
    some = Examples(psalms.test.x[:3], None, psalms.test.event_mask[:3])
    rows = (pictures.Row("", some), pictures.Row("", some))
    figure = pictures.Figure("interpolations", "Ways", "", rows, shown_of(psalms))
    assert html.figure(figure, "").count('<pre class="lines">') == 2  # a way each
    moved = figure._replace(rows=(pictures.Row("z1", some),), ends=("−3 sd", "0", "+3 sd"))
    assert "from top to bottom: −3 sd … 0 … +3 sd" in html.figure(moved, "")


def test_each_text_stands_above_its_nearest(psalms):
    some = Examples(psalms.test.x[:4], None, psalms.test.event_mask[:4])
    found = neighbours.figure(some, psalms, domains.of(psalms.spec))
    assert [row.label for row in found.rows] == ["generated", "nearest in shares of short n-grams"] * 4
    assert all(len(row.examples.x) == 1 for row in found.rows)


def test_music_stands_side_by_side(tunes):
    found = neighbours.figure(pictures.spread(tunes.test, 12), tunes, domains.of(tunes.spec))
    assert [len(row.examples.x) for row in found.rows] == [10, 10]
    assert "hand" not in found.text


def test_a_reconstruction_is_called_what_it_is():
    writer = nets.gru_decoder(2, 5, 3, 4)
    chords, written = distributions.chords(), distributions.autoregressive(writer.chain)
    each = distributions.bernoulli(), chords, written, distributions.autoregressive(writer.chain, chords)
    said = [words.reconstructions(True, likelihood.shown) for likelihood in each]
    parts = "the mean of the decoder", "key by key", "likeliest symbols", "step by step"
    for text, part in zip(said, parts, strict=True):
        assert part in text


def test_real_examples_come_from_all_over_the_set(tunes):
    first = pictures.spread(tunes.test, pictures.N_SAMPLES)
    assert len(first.x) == pictures.N_SAMPLES
    np.testing.assert_array_equal(first.x[-1], tunes.test.x[-1])


def test_one_core_is_one_core(tunes):
    for cores, said in ((1, "CPU, 1 core"), (2, "CPU, 2 cores")):
        manifest = {"device_kind": "cpu", "device_count": 1, "cpu_count": cores}
        assert page._device(facts_of(tunes, "VAE")._replace(manifest=manifest)) == said
