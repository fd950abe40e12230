"""Sequences of symbols compared by their n-grams: Jensen-Shannon divergence, BLEU and self-BLEU, novelty.

A sequence is anything whose elements can be told apart: a string of characters, a list of words, an array of symbol
numbers. NumPy and dictionaries; on the host.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from genjax.errors import UsageError

Symbols = Sequence[Hashable]


def ngrams(sequence: Any, n: int) -> list[tuple]:
    """All runs of n elements, in order.

    Example:
        >>> ngrams("aba", 2)
        [('a', 'b'), ('b', 'a')]
    """
    items = sequence.tolist() if isinstance(sequence, np.ndarray) else sequence
    return list(zip(*(items[i:] for i in range(n)), strict=False))


def ngram_js(a: Iterable[Any], b: Iterable[Any], n: int) -> float:
    """Jensen-Shannon divergence of the distributions of n-grams in two sets of sequences, in bits: 0 ... 1.

    No n-gram reaches over the end of a sequence. Two samples of one distribution differ too, the more the larger n is:
    report that floor beside it, of sets of the same sizes.

    Args:
        a, b: the sequences.
        n: length of the n-grams, at least 1.

    Raises:
        UsageError: a set without an n-gram.

    Source:
        Gulrajani et al. 2017, Improved Training of Wasserstein GANs, section 5.4 and its code: bits, n = 1 ... 4.

    Example:
        >>> ngram_js(["ab"], ["ab"], 1), ngram_js(["aa"], ["bb"], 2), round(ngram_js(["ab"], ["aa"], 1), 4)
        (0.0, 1.0, 0.3113)
    """
    return js_of_counts(*(Counter(g for s in set_ for g in ngrams(s, n)) for set_ in (a, b)))


def js_of_counts(a: Counter, b: Counter) -> float:
    """`ngram_js` of n-grams that were counted already.

    Raises:
        UsageError: nothing was counted on one side.
    """
    totals = a.total(), b.total()
    if not all(totals):
        raise UsageError("ngram_js: a set has no sequence of that many symbols. Take a smaller n, or longer sequences.")
    divergence = 0.0
    for gram in sorted(a.keys() | b.keys()):  # sums in one order, whatever Python's hashes are
        p, q = a[gram] / totals[0], b[gram] / totals[1]
        m = (p + q) / 2
        divergence += sum(v * math.log2(v / m) for v in (p, q) if v > 0) / 2
    return min(max(divergence, 0.0), 1.0)


class _References:
    """How often an n-gram occurs in a reference, at most; and how long the references are."""

    def __init__(self, references: Sequence[Symbols], n: int):
        self.n, self.lengths = n, Counter(len(r) for r in references)
        self.best: list[dict[tuple, tuple[int, int, int]]] = [{} for _ in range(n)]
        for i, r in enumerate(references):
            for k in range(n):
                best = self.best[k]
                for gram, count in Counter(ngrams(r, k + 1)).items():
                    first, who, second = best.get(gram, (0, -1, 0))
                    if count > first:
                        best[gram] = (count, i, first)
                    elif count > second:
                        best[gram] = (first, who, count)

    def most(self, k: int, gram: tuple, without: int) -> int:
        """The largest count of an n-gram in one reference, leaving out the one of that number."""
        first, who, second = self.best[k].get(gram, (0, -1, 0))
        return second if who == without else first

    def closest(self, length: int, without_length: int | None) -> int:
        """The reference length nearest to that of a hypothesis; the shorter of two."""
        known = [m for m, count in self.lengths.items() if count > (m == without_length)]
        return min(known, key=lambda m: (abs(m - length), m))

    def bleu(self, hypothesis: Symbols, own: int = -1) -> float:
        """BLEU of a hypothesis; `own` is its number where it is one of the references itself."""
        logs = []
        for k in range(self.n):
            counts = Counter(ngrams(hypothesis, k + 1))
            hits = sum(min(c, self.most(k, gram, own)) for gram, c in counts.items())
            total = max(sum(counts.values()), 1)
            if k == 0 and hits == 0:
                return 0.0
            logs.append(math.log((hits or EPSILON) / total))
        length = len(hypothesis)
        closest = self.closest(length, length if own >= 0 else None)
        return min(1.0, math.exp(1 - closest / length)) * math.exp(sum(logs) / self.n)


EPSILON = 0.1
"""Counted in the place of no match at all of an order above 1 (method 1 of Chen & Cherry 2014)."""


def bleu(hypotheses: Sequence[Symbols], references: Sequence[Symbols], n: int = 4) -> float:
    """Mean BLEU-n of sequences, each against all references: 0 ... 1, high where their n-grams occur in real ones.

    It measures quality alone: one good sentence repeated has the best value. Report `self_bleu` beside it.

    Args:
        hypotheses: sequences of words, or of other symbols; those without any are left out.
        references: real ones.
        n: orders 1 ... n, evenly weighted, at least 1.

    Raises:
        UsageError: nothing on one side.

    Source:
        Papineni et al. 2002, BLEU; per sentence and smoothed as Texygen (Zhu et al. 2018) has it, with method 1 of
        Chen & Cherry 2014, A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU.

    Example:
        >>> bleu([["the", "cat"]], [["the", "cat"], ["a", "dog"]], 2)
        1.0
    """
    hypotheses = [h for h in hypotheses if len(h)]
    if not hypotheses or not len(references):
        raise UsageError("bleu: needs at least one sequence on each side.")
    known = _References(references, n)
    return float(np.mean([known.bleu(h) for h in hypotheses]))


def self_bleu(sequences: Sequence[Symbols], n: int = 4) -> float:
    """Mean BLEU-n of each sequence against all the others: 0 ... 1, the lower the more diverse they are.

    Raises:
        UsageError: fewer than two sequences with a symbol.

    Source:
        Zhu et al. 2018, Texygen: A Benchmarking Platform for Text Generation Models.

    Example:
        >>> self_bleu([["a", "b"], ["a", "b"]], 2), self_bleu([["a", "b"], ["c", "d"]], 2)
        (1.0, 0.0)
    """
    sequences = [s for s in sequences if len(s)]
    if len(sequences) < 2:
        raise UsageError("self_bleu: needs at least two sequences.")
    known = _References(sequences, n)
    return float(np.mean([known.bleu(s, i) for i, s in enumerate(sequences)]))


class Novelty(NamedTuple):
    """How much of generated sequences stands in the training set."""

    copies: float
    """Share of the sequences that are one of the training set."""
    distinct: float
    """Share of different ones among the sequences."""
    seen: float
    """Share of their n-grams that occur in the training set. Compare with that of held-out sequences."""


def novelty(sequences: Any, train: Iterable[Any], n: int = 4) -> Novelty:
    """Copies, repetitions, and known n-grams of generated sequences.

    Args:
        sequences: generated ones, at least one: a list, or rows of an array.
        train: those trained on.
        n: length of the n-grams that `seen` is of.

    Example:
        >>> novelty(["abcd", "abce"], ["abcd"], 3)
        Novelty(copies=0.5, distinct=1.0, seen=0.75)
    """
    if not len(sequences):
        raise UsageError("novelty: needs at least one sequence.")
    whole, grams = set(), set()
    for t in train:
        whole.add(_whole(t))
        grams.update(ngrams(t, n))
    mine = [_whole(s) for s in sequences]
    all_grams = [g for s in sequences for g in ngrams(s, n)]
    return Novelty(
        copies=float(np.mean([m in whole for m in mine])),
        distinct=len(set(mine)) / len(mine),
        seen=float(np.mean([g in grams for g in all_grams])) if all_grams else float("nan"),
    )


def _whole(sequence: Any) -> tuple:
    return tuple(sequence.tolist() if isinstance(sequence, np.ndarray) else sequence)
