"""Standard MIDI files as piano rolls, and rolls as MIDI files.

A roll is (steps, 88) of 0 and 1: which of a piano's keys sound in each step, held notes in all of theirs. A step is a
part of a quarter note, so a change of tempo moves nothing. Drums (channel 10) are left out.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from genjax.errors import UsageError, shown
from genjax.formats import files

LOW, KEYS = 21, 88
"""The MIDI number of a piano's lowest key, and how many it has."""
DRUMS = 9
"""The channel of drums, counted from 0."""
STEPS_PER_QUARTER = 4
TEMPO = 100
"""Quarters a minute of what is written."""

MOST_STEPS = 2**20
"""Steps of the longest piece: a day and more of music on a grid of four. A longer one counts its ticks wrongly."""

Roll = UInt8[np.ndarray, "t 88"]


class Piece(NamedTuple):
    """A roll and what was left out of it."""

    roll: Roll
    outside: int = 0
    """Notes that no piano has."""
    drums: int = 0


def read_midi(path: str | Path, steps_per_quarter: int = STEPS_PER_QUARTER) -> Piece:
    """The roll of a `.mid` file, from its first note on.

    Each note begins and ends at the nearest step, and lasts one at least.

    Raises:
        UsageError: it is no MIDI file, is damaged, counts in seconds instead of beats, has no notes that a piano has,
            or more than `MOST_STEPS` steps.
    """
    mido = _mido()
    with files.open_file(path) as f:
        try:
            song = mido.MidiFile(file=f, clip=True)
            notes, drums = _notes(song)
        except UsageError:
            raise
        except Exception as e:  # whatever mido makes of bytes at random
            what = shown(str(e).splitlines()[0] if str(e) else type(e).__name__)
            raise UsageError(
                f"{shown(path)}: cannot be read as MIDI ({what}).\nExport it again as a standard MIDI file."
            ) from e
    if song.type == 2:
        raise UsageError(f"{shown(path)}: is MIDI of type 2, many songs in one file.\nExport each as type 0 or 1.")
    if song.ticks_per_beat <= 0 or song.ticks_per_beat >= 2**15:
        raise UsageError(f"{shown(path)}: counts time in frames, not in beats.\nExport it with ticks per quarter note.")
    if not notes:
        what = "drums alone" if drums else "no notes"
        raise UsageError(f"{shown(path)}: has {what}.\nLeave it out of the data; drums (channel 10) are not read.")
    inside = [(a, b, k) for a, b, k in notes if LOW <= k < LOW + KEYS]
    if not inside:
        raise UsageError(
            f"{shown(path)}: has no notes that a piano has.\n"
            f"Move them by octaves into MIDI numbers {LOW} to {LOW + KEYS - 1}, or leave it out of the data."
        )
    spans = _spans(inside, steps_per_quarter / song.ticks_per_beat)
    steps = max(end for _, end, _ in spans)
    if steps > MOST_STEPS:
        raise UsageError(
            f"{shown(path)}: lasts {steps:,} steps, {steps_per_quarter} a quarter note; "
            f"a piece has at most {MOST_STEPS:,}.\n"
            f"Its {song.ticks_per_beat} ticks a quarter note may be wrong: export it again, or leave it out."
        )
    return Piece(_roll(spans, steps), len(notes) - len(inside), drums)


def _spans(notes: Sequence[tuple[int, int, int]], scale: float) -> list[tuple[int, int, int]]:
    """(begin, end, key) in steps from the first note on, of notes in ticks."""
    first = round(min(a for a, *_ in notes) * scale)
    return [(round(a * scale) - first, max(round(b * scale), round(a * scale) + 1) - first, k) for a, b, k in notes]


def _roll(spans: Sequence[tuple[int, int, int]], steps: int) -> Roll:
    roll = np.zeros((steps, KEYS), np.uint8)
    for a, b, k in spans:
        roll[a:b, k - LOW] = 1
    return roll


def _notes(song: Any) -> tuple[list[tuple[int, int, int]], int]:
    """(begin, end, key) of each note in ticks, and how many drum beats there are."""
    notes, drums = [], 0
    for track in song.tracks:
        now, sounding = 0, {}
        for message in track:
            now += message.time
            if message.type not in ("note_on", "note_off"):
                continue
            which = (message.channel, message.note)
            on = message.type == "note_on" and message.velocity > 0
            if message.channel == DRUMS:
                drums += on
                continue
            if which in sounding:  # ends, or is struck again
                notes.append((sounding.pop(which), now, message.note))
            if on:
                sounding[which] = now
        notes += [(begin, now, key) for (_, key), begin in sounding.items()]
    return sorted(notes), drums


def write_midi(roll: np.ndarray, steps_per_quarter: int = STEPS_PER_QUARTER, tempo: float = TEMPO) -> bytes:
    """A standard MIDI file of a roll: keys that sound in steps after one another are one note.

    Example:
        >>> write_midi(np.eye(88, dtype=np.uint8)[[39, 39, 43]], 1)[:4]
        b'MThd'
    """
    import io

    mido = _mido()
    ticks = 480
    song = mido.MidiFile(type=0, ticks_per_beat=ticks)
    track = mido.MidiTrack()
    song.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo), time=0))
    on = np.asarray(roll) > 0
    edge = np.diff(np.pad(on, [(1, 1), (0, 0)]).astype(np.int8), axis=0)
    before = 0
    events = sorted((int(t), int(edge[t, k]), int(k)) for t, k in np.argwhere(edge != 0))
    for step, sign, key in events:
        now = round(step * ticks / steps_per_quarter)
        kind, velocity = ("note_on", 80) if sign > 0 else ("note_off", 0)
        track.append(mido.Message(kind, note=key + LOW, velocity=velocity, time=now - before))
        before = now
    end = round(len(on) * ticks / steps_per_quarter)
    track.append(mido.MetaMessage("end_of_track", time=max(0, end - before)))
    out = io.BytesIO()
    song.save(file=out)
    return out.getvalue()


def of_chords(steps: Sequence[Iterable[int]]) -> Roll:
    """The roll of a list of steps, each a list of MIDI numbers.

    Raises:
        ValueError: a note that no piano has, named with its step.

    Example:
        >>> of_chords([[21, 108], []]).sum(1).tolist()
        [2, 0]
    """
    roll = np.zeros((len(steps), KEYS), np.uint8)
    for t, notes in enumerate(steps):
        for note in notes:
            if not LOW <= int(note) < LOW + KEYS:
                raise ValueError(f"step {t} has the note {note}")
            roll[t, int(note) - LOW] = 1
    return roll


def _mido() -> Any:
    try:
        import mido
    except ImportError:
        raise UsageError("MIDI files need the package mido.\nInstall it: pip install mido.") from None
    return mido
