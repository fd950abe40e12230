"""A language model that counts n-grams: the baseline that a neural model of sequences has to beat."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from genjax.errors import UsageError

BEGIN = -1
"""Stands before a sequence, n - 1 times."""


class NgramModel:
    """p(symbol | the n - 1 before it), interpolated over all shorter contexts down to equal chances.

    A context that was seen c times with t different successors trusts its counts with c / (c + t) and asks the next
    shorter one for the rest (Witten-Bell). Every sequence has a positive probability, and all add up to 1.

    Args:
        sequences: of symbol numbers 0 ... n_values - 1, to count in.
        n: order, at least 1: symbols predicted from n - 1 others.
        n_values: size of the alphabet.
        smoothing: how many times t counts; larger trusts long contexts less.

    Source:
        Witten & Bell 1991, The Zero-Frequency Problem; Chen & Goodman 1999 on the interpolated form.

    Example:
        >>> model = NgramModel([[0, 1, 0, 1]], 2, 2)
        >>> [round(p, 3) for p in model.probabilities([0]).tolist()]
        [0.167, 0.833]
    """

    def __init__(self, sequences: Iterable[Sequence[int]], n: int, n_values: int, smoothing: float = 1.0):
        if n < 1 or n_values < 1 or smoothing <= 0:
            raise UsageError(f"n={n}, n_values={n_values} must be at least 1 and smoothing={smoothing} above 0.")
        self.n, self.n_values, self.smoothing = n, n_values, smoothing
        counts: defaultdict[tuple, Counter] = defaultdict(Counter)
        for sequence in sequences:
            s = (BEGIN,) * (n - 1) + tuple(map(int, sequence))
            for i in range(n - 1, len(s)):
                for k in range(n):
                    counts[s[i - k : i]][s[i]] += 1
        self.counts = {
            context: (np.fromiter(found, np.int64, len(found)), np.fromiter(found.values(), np.float64, len(found)))
            for context, found in counts.items()
        }
        self._known: dict[tuple, np.ndarray] = {}

    def probabilities(self, before: Sequence[int]) -> np.ndarray:
        """The probability of each symbol after those before it, (n_values,); they add up to 1."""
        context = (BEGIN,) * (self.n - 1) + tuple(map(int, before))
        return self._after(context[len(before) :])

    def _after(self, context: tuple) -> np.ndarray:
        if context in self._known:
            return self._known[context]
        shorter = self._after(context[1:]) if context else np.full(self.n_values, 1.0 / self.n_values)
        if context not in self.counts:
            return shorter
        which, how_often = self.counts[context]
        rest = self.smoothing * len(which)
        p = shorter * (rest / (how_often.sum() + rest))
        p[which] += how_often / (how_often.sum() + rest)
        self._known[context] = p
        return p

    def log_prob(self, sequence: Sequence[int]) -> float:
        """The log probability of a whole sequence, nats."""
        return sum(math.log(self.probabilities(sequence[:i])[int(s)]) for i, s in enumerate(sequence))

    def sample(self, rng: np.random.Generator, length: int, end: int = -1) -> list[int]:
        """A sequence, up to the symbol `end` (included) or to `length`."""
        out: list[int] = []
        while len(out) < length and (not out or out[-1] != end):
            cumulative = np.cumsum(self.probabilities(out))
            out.append(int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")))
        return out


def bits_per_symbol(log_probs: Any, n_symbols: Any) -> float:
    """-log2 p of sequences over the number of their symbols, ends included: of all together, not a mean of means.

    Args:
        log_probs: nats of each sequence.
        n_symbols: of each.

    Example:
        >>> bits_per_symbol([-math.log(8.0)], [3])
        1.0
    """
    return float(-np.sum(np.asarray(log_probs, np.float64)) / (np.sum(n_symbols) * math.log(2.0)))
