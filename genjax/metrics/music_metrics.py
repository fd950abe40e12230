"""Metrics of music alone, as lines of the table of metrics, and the space in which pieces are compared."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from genjax.data import Examples, size, take
from genjax.metrics.measured import N_IMPORTANCE, Estimate, Measured, likelihood
from genjax.metrics.music import RATES, Rolls, note_ngram_distance
from genjax.metrics.spaces import Numbers
from genjax.metrics.table import Metric, no_density

ORDERS = (1, 2, 3)
"""Lengths of n-grams of chord changes that are compared."""


def rolls_of(steps_per_quarter: int, examples: Examples) -> Rolls:
    """Pieces with their mask."""
    mask = np.ones(examples.x.shape[:2], bool) if examples.event_mask is None else examples.event_mask
    return Rolls(examples.x, mask, steps_per_quarter)


def music_metrics(steps_per_quarter: int) -> dict[str, Metric]:
    """The metrics of piano rolls on a grid.

    Likelihoods come in the three ways that papers have them: `nats_per_step` is the bound of all pieces together over
    all their steps, `nats_per_step_by_piece` the mean of each piece's own, and `iw_nats_per_step` the first with
    log p(x) by importance sampling in the place of the bound.
    """
    rolls = partial(rolls_of, steps_per_quarter)

    def rates(real: Rolls, fake: Examples, key) -> Numbers:
        mine = rolls(fake)
        return {name: rate(mine) for name, rate in RATES.items()}

    def ngrams(real: Rolls, fake: Examples, key) -> Numbers:
        return {f"chord_js_{n}": note_ngram_distance(real, rolls(fake), n) for n in ORDERS}

    return {
        "nats": Metric(
            _nats, "model", {"nats_per_step": "lower", "nats_per_step_by_piece": "lower"}, needs="elbo",
        ),
        "iw_nats": Metric(
            _iw_nats, "model", {"iw_nats_per_step": "lower", "iw_ess": ""}, settings={"n_samples": N_IMPORTANCE},
            by_default=False, needs="elbo", lacks=no_density,
        ),
        "rates": Metric(rates, "examples", dict.fromkeys(RATES, "nearest"), rolls, n_resamples=8),
        "chords": Metric(
            ngrams, "examples", {f"chord_js_{n}": "lower" for n in ORDERS}, rolls, n_resamples=8,
        ),
    }  # fmt: skip


def _steps(measured: Measured) -> np.ndarray:
    """Steps of each piece that count."""
    part = take(measured.part, np.arange(size(measured.part)))
    return np.full(len(part.x), part.x.shape[1]) if part.event_mask is None else part.event_mask.sum(1)


def over_steps(nats: np.ndarray, steps: np.ndarray) -> Estimate:
    """Nats of all pieces together over all their steps, with the interval of a ratio of means over pieces.

    Example:
        >>> over_steps(np.array([10.0, 40.0]), np.array([2, 8])).value
        5.0
    """
    value = float(nats.sum() / steps.sum())
    spread = np.std(nats - value * steps, ddof=1) if len(nats) > 1 else np.nan
    half = 1.96 * spread / (steps.mean() * np.sqrt(len(nats)))
    return Estimate(value, float(half), "ratio of means over pieces, delta method")


def _nats(measured: Measured, key) -> Mapping[str, Any]:
    steps, nats = _steps(measured), -measured.finite(("elbo",), key)["elbo"]
    return {"nats_per_step": over_steps(nats, steps), "nats_per_step_by_piece": nats / steps}


def _iw_nats(measured: Measured, key, n_samples: int = N_IMPORTANCE) -> Mapping[str, Any]:
    found = likelihood(measured, key, n_samples)
    return {"iw_nats_per_step": over_steps(np.asarray(found["nll"]), _steps(measured)), "iw_ess": found["nll_ess"]}


def roll_statistics(rolls: Rolls) -> Float[np.ndarray, "n 54"]:
    """A piece in 54 numbers, none of them of its key: what sounds together, how the top moves, how full and high it is.

    Shares of the twelve intervals above the lowest note; shares of the moves of the highest note, -12 ... 12 semitones
    and beyond; shares of steps with 0 ... 7 notes or more; shares of notes begun and steps silent; pitch mean and
    spread, lowest and highest note, in octaves.
    """
    out = np.zeros((len(rolls.x), 54), np.float32)
    for row, x, mask in zip(out, rolls.x, rolls.mask, strict=True):
        on = x[mask] > 0
        if not on.any():
            row[37] = row[46] = 1.0  # silence: no note in any step
            continue
        keys = np.arange(on.shape[1])
        sounding = on.any(1)
        low, top = on[sounding].argmax(1), on.shape[1] - 1 - on[sounding][:, ::-1].argmax(1)
        above = (keys[None] - low[:, None]) % 12
        counts = np.bincount(above[on[sounding]], minlength=12)
        moves = np.bincount(np.clip(np.diff(top), -12, 12) + 12, minlength=25)
        voices = np.bincount(np.minimum(on.sum(1), 7), minlength=8)
        began = on & ~np.pad(on, [(1, 0), (0, 0)])[:-1]
        pitch = np.broadcast_to(keys, on.shape)[on]
        row[:12] = counts / counts.sum()
        row[12:37] = moves / max(moves.sum(), 1)
        row[37:45] = voices / voices.sum()
        row[45:47] = began.sum() / on.sum(), 1.0 - sounding.mean()
        row[47:51] = pitch.mean() / 12, pitch.std() / 12, low.mean() / 12, top.mean() / 12
        row[51:54] = on.sum(1).mean() / 4, np.abs(np.diff(top)).mean() / 12 if len(top) > 1 else 0.0, top.std() / 12
    return out
