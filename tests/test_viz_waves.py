"""Pictures of waves show when a wave is loud and which frequencies it has."""

import numpy as np
import pytest

from genjax import viz
from genjax.losses.spectral import FLOOR
from genjax.metrics.speech import spectrograms
from genjax.viz.waves import INK, PAPER, SILENCE, WAVE_HEIGHT


def test_a_wave_is_inked_where_it_sounds_and_flat_where_it_is_silent():
    x = np.zeros((1, 8192), np.int16)
    x[0, :4096] = (20000 * np.sin(2 * np.pi * 440 / 8000 * np.arange(4096))).astype(np.int16)
    cells = viz.wave_cells(x, spectrograms(x))
    n, h, w, _ = cells.shape
    assert (n, h, w) == (1, WAVE_HEIGHT + 40, 130)
    inked = (cells[0, :WAVE_HEIGHT] == np.array(INK)).all(-1).sum(0)
    assert inked[: w // 2 - 4].min() == WAVE_HEIGHT  # as high as the picture
    assert 1 <= inked[w // 2 + 4 :].max() <= 2
    assert (cells[0, 0, w // 2 + 4 :] == np.array(PAPER)).all()


def test_a_high_tone_is_bright_above_a_low_one():
    t = np.arange(8192) / 8000
    x = np.stack([10000 * np.sin(2 * np.pi * f * t) for f in (300, 2500)]).astype(np.int16)
    below = viz.wave_cells(x, spectrograms(x))[:, WAVE_HEIGHT:, 65].astype(int).sum(-1)
    low, high = below.argmax(1)
    assert high < low - 15  # rows count from the top


def test_silence_is_black_beside_a_quiet_sound_too():
    """The picture of a nearly silent generated sound was once bright all over."""
    assert pytest.approx(np.log(FLOOR**2), abs=0.01) == SILENCE
    x = np.zeros((2, 8192), np.int16)
    x[1, :4096] = (40 * np.sin(2 * np.pi * 440 / 8000 * np.arange(4096))).astype(np.int16)
    cells = viz.wave_cells(x, spectrograms(x))
    assert cells.dtype == np.uint8
    below = cells[:, WAVE_HEIGHT:]
    assert below[0].max() <= 4
    assert below[1, :, 80:].max() <= 4
    assert below[1, :, :60].max() > 60
