"""BLEU-1 on words, per sentence and per corpus: the unigram case of Papineni et al. 2002.

https://aclanthology.org/P02-1040. Clipped precision, each word of the prediction counting at most as often as it stands
in a reference, times the brevity penalty.
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
    """What one sample adds to a corpus.

    Attributes:
        clipped: words of the prediction that a reference has.
        total: what that is divided by: the words of the prediction, unless a library has it otherwise.
        said, wanted: words of the prediction and of the closest reference, for the brevity penalty.
    """

    clipped: int
    total: int
    said: int
    wanted: int


def bleu1_sentence_word(prediction: str, gold: str) -> float:
    """Give BLEU-1 of one answer against one reference, on words.

    Words are those of `words.words`. With c words in the prediction and r in the reference: clipped precision, times
    the brevity penalty, which is 1 for c >= r and exp(1 - r / c) below. Without words on either side the score is 1, on
    one side 0. No smoothing: one order has no empty higher ones. Of several references the best one counts.
    """
    said, wanted = words(prediction), words(gold)
    if not said or not wanted:
        return float(said == wanted)
    clipped = (Counter(said) & Counter(wanted)).total()
    return clipped / len(said) * math.exp(min(0.0, 1 - len(wanted) / len(said)))


def bleu1_corpus_word_counts(prediction: str, golds: Sequence[str]) -> Counts:
    """Give what a sample adds to `bleu1_corpus_word`: BLEU-1 of a whole corpus, on words.

    Words are those of `words.words`. Matches and lengths are added up over the samples before they are divided, so that
    long answers weigh more. With several references a word is clipped by the one that has it most often, and the length
    is that of the closest one, the shorter of equally close ones. On the normalised texts sacrebleu gives the same with
    tokenize="none", and NLTK's `corpus_bleu`, which takes an empty prediction for a wrong word, where none is empty.
    """
    return counts(words(prediction), [words(gold) for gold in golds])


def counts(said: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
    """Count a sample from its tokens."""
    allowed = reduce(or_, (Counter(reference) for reference in references))
    closest = min((len(reference) for reference in references), key=lambda length: (abs(length - len(said)), length))
    return Counts((Counter(said) & allowed).total(), len(said), len(said), closest)


def bleu1_of_counts(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give corpus BLEU-1, [...], of added-up `Counts`, [..., 4]; 0 without a match."""
    clipped, total, said, wanted = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    return np.asarray(clipped / np.maximum(total, 1) * np.exp(np.minimum(0.0, 1 - wanted / np.maximum(said, 1))))
