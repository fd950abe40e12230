"""Music as people have it: files, pictures, sound at the right pitch, statistics; what a model gives is finished."""

import io
import wave

import numpy as np
import pytest
from PIL import Image

from genjax import domains
from genjax.data import Examples
from genjax.data.music import load_embedded
from genjax.domains import music
from genjax.domains.contract import How
from genjax.domains.synthesiser import sound, wav
from genjax.errors import UsageError
from genjax.formats import midi

pytest.importorskip("mido")


@pytest.fixture(scope="module")
def tunes():
    return load_embedded("tunes", window=16)


def test_a_note_sounds_at_its_pitch():
    roll = np.zeros((4, 88), np.uint8)
    roll[:, 69 - 21] = 1  # a', 440 Hz
    x = sound(roll, 1, tempo=120.0, rate=8000)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    assert spectrum.argmax() * 8000 / len(x) == pytest.approx(440, abs=1.5)
    assert len(x) == 4 * 4000 + 960
    assert np.abs(x).max() == pytest.approx(0.8, abs=1e-3)
    assert np.abs(x[-1]) < 1e-3
    assert (sound(np.zeros((4, 88)), 1) == 0).all()


def test_the_highest_key_does_not_fold_back():
    roll = np.zeros((2, 88), np.uint8)
    roll[:, 87] = 1  # 4186 Hz, beyond half of 8 kHz
    assert np.abs(sound(roll, 1, rate=8000)).max() == 0


def test_wav_is_what_python_reads():
    with wave.open(io.BytesIO(wav(np.array([0.0, 1.0, -1.0, 2.0], np.float32), 8000))) as f:
        assert (f.getnchannels(), f.getsampwidth(), f.getframerate(), f.getnframes()) == (1, 2, 8000, 4)
        assert np.frombuffer(f.readframes(4), "<i2").tolist() == [0, 32767, -32767, 32767]


def test_files_hold_the_pieces(tunes, tmp_path):
    domain, some = domains.of(tunes.spec), Examples(tunes.train.x[:2], None, tunes.train.event_mask[:2])
    path = tmp_path / "a.mid"
    path.write_bytes(domain.save[".mid"](some, tunes.spec, How()))
    roll = midi.read_midi(path, 2).roll
    pause = 4 * 2
    assert (roll[:16] == some.x[0]).all()
    assert not roll[16 : 16 + pause].any()
    assert (roll[16 + pause :] == some.x[1]).all()
    assert domain.save[".wav"](some, tunes.spec, How())[:4] == b"RIFF"


def test_pages_show_a_picture_with_sound_for_each(tunes):
    domain, some = domains.of(tunes.spec), Examples(tunes.train.x[:10], None, tunes.train.event_mask[:10])
    pieces = domain.show(some, tunes.spec, None, False)
    assert len(pieces) == 10
    assert all(p.sound[:4] == b"RIFF" for p in pieces[:8])
    assert not any(p.sound for p in pieces[8:])
    assert pieces[0].png.width == 288  # 16 steps of 18 pixels
    assert len(domain.show(some, tunes.spec, 5, False)) == 1
    silence = Examples(np.zeros((1, 16, 88), np.uint8))
    assert domain.show(silence, tunes.spec, None, False)[0].png.height >= 12


def test_a_page_draws_no_note_that_does_not_count_and_thin_bars(tunes):
    loud = Examples(np.ones((1, 16, 88), np.uint8), None, np.arange(16)[None] < 4)
    for ncols in (None, 1):
        shown = domains.of(tunes.spec).show(loud, tunes.spec, ncols, False)[0].png
        pixels = np.asarray(Image.open(io.BytesIO(shown.data)).convert("RGB"))
        inked = (pixels == np.array(music.INK)).all(-1).any(0)
        assert inked.mean() == 4 / 16
        assert inked[: len(inked) // 4].all()
    quiet = music.picture(np.zeros((1, 16, 88), np.uint8), tunes.spec, width=18)
    assert (quiet[0, 0] == np.array(music.BAR)).all(-1).nonzero()[0].tolist() == [0, 8 * 18]


def test_finish_makes_notes_and_marks_what_is_broken(tunes):
    x = np.zeros((2, 16, 88), np.float32)
    x[0, 0, 5], x[1, 3, 3] = 0.9, np.nan
    found = domains.of(tunes.spec).finish(x, tunes.spec)
    assert found.finite.tolist() == [True, False]
    assert found.examples.x.dtype == np.uint8
    assert found.examples.x.sum() == 1


def test_spaces(tunes):
    domain = domains.of(tunes.spec)
    space = domain.space("", tunes.spec)
    assert space.rows("features", tunes.test).shape == (len(tunes.test.x), 54)
    assert domain.vector(tunes.test, tunes.spec).shape == (len(tunes.test.x), 16 * 88)
    with pytest.raises(UsageError, match="compared by statistics"):
        domain.space("inception", tunes.spec)
