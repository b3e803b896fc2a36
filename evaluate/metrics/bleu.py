"""BLEU-1 on words, per sentence and per corpus: the unigram case of Papineni et al. 2002.

https://aclanthology.org/P02-1040. Clipped precision times the brevity penalty: each word of the prediction counts at
most as often as a reference has it.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .normalization import words


class Counts(NamedTuple):
    """What one sample adds to a corpus score.

    Attributes:
        clipped: words of the prediction that a reference has.
        total: the divisor: the words of the prediction, unless a library differs.
        prediction_length, reference_length: words of the prediction and of the closest reference, for the brevity
            penalty.
    """

    clipped: int
    total: int
    prediction_length: int
    reference_length: int


def bleu1_sentence_word(prediction: str, reference: str) -> float:
    """Return BLEU-1 of one answer against one reference, on words.

    Words are those of `normalization.words`. With c words in the prediction and r in the reference: clipped precision,
    times the brevity penalty, which is 1 for c >= r and exp(1 - r / c) below. The score is 1 if both sides have no
    words, and 0 if only one has none. No smoothing: one order has no empty higher ones. With several references the
    best one counts.
    """
    predicted, expected = words(prediction), words(reference)
    if not predicted or not expected:
        return float(predicted == expected)
    clipped = (Counter(predicted) & Counter(expected)).total()
    return clipped / len(predicted) * math.exp(min(0.0, 1 - len(expected) / len(predicted)))


def bleu1_corpus_word_counts(prediction: str, references: Sequence[str]) -> Counts:
    """Return the counts of a sample for `bleu1_corpus_word`: BLEU-1 of a whole corpus, on words.

    Words are those of `normalization.words`. Matches and lengths are added up over the samples before they are divided,
    so that long answers weigh more. With several references a word is clipped by the one that has it most often, and
    the length is that of the closest one, the shorter of equally close ones. On the normalised texts sacrebleu gives
    the same with tokenize="none", and NLTK's `corpus_bleu`, which takes an empty prediction for a wrong word, where
    none is empty.
    """
    return counts(words(prediction), [words(reference) for reference in references])


def counts(prediction: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
    """Count a sample from its tokens."""
    allowed = reduce(or_, (Counter(reference) for reference in references))
    closest = min(
        (len(reference) for reference in references), key=lambda length: (abs(length - len(prediction)), length)
    )
    return Counts((Counter(prediction) & allowed).total(), len(prediction), len(prediction), closest)


def bleu1_of_counts(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return corpus BLEU-1, [...], of summed `Counts`, [..., 4]; 0 without a match."""
    clipped, total, predicted, expected = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    return np.asarray(clipped / np.maximum(total, 1) * np.exp(np.minimum(0.0, 1 - expected / np.maximum(predicted, 1))))
