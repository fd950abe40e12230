"""Recordings of every usual kind give the same sound; what is none is refused in words that say what to do."""

import io
import os
import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from genjax.errors import UsageError
from genjax.formats import wav

TONE = 0.5 * np.sin(2 * np.pi * 440 / 8000 * np.arange(4000))


def pcm(x: np.ndarray, bits: int, rate: int = 8000, channels: int = 1) -> bytes:
    """A PCM file of x in [-1, 1], written by the standard library."""
    top = 2 ** (bits - 1)
    ints = np.clip(np.rint(x * top), -top, top - 1).astype(np.int64)
    raw = (ints + 128).astype("u1").tobytes() if bits == 8 else b"".join(
        int(v).to_bytes(bits // 8, "little", signed=True) for v in ints
    )  # fmt: skip
    out = io.BytesIO()
    with wave.open(out, "wb") as f:
        f.setnchannels(channels)
        f.setsampwidth(bits // 8)
        f.setframerate(rate)
        f.writeframes(raw)
    return out.getvalue()


def written(x: np.ndarray, rate: int = 8000) -> bytes:
    """A file of an array as scipy writes it."""
    out = io.BytesIO()
    wavfile.write(out, rate, x)
    return out.getvalue()


def read(tmp_path, content: bytes, rate: int = 8000):
    (tmp_path / "a.wav").write_bytes(content)
    return wav.read_wav(tmp_path / "a.wav", rate)


GOOD = {
    "8 bits": (pcm(TONE, 8), 300),
    "16 bits": (pcm(TONE, 16), 0),
    "24 bits": (pcm(TONE, 24), 1),
    "32 bits": (pcm(TONE, 32), 1),
    "float32": (written(TONE.astype(np.float32)), 1),
    "float64": (written(TONE), 1),
    "big-endian": (written((TONE * 32768).round().astype(">i2")), 0),
    "a chunk of notes": (pcm(TONE, 16)[:36] + b"bext" + struct.pack("<I", 3) + b"abc\0" + pcm(TONE, 16)[36:], 0),
    "size not known when written": (pcm(TONE, 16)[:40] + b"\xff\xff\xff\xff" + pcm(TONE, 16)[44:], 0),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_samples_gives_the_same_sound(name, tmp_path):
    content, off = GOOD[name]
    if name == "a chunk of notes":  # the size of the whole file, now larger
        content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    found = read(tmp_path, content)
    assert found.samples.dtype == np.int16
    assert np.abs(found.samples.astype(int) - wav.to_int16(TONE).astype(int)).max() <= off
    assert found.changes == ()


def test_channels_are_averaged_and_it_is_said(tmp_path):
    both = np.stack([TONE, np.zeros_like(TONE)], axis=1)
    found = read(tmp_path, pcm(both.reshape(-1), 16, channels=2))
    assert found.changes == ("2 channels averaged",)
    assert np.abs(found.samples - wav.to_int16(TONE / 2)).max() <= 1


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100, 48000])
def test_other_rates_are_resampled_and_it_is_said(rate, tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 / rate * np.arange(rate // 2))
    found = read(tmp_path, written((tone * 32767).astype(np.int16), rate))
    assert found.changes == (f"resampled from {rate:,} Hz",)
    assert abs(len(found.samples) - 4000) <= 1
    middle = slice(200, 3800)
    assert np.abs(found.samples[middle] / 32768 - TONE[middle]).max() < 0.01


def test_resampling_removes_what_the_lower_rate_cannot_hold():
    high = np.sin(2 * np.pi * 6000 / 16000 * np.arange(16000))
    assert np.abs(wav.resampled(high, 16000, 8000)[100:-100]).max() < 0.01


def test_samples_beyond_full_scale_are_cut_and_it_is_said(tmp_path):
    found = read(tmp_path, written((3 * TONE).astype(np.float32)))
    assert found.changes == ("cut at full scale",)
    assert found.samples.max() == 32767
    assert found.samples.min() == -32768


ALAW = pcm(TONE, 8)[:20] + struct.pack("<H", 6) + pcm(TONE, 8)[22:]
BAD = {
    "no bytes": (b"", "is empty, it has no bytes. Record it again"),
    "no samples": (pcm(TONE[:0], 16), "holds no sound, only a header"),
    "text": (b"hello, I am a text, not a sound\n" * 3, "is no .wav file"),
    "mp3": (b"ID3\x04" + bytes(100), "Convert it"),
    "another RIFF": (b"RIFF\x10\0\0\0AVI LIST" + bytes(10), "is no .wav file"),
    "cut off": (pcm(TONE, 16)[:-1000], "is cut off, 1,000 bytes of its sound are missing. Copy it again"),
    "only the beginning": (pcm(TONE, 16)[:30], "is only the beginning of a .wav file"),
    "twelve bytes": (pcm(TONE, 16)[:12], "is only the beginning of a .wav file"),
    "no format": (pcm(TONE, 16)[:12] + pcm(TONE, 16)[36:], "does not say how its sound is stored"),
    "A-law": (ALAW, "is compressed in a way that is not read"),
    "no number": (written(np.where(TONE > 0.4, np.nan, TONE).astype(np.float32)), "no numbers"),
    "rate 0": (pcm(TONE, 16)[:24] + bytes(8) + pcm(TONE, 16)[32:], "0 samples a second"),
    "no channel": (pcm(TONE, 16)[:22] + bytes(2) + pcm(TONE, 16)[24:], "is damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_recording_is_refused_by_its_path_and_what_to_do(name, tmp_path):
    content, why = BAD[name]
    with pytest.raises(UsageError) as e:
        read(tmp_path, content)
    text = str(e.value)
    assert why in text
    assert "a.wav: " in text
    assert len(text.splitlines()) <= 2


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    for name in ("pipe.wav", "folder.wav", "nothing.wav"):
        with pytest.raises(UsageError, match=name):
            wav.read_wav(tmp_path / name)


def test_bytes_at_random_never_raise_another_error(tmp_path):
    draw = np.random.default_rng(0)
    whole = np.frombuffer(pcm(TONE[:200], 16), np.uint8)
    for _ in range(100):
        spoiled = whole.copy()
        spoiled[draw.integers(0, 60, 3)] = draw.integers(0, 256, 3)
        try:
            found = read(tmp_path, spoiled.tobytes()).samples.ndim == 1
        except UsageError as e:
            found = "a.wav: " in str(e)
        assert found


def test_recordings_are_cut_or_followed_by_silence():
    x = np.arange(1, 6, dtype=np.int16)
    assert wav.fitted(x, 3).tolist() == [1, 2, 3]
    assert wav.fitted(x, 7).tolist() == [1, 2, 3, 4, 5, 0, 0]
