"""Scores of short answers, each with its exact definition in its docstring; all lie in 0..1."""

import math
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence


def normalise(text: str) -> str:
    """Lower the case, strip punctuation, collapse white space.

    Punctuation is ASCII's (`string.punctuation`) and every character of a Unicode category P; it is
    removed, not replaced by a space. A text of nothing but punctuation keeps it, so that `+` and `-`
    stay different answers.
    """
    lower = " ".join(text.lower().split())
    return " ".join("".join(letter for letter in lower if not _is_punctuation(letter)).split()) or lower


def exact_match(prediction: str, gold: str) -> float:
    """Give 1 when the normalised texts are equal, else 0."""
    return float(normalise(prediction) == normalise(gold))


def bleu1_sentence_word(prediction: str, gold: str) -> float:
    """Give BLEU-1 of one answer against one reference, on words.

    The unigram case of Papineni et al. 2002 (https://aclanthology.org/P02-1040) per sentence, not per
    corpus. Words are the normalised text split at white space. With c words in the prediction and r in
    the reference: clipped precision (each word counts at most as often as it stands in the reference,
    divided by c), times the brevity penalty, which is 1 for c >= r and exp(1 - r / c) below. Without
    words on either side the score is 1, on one side 0. No smoothing: one order has no empty higher ones.
    """
    said, wanted = normalise(prediction).split(), normalise(gold).split()
    if not said or not wanted:
        return float(said == wanted)
    clipped = (Counter(said) & Counter(wanted)).total()
    return clipped / len(said) * math.exp(min(0.0, 1 - len(wanted) / len(said)))


METRICS: dict[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "bleu1_sentence_word": bleu1_sentence_word,
}
"""Scores of one prediction against one gold answer, by the names that they bear in results."""


def score(predictions: Sequence[str], golds: Sequence[str]) -> dict[str, float]:
    """Give `n` and the mean of every metric.

    Raises:
        ValueError: there is nothing to score, or the lengths differ.
    """
    if not golds:
        raise ValueError("no answers to score: the mean over an empty set is undefined")
    pairs = list(zip(predictions, golds, strict=True))
    means = {name: math.fsum(metric(*pair) for pair in pairs) / len(pairs) for name, metric in METRICS.items()}
    return {"n": len(pairs), **means}


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")
