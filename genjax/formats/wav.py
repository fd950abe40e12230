"""One recording: a .wav file of any usual kind as 16-bit samples of one channel at one rate.

The format is read by scipy. What scipy lets through is refused here: files cut off, without sound, without numbers.
"""

import io
import math
import os
import struct
import warnings
import wave
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Num

from genjax import headroom
from genjax.errors import UsageError, shown
from genjax.formats import files

RATE = 8000
"""Samples a second that recordings are kept at."""
RATES = range(1_000, 768_001)
"""Sampling rates that a recording may have."""
MOST_BYTES = 2**30
"""The largest file that is read; more is an archive, not a recording."""
STREAMED = 0x7FFFF000
"""From this size on, a header was written before the sound was: programs that write to a pipe do so."""
FULL = 32768
"""The stored value of 1.0, which itself is not reached: -32768 ... 32767."""


class Recording(NamedTuple):
    """A recording as it is kept, and what was done to it."""

    samples: Int16[np.ndarray, " t"]
    changes: tuple[str, ...] = ()
    """As a person would say it: "resampled from 16,000 Hz", "2 channels averaged"."""


def read_wav(path: str | os.PathLike[str], rate: int = RATE) -> Recording:
    """The recording in a .wav file, at `rate` samples a second.

    PCM of 8 to 64 bits and floating-point samples are read, of any byte order; channels are averaged; other rates are
    resampled; floating-point samples beyond -1 ... 1 are cut there.

    Raises:
        UsageError: it is no .wav file, or compressed; it is cut off or damaged, holds no sound, or what is no number.
    """
    content = _content(path)
    found, samples = _decoded(path, content)
    if found not in RATES:
        raise UsageError(
            f"{shown(path)}: says it has {found:,} samples a second, which no recording has. "
            "Write it again with its true rate."
        )
    if not samples.size:
        raise UsageError(f"{shown(path)}: holds no sound, only a header. Record it again, or leave it out.")
    changes = []
    values = _unit(path, samples)
    if values.ndim > 1:
        changes.append(f"{values.shape[1]} channels averaged")
        values = values.mean(1)
    if found != rate:
        changes.append(f"resampled from {found:,} Hz")
        values = resampled(values, found, rate)
    if samples.dtype.kind == "f" and float(np.abs(samples).max()) > 1.0:
        changes.append("cut at full scale")
    return Recording(to_int16(values), tuple(changes))


def resampled(x: Num[np.ndarray, " t"], old: int, new: int) -> Num[np.ndarray, " s"]:
    """A wave at another rate: what lies above half the lower of both rates is filtered out.

    Example:
        >>> resampled(np.zeros(16000), 16000, 8000).shape
        (8000,)
    """
    from scipy.signal import resample_poly  # half a second to import, and only needed here

    common = math.gcd(old, new)
    return resample_poly(x, new // common, old // common)


def to_int16(x: Num[np.ndarray, "*s"]) -> Int16[np.ndarray, "*s"]:
    """Waves in [-1, 1] as 16-bit samples, rounded and cut at full scale.

    Example:
        >>> to_int16(np.array([-1.5, -1.0, 0.5, 1.0])).tolist()
        [-32768, -32768, 16384, 32767]
    """
    return np.clip(np.rint(np.asarray(x) * FULL), -FULL, FULL - 1).astype(np.int16)


def wav_bytes(x: Int16[np.ndarray, " t"], rate: int) -> bytes:
    """The content of a WAV file of one channel.

    Example:
        >>> wav_bytes(np.zeros(4, np.int16), 8000)[:4]
        b'RIFF'
    """
    out = io.BytesIO()
    with wave.open(out, "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(rate)
        f.writeframes(x.astype("<i2").tobytes())
    return out.getvalue()


def fitted(x: Int16[np.ndarray, " t"], n: int) -> Int16[np.ndarray, " n"]:
    """The first n samples; silence after a shorter recording.

    Example:
        >>> fitted(np.array([5, 6], np.int16), 4).tolist()
        [5, 6, 0, 0]
    """
    return np.pad(x[:n], (0, max(n - len(x), 0)))


def _content(path: str | os.PathLike[str]) -> bytes:
    with files.open_file(path) as f:
        try:
            size = os.fstat(f.fileno()).st_size
            if size > MOST_BYTES:
                raise UsageError(f"{shown(path)}: has {size:,} bytes. Cut it into recordings of at most 1 GB.")
            headroom.check(8 * size, f"{shown(path)}: decoding {size:,} bytes", "Cut it into shorter recordings.")
            content = f.read()
        except OSError as e:
            raise files.refused(path, e) from e
    if not content:
        raise UsageError(f"{shown(path)}: is empty, it has no bytes. Record it again, or leave it out.")
    return content


def _decoded(path: str | os.PathLike[str], content: bytes) -> tuple[int, np.ndarray]:
    """Rate and samples as stored, (t,) or (t, channels).

    Raises:
        UsageError: see `read_wav`.
    """
    from scipy.io import wavfile

    if content[:4] not in (b"RIFF", b"RIFX", b"RF64") or content[8:12] != b"WAVE":
        raise UsageError(
            f"{shown(path)}: is no .wav file, whatever its name says. Convert it, as: sox FILE -b 16 OUT.wav"
        )
    parts = _chunks(content)
    if b"data" not in parts:
        raise UsageError(f"{shown(path)}: is only the beginning of a .wav file, without sound. Copy it again.")
    if b"fmt " not in parts or parts[b"fmt "] > parts[b"data"]:
        raise UsageError(f"{shown(path)}: does not say how its sound is stored (no `fmt`). Write it again.")
    lacks = _missing_bytes(len(content), *parts[b"data"])
    if lacks:
        raise UsageError(f"{shown(path)}: is cut off, {lacks:,} bytes of its sound are missing. Copy it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that hold no sound
            rate, samples = wavfile.read(io.BytesIO(content))
    except Exception as e:  # whatever struct, NumPy and scipy make of bytes at random
        why = " ".join(str(e).split()) or type(e).__name__
        if "format" in why.lower() and ("unknown" in why.lower() or "supported" in why.lower()):
            raise UsageError(
                f"{shown(path)}: is compressed in a way that is not read ({shown(why)}). "
                "Convert it to PCM, as: sox FILE -b 16 OUT.wav"
            ) from e
        raise UsageError(f"{shown(path)}: is damaged ({shown(why)}). Write it again.") from e
    return int(rate), samples


def _chunks(content: bytes) -> dict[bytes, tuple[int, int]]:
    """Where each part of a .wav file begins and how many bytes it says it has, by name, the first of each."""
    order = ">" if content[:4] == b"RIFX" else "<"
    at, found = 12, {}
    while at + 8 <= len(content):
        (size,) = struct.unpack(order + "I", content[at + 4 : at + 8])
        found.setdefault(content[at : at + 4], (at + 8, size))
        at += 8 + size + size % 2
    return found


def _missing_bytes(n: int, at: int, size: int) -> int:
    """How many bytes of sound a file lacks against its header; 0 where the header was written before the sound."""
    return 0 if size >= STREAMED else max(0, at + size - n)


def _unit(path: str | os.PathLike[str], samples: np.ndarray) -> np.ndarray:
    """Stored samples as float64 in [-1, 1)."""
    if samples.dtype.kind == "f":
        if not np.isfinite(samples).all():
            raise UsageError(f"{shown(path)}: holds samples that are no numbers (NaN or infinite). Write it again.")
        return samples.astype(np.float64)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float64) - 128.0) / 128.0
    return samples.astype(np.float64) / 2.0 ** (8 * samples.dtype.itemsize - 1)
