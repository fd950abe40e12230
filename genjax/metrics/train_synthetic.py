"""Train on synthetic rows, test on real ones: what a classifier learns of a generated table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from genjax.metrics.columns import Rows, check_columns


class Scores(NamedTuple):
    """How well a classifier does on real rows."""

    accuracy: float
    f1: float
    """The score of the first class where there are two; the mean over the classes otherwise."""


def target_of(columns: Sequence[Mapping[str, Any]]) -> int | None:
    """The column that is predicted: the last of categories, of at least two and at most fifty; None without one.

    Example:
        >>> target_of([{"kind": "category", "categories": ["a", "b"]}, {"kind": "number"}])
        0
    """
    fit = [i for i, c in enumerate(columns) if c["kind"] == "category" and 2 <= len(c["categories"]) <= 50]
    return fit[-1] if fit else None


def train_test(columns: Sequence[Mapping[str, Any]], train: Rows, test: Rows, target: int, l2: float = 1.0) -> Scores:
    """A logistic regression trained on some rows and tested on others, both without those that lack the target.

    Numbers and one-hot categories are scaled by the median and the quartiles of the training rows; a missing number
    is their mean.

    Args:
        columns: what they are, see `data.columns`.
        train, test: rows to learn from, and rows to judge by.
        target: the place of the column to predict, one of categories.
        l2: half the weight of the squared coefficients, beside the summed cross-entropy.

    Source:
        Esteban, Hyland & Raetsch 2017, Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs
        (train on synthetic, test on real); the classifier is that of SDMetrics' `BinaryLogisticRegression`.
    """
    check_columns(columns, train, test)
    train, test = (Rows(*(a[rows.there[:, target]] for a in rows)) for rows in (train, test))
    y, truth = (rows.x[:, target].astype(int) for rows in (train, test))
    classes = np.unique(y)
    if len(classes) < 2:
        predicted = np.full(len(truth), classes[0] if len(classes) else 0)
    else:
        a, b = _features(columns, train, test, target)
        weights = softmax_regression(a, np.searchsorted(classes, y), len(classes), l2)
        predicted = classes[(np.c_[b, np.ones(len(b))] @ weights).argmax(1)]
    labels = [0] if len(columns[target]["categories"]) == 2 else np.unique(truth)
    return Scores(float((predicted == truth).mean()), float(np.mean([_f1(predicted == k, truth == k) for k in labels])))


def softmax_regression(
    x: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], k: int, l2: float
) -> Float[np.ndarray, "d+1 k"]:
    """Coefficients of the classes, the intercepts last: the minimum of summed cross-entropy and l2 / 2 |w|^2.

    Of two classes the first one's coefficients are 0, as in a logistic regression; intercepts are not penalised.
    """
    from scipy.optimize import minimize

    n, d = x.shape
    free = 1 if k == 2 else k
    with_one, one_hot = np.c_[x, np.ones(n)], np.eye(k)[y]

    def loss(flat: np.ndarray):
        w = _padded(flat.reshape(d + 1, free), k)
        logits = with_one @ w
        log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        grad = (with_one.T @ (np.exp(log_p) - one_hot))[:, k - free :]
        own = w[:-1, k - free :]
        grad[:-1] += l2 * own
        return -(one_hot * log_p).sum() + 0.5 * l2 * (own**2).sum(), grad.ravel()

    start = np.zeros((d + 1) * free)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "maxcor": 30, "gtol": 1e-6})
    return _padded(found.x.reshape(d + 1, free), k)


def _padded(w: np.ndarray, k: int) -> np.ndarray:
    return w if w.shape[1] == k else np.c_[np.zeros(len(w)), w]


def _features(columns: Sequence[Mapping[str, Any]], train: Rows, test: Rows, target: int):
    """Scaled features of both, (n, d) and (m, d)."""
    parts = []
    for i, c in enumerate(columns):
        if i == target or c["kind"] == "empty":
            continue
        if c["kind"] == "category":
            k = np.arange(len(c["categories"]))
            pair = [1.0 * ((r.x[:, i][:, None] == k) & r.there[:, i][:, None]) for r in (train, test)]
        else:
            known = train.x[train.there[:, i], i].astype(np.float64)
            mean = known.mean() if len(known) else 0.0
            pair = [np.where(rows.there[:, i], rows.x[:, i], mean)[:, None] for rows in (train, test)]
        parts.append(pair)
    a, b = (np.concatenate([p[side] for p in parts], 1) for side in (0, 1))
    low, middle, high = np.percentile(a, [25, 50, 75], axis=0)
    scale = np.where(high > low, high - low, 1.0)
    return (a - middle) / scale, (b - middle) / scale


def _f1(predicted: np.ndarray, truth: np.ndarray) -> float:
    hit = (predicted & truth).sum()
    return float(2 * hit / max(predicted.sum() + truth.sum(), 1))
