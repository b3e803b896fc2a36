"""Scores and thresholds of a classifier; scores are functions of sums or weights, as the bootstrap needs.

Equal to scikit-learn's `f1_score` and `roc_auc_score` (compared in the tests), which take milliseconds per call; an
interval takes thousands of calls.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..intervals import FloatArray

BoolArray: TypeAlias = npt.NDArray[np.bool_]

HALF = 0.5


def confusion_counts(predicted: BoolArray, truth: BoolArray) -> FloatArray:
    """Return each sample's true positives, false positives and false negatives of each class, [n, 3K]."""
    counts = [predicted & truth, predicted & ~truth, ~predicted & truth]
    return np.concatenate(counts, axis=1).astype(np.float64)


def f1(sums: FloatArray) -> FloatArray:
    """Return the F1 of each class, [..., K], from sums of `confusion_counts`, [..., 3K].

    2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall (van Rijsbergen 1979). NaN if a class is
    neither present nor predicted.
    """
    hits, false, missed = np.split(np.asarray(sums, np.float64), 3, axis=-1)
    whole = 2 * hits + false + missed
    return np.divide(2 * hits, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def macro_f1(kept: BoolArray) -> Callable[[FloatArray], FloatArray]:
    """Return the statistic: the unweighted mean F1 of the classes in `kept`, [K].

    A class that is neither present nor predicted in a draw is excluded from its mean.
    """

    def statistic(sums: FloatArray) -> FloatArray:
        return _mean(f1(sums)[..., kept])

    return statistic


def mean_over_seeds(statistic: Callable[[FloatArray], FloatArray], seeds: int) -> Callable[[FloatArray], FloatArray]:
    """Return the mean of a statistic over runs with concatenated sums, [..., seeds * M]."""

    def mean(sums: FloatArray) -> FloatArray:
        return np.mean([statistic(part) for part in np.split(sums, seeds, axis=-1)], axis=0)

    return mean


class Auroc:
    """The area under the ROC curve of each class against the others, and its mean, for weighted samples.

    The probability that a positive has a higher score than a negative, ties counting half (Hanley and McNeil
    1982).
    """

    def __init__(self, scores: npt.ArrayLike, truth: BoolArray, kept: BoolArray) -> None:
        """Sort once, so that each call only takes sums.

        Args:
            scores: [n, K].
            truth: [n, K].
            kept: the classes to score, [K].
        """
        values = np.asarray(scores, np.float64)
        self._classes = []
        for k in np.flatnonzero(kept):
            order = np.argsort(values[:, k], kind="stable")
            starts = np.flatnonzero(np.diff(values[order, k], prepend=np.nan))
            self._classes.append((order, starts, truth[order, k]))

    def each(self, weights: npt.ArrayLike) -> FloatArray:
        """Return the area of each scored class, NaN without positives or negatives; `weights` is [n]."""
        weight = np.asarray(weights, np.float64)
        return np.array([_area(weight[order], starts, truth) for order, starts, truth in self._classes])

    def __call__(self, weights: npt.ArrayLike) -> float:
        """Return the unweighted mean of the areas that are defined."""
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
    """List the classes without a positive among these samples: their F1 and AUROC are undefined."""
    return [int(index) for index in np.flatnonzero(~truth.any(axis=0))]


def multi_hot(labels: Sequence[Sequence[int]], classes: int) -> BoolArray:
    """Return the classes of each sample as multi-hot vectors, bool [n, K]."""
    found = np.zeros((len(labels), classes), bool)
    for index, mine in enumerate(labels):
        found[index, list(mine)] = True
    return found


def best_thresholds(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> FloatArray:
    """Return the threshold with the best F1 for each class, [K]; from the threshold up an image has the class.

    It is the midpoint of two neighbouring probabilities; among equally good ones the highest. A class without positives
    gets 0.5, and so does one that is best never predicted.

    Args:
        probabilities: [n, K].
        labels: 0 and 1, [n, K].
    """
    scores, truth = np.asarray(probabilities, np.float64), np.asarray(labels, bool)
    return np.array([_best_threshold(scores[:, k], truth[:, k]) for k in range(scores.shape[1])])


def _best_threshold(scores: FloatArray, truth: BoolArray) -> float:
    positives = int(truth.sum())
    if not positives:
        return HALF
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    last = np.flatnonzero(np.diff(ranked, append=-np.inf))  # ties are taken together
    f1 = 2 * hits[last] / (last + 1 + positives)
    best = last[int(np.argmax(f1))]
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)


def predicted_classes(probabilities: npt.ArrayLike, thresholds: npt.ArrayLike | None) -> BoolArray:
    """Return the predicted classes, bool [n, K]: from the thresholds up, or the most likely one without thresholds."""
    scores = np.asarray(probabilities, np.float64)
    if thresholds is not None:
        return np.asarray(scores >= np.asarray(thresholds, np.float64))
    chosen = np.zeros(scores.shape, bool)
    chosen[np.arange(len(scores)), scores.argmax(1)] = True
    return chosen
