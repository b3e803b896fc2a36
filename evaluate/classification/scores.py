"""Scores of a classifier, in the forms that intervals over units need: from sums, and under weights.

Equal to scikit-learn's `f1_score` and `roc_auc_score` (held against them in the tests); written anew since those take
some milliseconds a call and an interval takes thousands of calls.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


def confusion_counts(predicted: BoolArray, truth: BoolArray) -> FloatArray:
    """Give what each sample adds to the true positives, false positives and false negatives of each class, [n, 3K]."""
    counts = [predicted & truth, predicted & ~truth, ~predicted & truth]
    return np.concatenate(counts, axis=1).astype(np.float64)


def f1(sums: FloatArray) -> FloatArray:
    """Give the F1 of each class, [..., K], from sums of `confusion_counts`, [..., 3K].

    2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall (van Rijsbergen 1979). NaN where a class is
    neither there nor predicted.
    """
    hits, false, missed = np.split(np.asarray(sums, np.float64), 3, axis=-1)
    whole = 2 * hits + false + missed
    return np.divide(2 * hits, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def macro_f1(kept: BoolArray) -> Callable[[FloatArray], FloatArray]:
    """Give the statistic: the plain mean of the F1 of the classes in `kept`, [K].

    In a draw a class that is neither there nor predicted is left out of the mean.
    """

    def statistic(sums: FloatArray) -> FloatArray:
        return _mean(f1(sums)[..., kept])

    return statistic


def mean_over_seeds(statistic: Callable[[FloatArray], FloatArray], seeds: int) -> Callable[[FloatArray], FloatArray]:
    """Give the mean of a statistic over runs whose sums stand one after the other, [..., seeds * M]."""

    def mean(sums: FloatArray) -> FloatArray:
        return np.mean([statistic(part) for part in np.split(sums, seeds, axis=-1)], axis=0)

    return mean


class Auroc:
    """The area under the ROC curve of each class against the others, and its mean, for samples that weigh differently.

    The chance that a positive gets a higher score than a negative, equal scores counting half (Hanley and McNeil
    1982).
    """

    def __init__(self, scores: npt.ArrayLike, truth: BoolArray, kept: BoolArray) -> None:
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

    def each(self, weights: npt.ArrayLike) -> FloatArray:
        """Give the area of each class that counts, NaN where it lacks positives or negatives; `weights` is [n]."""
        weight = np.asarray(weights, np.float64)
        return np.array([_area(weight[order], starts, truth) for order, starts, truth in self._classes])

    def __call__(self, weights: npt.ArrayLike) -> float:
        """Give the plain mean of the areas; classes without one are left out."""
        return float(_mean(self.each(weights)))


def _area(weight: FloatArray, starts: npt.NDArray[np.intp], truth: BoolArray) -> float:
    positive = np.add.reduceat(weight * truth, starts)
    negative = np.add.reduceat(weight * ~truth, starts)
    whole = positive.sum() * negative.sum()
    if not whole:
        return float("nan")
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / whole)


def _mean(values: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    count = known.sum(-1)
    total = np.where(known, values, 0).sum(-1)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def accuracy(sums: FloatArray) -> FloatArray:
    """Return the accuracy of single-label samples, from sums of `confusion_counts`."""
    hits, _, missed = np.split(np.asarray(sums, np.float64), 3, axis=-1)
    return np.asarray(hits.sum(-1) / (hits + missed).sum(-1))


def classes_without_positives(truth: BoolArray) -> list[int]:
    """Give the classes without a positive among these samples: their F1 and AUROC mean nothing here."""
    return [int(place) for place in np.flatnonzero(~truth.any(axis=0))]


def multi_hot(labels: Sequence[Sequence[int]], classes: int) -> BoolArray:
    """Give which classes each sample has, bool [n, K]."""
    found = np.zeros((len(labels), classes), bool)
    for place, mine in enumerate(labels):
        found[place, list(mine)] = True
    return found
