"""From probabilities to a decision for each class: where to cut, found on validation and used once on the test."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

HALF = 0.5


def best_f1(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> FloatArray:
    """Give for each class the threshold with the best F1, [K]; an image has the class from the threshold up.

    It lies half-way between two neighbouring probabilities; of equally good ones the highest. A class without
    positives here gets 0.5, and so does one that is best never predicted.

    Args:
        probabilities: [n, K].
        labels: 0 and 1, [n, K].
    """
    scores, truth = np.asarray(probabilities, np.float64), np.asarray(labels, bool)
    return np.array([_one(scores[:, k], truth[:, k]) for k in range(scores.shape[1])])


def _one(scores: FloatArray, truth: BoolArray) -> float:
    positives = int(truth.sum())
    if not positives:
        return HALF
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    last = np.flatnonzero(np.diff(ranked, append=-np.inf))  # equal probabilities are taken together
    f1 = 2 * hits[last] / (last + 1 + positives)
    best = last[int(np.argmax(f1))]
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)


def decide(probabilities: npt.ArrayLike, thresholds: npt.ArrayLike | None) -> BoolArray:
    """Give which classes are predicted, bool [n, K]: from the thresholds up, or the likeliest one without any."""
    scores = np.asarray(probabilities, np.float64)
    if thresholds is not None:
        return np.asarray(scores >= np.asarray(thresholds, np.float64))
    chosen = np.zeros(scores.shape, bool)
    chosen[np.arange(len(scores)), scores.argmax(1)] = True
    return chosen
