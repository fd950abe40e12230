"""Music: piano rolls uint8 (t, 88) of 0 and 1; a mask says which steps count."""

from typing import Any

import numpy as np

from genjax import viz
from genjax.data import Examples, Spec
from genjax.domains.contract import GENERIC, Domain, Finished, How, Picture, Piece
from genjax.domains.synthesiser import RATE, sound, wav
from genjax.errors import UsageError
from genjax.formats.midi import TEMPO, write_midi
from genjax.metrics.music_metrics import music_metrics, roll_statistics, rolls_of
from genjax.metrics.spaces import Space

SOUNDING = 8
"""Pieces of a page that come with their sound."""
SECONDS = 16.0
"""How much of a piece's sound a page has; a file of samples has all of it."""
PAGE_RATE = 8000
"""Samples a second on a page."""
PAUSE = 4
"""Quarters of silence between the pieces of a file."""
STEPS_WIDTH, KEY_HEIGHT = 288, 3
"""Pixels of a page: about those of all steps of a piece together, and those of a key."""
INK, BAR, PAPER = (34, 88, 152), (226, 226, 232), (250, 250, 250)
"""Colours of notes, of bar lines, and of the rest."""


def grid_of(spec: Spec) -> int:
    """Steps of a quarter note."""
    return int(spec.about.get("steps_per_quarter", 4))


def finish(x: Any, spec: Spec) -> Finished:
    """Notes that sound; chances of notes by whether they are above a half. Every step of a sample counts."""
    x = np.asarray(x, np.float32)
    finite = np.asarray(np.isfinite(x.reshape(len(x), -1)).all(axis=1))
    roll = (np.nan_to_num(x) > 0.5).astype(np.uint8)
    return Finished(Examples(roll, None, np.ones(roll.shape[:2], bool)), finite)


def picture(rolls: np.ndarray, spec: Spec, width: int = 1, height: int = 1) -> np.ndarray:
    """Rolls (n, t, 88) as pictures (n, h, w, 3): the lowest note that any has at the bottom, a line for each bar.

    Args:
        rolls: of zeros and ones.
        spec: says how long a bar is.
        width: pixels of a step.
        height: pixels of a key.
    """
    used = np.flatnonzero(rolls.any((0, 1)))
    low, high = (used[0], used[-1]) if len(used) else (39, 51)
    low, high = max(0, min(low - 1, high - 12)), min(rolls.shape[2] - 1, high + 1)
    notes = np.swapaxes(rolls[:, :, low : high + 1], 1, 2)[:, ::-1]
    notes = notes.repeat(height, axis=1).repeat(width, axis=2)
    out = np.empty((*notes.shape, 3), np.uint8)
    out[:] = PAPER
    out[:, :, :: 4 * grid_of(spec) * width] = BAR
    out[notes > 0] = INK
    return out


def show(examples: Examples, spec: Spec, ncols: int | None = None, close: bool = False) -> list[Piece]:
    """A picture of each piece, the first few with their sound; in lines of `ncols`, one picture of all, silent."""
    rolls = rolls_of(grid_of(spec), examples)
    heard_of = rolls.x * rolls.mask[:, :, None]
    if ncols is not None:
        grid = viz.grid(picture(heard_of, spec), ncols, 0 if close else 2)
        return [Picture(viz.encode(grid), f"{len(heard_of)} piano rolls")]
    images = picture(heard_of, spec, max(1, STEPS_WIDTH // heard_of.shape[1]), KEY_HEIGHT)
    found: list[Piece] = []
    for i, (roll, mask, image) in enumerate(zip(rolls.x, rolls.mask, images, strict=True)):
        heard = b""
        if i < SOUNDING:
            most = round(SECONDS * TEMPO / 60 * grid_of(spec))
            heard = wav(sound(roll[mask][:most], grid_of(spec), TEMPO, PAGE_RATE), PAGE_RATE)
        found.append(Picture(viz.encode(image), f"piano roll {i + 1}", sharp=False, sound=heard))
    return found


def together(examples: Examples, spec: Spec) -> np.ndarray:
    """One roll of all pieces, a pause between each two."""
    rolls = rolls_of(grid_of(spec), examples)
    silence = np.zeros((PAUSE * grid_of(spec), rolls.x.shape[2]), np.uint8)
    parts = [part for roll, mask in zip(rolls.x, rolls.mask, strict=True) for part in (roll[mask], silence)]
    return np.concatenate(parts[:-1])


def as_midi(examples: Examples, spec: Spec, how: How) -> bytes:
    """A standard MIDI file: one piece after the other."""
    return write_midi(together(examples, spec), grid_of(spec))


def as_wav(examples: Examples, spec: Spec, how: How) -> bytes:
    """A WAV file: one piece after the other, played by `synthesiser`."""
    return wav(sound(together(examples, spec), grid_of(spec), TEMPO, RATE), RATE)


def space(name: str, spec: Spec) -> Space:
    """Statistics of pieces that do not depend on their key, see `metrics.music_metrics.roll_statistics`.

    Raises:
        UsageError: another space is asked for.
    """
    if name not in ("", "rolls"):
        raise UsageError(f"--features={name}: {spec.name} is music, compared by statistics of rolls. Leave it out.")
    return Space("rolls", "", lambda x, mask=None: roll_statistics(rolls_of(grid_of(spec), Examples(x, None, mask))))


def vector(examples: Examples, spec: Spec) -> np.ndarray:
    """The rolls themselves, made flat; steps that do not count are silent."""
    rolls = rolls_of(grid_of(spec), examples)
    return (rolls.x * rolls.mask[:, :, None]).reshape(len(rolls.x), -1).astype(np.float32)


def legend(spec: Spec) -> str:
    """What is where in a picture, and how it is played."""
    return (
        "Time runs to the right, pitch upwards; a grey line begins each bar of four quarters. Played by a simple "
        f"synthesiser, {TEMPO:g} quarters a minute, the first {SECONDS:g} seconds."
    )


DOMAIN = Domain(
    name="music",
    one="piece",
    many="pieces",
    finish=finish,
    show=show,
    glance=lambda examples, spec: viz.grid(picture(examples.x[:8], spec), 2, 2),
    save={".mid": as_midi, ".wav": as_wav},
    each=".mid",
    space=space,
    vector=vector,
    sizes=lambda spec: f"{spec.shape[0]} steps, {grid_of(spec)} a quarter note",
    metrics=lambda spec: music_metrics(grid_of(spec)),
    kinds=(*GENERIC, "examples"),
    measured=lambda spec, config: {"quantisation": "notes on or off", "resize": "none"},
    compared="piano rolls",
    shown=16,
    legend=legend,
)
