"""Scores of a classifier, in the forms that intervals over units need: from sums, and under weights.

Equal to scikit-learn's `f1_score` and `roc_auc_score` (held against them in the tests); written anew since those take
some milliseconds a call and an interval takes thousands of calls.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]


def parts(predicted: Bools, truth: Bools) -> Floats:
    """Give what each sample adds to the true positives, false positives and false negatives of each class, [n, 3K]."""
    counts = [predicted & truth, predicted & ~truth, ~predicted & truth]
    return np.concatenate(counts, axis=1).astype(np.float64)


def f1(sums: Floats) -> Floats:
    """Give the F1 of each class, [..., K], from sums of `parts`, [..., 3K].

    2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall (van Rijsbergen 1979). NaN where a class is
    neither there nor predicted.
    """
    hits, false, missed = np.split(np.asarray(sums, np.float64), 3, axis=-1)
    whole = 2 * hits + false + missed
    return np.divide(2 * hits, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def macro_f1(kept: Bools) -> Callable[[Floats], Floats]:
    """Give the statistic: the plain mean of the F1 of the classes in `kept`, [K].

    In a draw a class that is neither there nor predicted is left out of the mean.
    """

    def statistic(sums: Floats) -> Floats:
        return _mean(f1(sums)[..., kept])

    return statistic


def over_seeds(statistic: Callable[[Floats], Floats], seeds: int) -> Callable[[Floats], Floats]:
    """Give the mean of a statistic over runs whose sums stand one after the other, [..., seeds * M]."""

    def mean(sums: Floats) -> Floats:
        return np.mean([statistic(part) for part in np.split(sums, seeds, axis=-1)], axis=0)

    return mean


class Auroc:
    """The area under the ROC curve of each class against the others, and its mean, for samples that weigh differently.

    The chance that a positive gets a higher score than a negative, equal scores counting half (Hanley and McNeil
    1982).
    """

    def __init__(self, scores: npt.ArrayLike, truth: Bools, kept: Bools) -> None:
        """Sort once, so that each call is a few sums.

        Args:
            scores: [n, K].
            truth: [n, K].
            kept: the classes that count, [K].
        """
        values = np.asarray(scores, np.float64)
        self._classes = []
        for k in np.flatnonzero(kept):
            order = np.argsort(values[:, k], kind="stable")
            starts = np.flatnonzero(np.diff(values[order, k], prepend=np.nan))
            self._classes.append((order, starts, truth[order, k]))

    def each(self, weights: npt.ArrayLike) -> Floats:
        """Give the area of each class that counts, NaN where it lacks positives or negatives; `weights` is [n]."""
        weight = np.asarray(weights, np.float64)
        return np.array([_area(weight[order], starts, truth) for order, starts, truth in self._classes])

    def __call__(self, weights: npt.ArrayLike) -> float:
        """Give the plain mean of the areas; classes without one are left out."""
        return float(_mean(self.each(weights)))


def _area(weight: Floats, starts: npt.NDArray[np.intp], truth: Bools) -> float:
    positive = np.add.reduceat(weight * truth, starts)
    negative = np.add.reduceat(weight * ~truth, starts)
    whole = positive.sum() * negative.sum()
    if not whole:
        return float("nan")
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / whole)


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    count = known.sum(-1)
    total = np.where(known, values, 0).sum(-1)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def accuracy(sums: Floats) -> Floats:
    """Give the share of the samples whose one class is predicted, from sums of `parts` of single-label samples."""
    hits, _, missed = np.split(np.asarray(sums, np.float64), 3, axis=-1)
    return np.asarray(hits.sum(-1) / (hits + missed).sum(-1))


def left_out(truth: Bools) -> list[int]:
    """Give the classes without a positive among these samples: their F1 and AUROC mean nothing here."""
    return [int(place) for place in np.flatnonzero(~truth.any(axis=0))]


def indicators(labels: Sequence[Sequence[int]], classes: int) -> Bools:
    """Give which classes each sample has, bool [n, K]."""
    found = np.zeros((len(labels), classes), bool)
    for place, mine in enumerate(labels):
        found[place, list(mine)] = True
    return found
