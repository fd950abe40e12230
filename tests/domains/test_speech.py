"""Recordings as pages, files and rows: heard, drawn, and compared."""

import io
import wave

import numpy as np
import pytest

from genjax import data, domains
from genjax.data import Examples
from genjax.domains.contract import How, Picture
from genjax.errors import UsageError
from genjax.report import charts

SPEECH = domains.of("speech")


@pytest.fixture(scope="module")
def some():
    d = data.load("synthetic_speech")
    return d.spec, data.take(d.test, np.arange(4))


def heard(content: bytes) -> tuple[int, np.ndarray]:
    with wave.open(io.BytesIO(content)) as f:
        assert (f.getnchannels(), f.getsampwidth()) == (1, 2)
        return f.getframerate(), np.frombuffer(f.readframes(f.getnframes()), "<i2")


def test_a_page_shows_each_recording_with_its_own_sound(some):
    spec, part = some
    pieces = SPEECH.show(part, spec, None, False)
    assert len(pieces) == 4
    for i, piece in enumerate(pieces):
        assert isinstance(piece, Picture)
        rate, samples = heard(piece.sound)
        assert rate == 8000
        assert (samples == part.x[i]).all()
        assert piece.alt == spec.classes[part.y[i]]
    (line,) = SPEECH.show(part, spec, 4, False)  # all of a line, one after the other
    assert (heard(line.sound)[1][:8192] == part.x[0]).all()
    many = Examples(np.repeat(part.x, 5, axis=0))
    assert SPEECH.show(many, spec, 20, True)[0].sound == b""


def test_a_file_of_several_has_silence_between_them(some):
    spec, part = some
    rate, samples = heard(SPEECH.save[".wav"](part, spec, How()))
    gap = rate // 4
    assert len(samples) == 4 * 8192 + 3 * gap
    assert (samples[:8192] == part.x[0]).all()
    assert (samples[8192 : 8192 + gap] == 0).all()
    assert (samples[8192 + gap : 2 * 8192 + gap] == part.x[1]).all()


def test_samples_are_rounded_and_cut_and_what_is_not_finite_is_silent():
    spec = data.load("synthetic_speech").spec
    x = np.zeros((2, 8192))
    x[0, :4] = [1.4, -40000.0, 33000.0, 0.6]
    x[1, 5] = np.inf
    found = SPEECH.finish(x, spec)
    assert found.examples.x[0, :4].tolist() == [1, -32768, 32767, 1]
    assert found.finite.tolist() == [True, False]
    assert found.examples.x[1, 5] == 0
    assert found.outside == pytest.approx(1 / (2 * 8192))


def test_recordings_are_compared_as_the_ear_does(some):
    """The same sound a millisecond later is near, another digit is far; sample by sample both are as far."""
    spec, part = some
    later = np.roll(part.x, 8, axis=1)
    rows = [SPEECH.vector(Examples(x), spec) for x in (part.x, later)]
    near = np.linalg.norm(rows[0] - rows[1], axis=1).max()
    far = np.linalg.norm(rows[0][1:] - rows[0][:-1], axis=1).min()
    assert near < 0.5 * far


def test_the_space_is_the_classifiers_where_it_knows_the_digits(some):
    spec, part = some
    assert SPEECH.space("", spec).name == "spoken_digit"
    spectra = SPEECH.space("spectra", spec)
    assert spectra.features(part.x).shape == (4, 400)
    assert spectra.logits is None
    short = data.load("synthetic_speech", options={"samples": 1024}).spec
    assert SPEECH.space("", short).name == "spectra"
    with pytest.raises(UsageError, match="takes recordings of 8,192 samples, not 1,024"):
        SPEECH.space("spoken_digit", short)
    with pytest.raises(UsageError, match="compared in spoken_digit or spectra"):
        SPEECH.space("inception", spec)


def test_the_gap_of_mean_spectra_is_in_decibels(some):
    _, part = some
    metric = SPEECH.metrics["spectrum"]
    real = metric.prepare(part)
    assert metric.of(real, part, None)["spectrum_gap_db"] == 0.0
    quiet = part._replace(x=(part.x.astype(np.int32) // 4).astype(np.int16))
    assert 6.0 < metric.of(real, quiet, None)["spectrum_gap_db"] < 12.1  # 12 dB but where silence has a floor


def test_sizes_are_in_words(some):
    assert SPEECH.sizes(some[0]) == "8,192 samples at 8 kHz"
    assert SPEECH.cell(some[0]) == (72, 130)


def test_a_spectrum_has_a_place_on_axes_that_are_logarithmic(some):
    spec, part = some
    found = SPEECH.spectrum(part, spec)
    assert found.frequency[0] > 0
    assert found.frequency[-1] == 4000
    assert found.frequency.shape == found.power.shape
    assert ">4000 Hz<" in charts.spectra({"real": found}, "real")
