"""MuseGAN's rates of pieces whose rates are known, chord n-grams, statistics that no key changes, nats a step."""

import numpy as np
import pytest

from genjax.metrics import music
from genjax.metrics.music import Rolls
from genjax.metrics.music_metrics import over_steps, roll_statistics


def rolls(x, grid=1):
    x = np.asarray(x, np.uint8)
    return Rolls(x, np.ones(x.shape[:2], bool), grid)


def chord(*notes):
    x = np.zeros(88, np.uint8)
    x[np.array(notes, int) - 21] = 1
    return x


SILENCE = rolls(np.zeros((2, 16, 88)))
SCALE = rolls([[chord(n) for n in (60, 62, 64, 65, 67, 69, 71, 72)]])


def test_silence_is_empty():
    assert music.empty_bar_rate(SILENCE) == 1
    assert np.isnan(music.used_pitch_classes(SILENCE))
    assert music.polyphonic_rate(SILENCE) == 0
    assert music.note_density(SILENCE) == 0


def test_a_scale():
    assert music.empty_bar_rate(SCALE) == 0
    assert music.used_pitch_classes(SCALE) == 4  # four notes in each bar of four quarters
    assert music.in_scale_rate(SCALE) == 1
    assert music.polyphonic_rate(SCALE) == 0
    assert music.note_density(SCALE) == 1


def test_all_notes_at_once_are_in_a_scale_seven_times_of_twelve():
    everything = rolls(np.ones((1, 4, 84)))
    assert music.in_scale_rate(everything) == pytest.approx(7 / 12)
    assert music.used_pitch_classes(everything) == 12


def test_half_empty_and_half_polyphonic():
    x = np.zeros((1, 8, 88))
    x[0, :4] = chord(60, 64)
    x[0, 0] = chord(60)
    assert music.empty_bar_rate(rolls(x)) == 0.5
    assert music.polyphonic_rate(rolls(x)) == pytest.approx(3 / 8)


def test_short_notes_do_not_qualify():
    """On sixteenths a note of one step is too short, of two it is an eighth; a note held is one note."""
    x = np.zeros((1, 16, 88))
    x[0, 0, 40], x[0, 4:6, 40], x[0, 8:16, 41] = 1, 1, 1
    assert music.qualified_note_rate(rolls(x, grid=4)) == pytest.approx(2 / 3)


def test_steps_that_do_not_count_are_not_seen():
    x = np.zeros((1, 8, 88))
    x[0, 4:] = chord(60, 61, 62)
    half = Rolls(x, np.arange(8)[None] < 4, 1)
    assert music.empty_bar_rate(half) == 1
    assert music.note_density(half) == 0


def test_chord_changes_know_no_key_and_no_tempo():
    tune = [chord(48, 60, 64), chord(48, 60, 64), chord(53, 60, 65), chord(55, 59, 62), chord(48, 60, 64)]
    higher = np.roll(tune, 5, axis=1)
    slower = np.repeat(tune, 3, axis=0)
    for n in (1, 2, 3):
        assert music.note_ngram_distance(rolls([tune]), rolls([higher]), n) == 0
        assert music.note_ngram_distance(rolls([tune]), rolls([slower]), n) == 0
    assert music.note_ngram_distance(rolls([tune]), SCALE, 1) > 0.5
    assert music.note_ngram_distance(rolls([tune]), SILENCE, 1) == 1


def test_statistics_know_no_key():
    random = np.random.RandomState(0)
    x = np.zeros((3, 32, 88), np.uint8)
    x[:, :, 30:60] = random.rand(3, 32, 30) < 0.1
    a, b = (roll_statistics(rolls(v)) for v in (x, np.roll(x, 12, axis=2)))
    same = np.r_[:47, 51:54]
    np.testing.assert_allclose(a[:, same], b[:, same], atol=1e-6)
    np.testing.assert_allclose(b[:, 47] - a[:, 47], 1, atol=1e-5)  # an octave higher
    assert np.isfinite(roll_statistics(SILENCE)).all()
    np.testing.assert_allclose(a[:, :12].sum(1), 1, rtol=1e-5)


def test_nats_a_step_are_those_of_all_pieces_together():
    nats, steps = np.array([10.0, 100.0]), np.array([5, 20])
    assert over_steps(nats, steps).value == pytest.approx(110 / 25)
    assert (nats / steps).mean() == pytest.approx(3.5)  # the other convention
    many = np.random.RandomState(0)
    steps = many.randint(20, 100, 400)
    nats = steps * 6.0 + 10 * many.standard_normal(400)
    found = over_steps(nats, steps)
    assert abs(found.value - 6) < 3 * found.half / 1.96
    assert found.half == pytest.approx(1.96 * 10 / (steps.mean() * 20), rel=0.15)
