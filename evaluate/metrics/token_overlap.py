"""Overlap of words between prediction and gold, order left aside.

As in SQuAD (Rajpurkar et al. 2016, https://aclanthology.org/D16-1264), on the words of `words`; SQuAD's own script also
drops the articles a, an, the. Without words on either side each score is 1, on one side 0.
"""

from collections import Counter

from .normalization import words


def token_recall(prediction: str, gold: str) -> float:
    """Give the share of the gold's words that the prediction has; a word counts as often as it stands in both."""
    return _shared(prediction, gold)[1]


def token_precision(prediction: str, gold: str) -> float:
    """Give the share of the prediction's words that the gold has; a word counts as often as it stands in both."""
    return _shared(prediction, gold)[0]


def token_f1(prediction: str, gold: str) -> float:
    """Give the harmonic mean of `token_precision` and `token_recall`."""
    precision, recall = _shared(prediction, gold)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _shared(prediction: str, gold: str) -> tuple[float, float]:
    said, wanted = words(prediction), words(gold)
    if not said or not wanted:
        return float(said == wanted), float(said == wanted)
    shared = (Counter(said) & Counter(wanted)).total()
    return shared / len(said), shared / len(wanted)
