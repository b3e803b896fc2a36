"""Overlap of words between prediction and reference, in any order.

As in SQuAD (Rajpurkar et al. 2016, https://aclanthology.org/D16-1264), on the words of `words`; SQuAD's own script also
drops the articles a, an, the. Each score is 1 if both sides have no words, and
0 if only one has none.
"""

from collections import Counter

from .normalization import words


def token_recall(prediction: str, reference: str) -> float:
    """Return the share of the reference's words that the prediction has; a word counts as often as both have it."""
    return _shared(prediction, reference)[1]


def token_precision(prediction: str, reference: str) -> float:
    """Return the share of the prediction's words that the reference has; a word counts as often as both have it."""
    return _shared(prediction, reference)[0]


def token_f1(prediction: str, reference: str) -> float:
    """Return the harmonic mean of `token_precision` and `token_recall`."""
    precision, recall = _shared(prediction, reference)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _shared(prediction: str, reference: str) -> tuple[float, float]:
    predicted, expected = words(prediction), words(reference)
    if not predicted or not expected:
        return float(predicted == expected), float(predicted == expected)
    shared = (Counter(predicted) & Counter(expected)).total()
    return shared / len(predicted), shared / len(expected)
