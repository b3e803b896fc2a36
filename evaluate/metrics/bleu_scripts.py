"""BLEU as published scripts compute it, only for comparison with the numbers that they gave.

Both score perfect answers below 1.
"""

import math
import string
import warnings
from collections import Counter
from fractions import Fraction
from functools import cache
from typing import Any

_WORDS = """
a about above after again against ain all am an and any are aren as at be because been before being below between
both but by can couldn d did didn do does doesn doing don down during each few for from further had hadn has hasn
have haven having he her here hers herself him himself his how i if in into is isn it its itself just ll m ma me
mightn more most mustn my myself needn no nor not now o of off on once only or other our ours ourselves out over own
re s same shan she should shouldn so some such t than that the their theirs them themselves then there these they
this those through to too under until up ve very was wasn we were weren what when where which while who whom why
will with won wouldn y you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_WORDS.split())
"""The English stop words of NLTK's data as of 2019, without those that have an apostrophe, which is gone by then.

`no` and `not` are among them.
"""

ORDERS = 4


def bleu4_vqamed2019_nltk33(prediction: str, reference: str) -> float:
    """Return the BLEU of the ImageCLEF VQA-Med 2019 evaluator, run with NLTK 3.3 or newer.

    Lower case; ASCII punctuation removed; `nltk.word_tokenize`; English stop words removed; Snowball stems;
    `sentence_bleu` with its default weights of a quarter for each order up to 4, without smoothing. 1 when nothing is
    left on both sides, so that `no` and `not` are the same answer. From NLTK 3.3 on an order without a match makes the
    score nearly 0, also for a perfect answer of fewer than four words. The evaluator knew one right answer a question.
    """
    from nltk.translate.bleu_score import sentence_bleu

    predicted, expected = _stems(prediction), _stems(reference)
    if not predicted and not expected:
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of orders without a match
        return float(sentence_bleu([expected], predicted))


def bleu4_vqamed2019_nltk325(prediction: str, reference: str) -> float:
    """Return the BLEU of the ImageCLEF VQA-Med 2019 evaluator, run with NLTK up to 3.2.5, as for the 2019 leaderboard.

    As `bleu4_vqamed2019_nltk33`, but the orders from the first one without a match on are left out, the weights of the
    others staying a quarter each (`SmoothingFunction.method0` of NLTK 3.2.5).
    """
    predicted, expected = _stems(prediction), _stems(reference)
    if not predicted and not expected:
        return 1.0
    total = 0.0
    for order in range(1, ORDERS + 1):
        precision = _precision(predicted, expected, order)
        if not precision:
            break
        total += math.log(precision) / ORDERS
    else:
        order = ORDERS + 1
    if order == 1:
        return 0.0
    return math.exp(min(0.0, 1 - len(expected) / len(predicted))) * math.exp(total)


def bleu1_prefix_tuning_char(prediction: str, reference: str) -> float:
    """Return the "BLEU-1" of the script behind prefix tuning's numbers (van Sonsbeek et al. 2023, arXiv 2303.05977).

    Its `predict.py` calls NLTK's `sentence_bleu(reference, candidate, weights=(1, 0, 0, 0))` on two strings. NLTK takes
    every character of the gold answer for a reference of one token, and every character of the prediction for a token.
    So a character of the prediction counts once at most, if the gold answer has it anywhere. There is no brevity
    penalty; case and punctuation count; `no` is perfect for `nodule`, and perfect answers on PathVQA score 0.867.
    Empty predictions or references score 0.
    """
    return len(set(prediction) & set(reference)) / len(prediction) if prediction else 0.0


def _precision(predicted: list[str], expected: list[str], order: int) -> Fraction:
    found, allowed = _ngrams(predicted, order), _ngrams(expected, order)
    return Fraction((found & allowed).total(), max(1, found.total()))


def _ngrams(words: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[index : index + order]) for index in range(len(words) - order + 1))


def _stems(text: str) -> list[str]:
    from nltk.tokenize import word_tokenize

    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    words = word_tokenize(bare, preserve_line=True)  # no mark that ends a sentence is left
    return [_stemmer().stem(word) for word in words if word not in STOP_WORDS]


@cache
def _stemmer() -> Any:
    from nltk.stem.snowball import SnowballStemmer

    return SnowballStemmer("english")
