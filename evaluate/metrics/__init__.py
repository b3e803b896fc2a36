"""Scores of answers, each under an exact name with its definition in its docstring; all lie in 0..1.

A score of one answer takes prediction and gold; of several right answers the best score counts (`best`). A score of a
corpus takes all of them at once. No two definitions share a name: "BLEU-1" alone says nothing.
"""

from collections.abc import Callable, Sequence
from functools import partial

from . import bleu, bleu_libraries, bleu_scripts
from .bleu import Counts, bleu1_corpus_word_counts, bleu1_of_counts, bleu1_sentence_word
from .bleu_libraries import bleu1_nltk_sentence, missing_libraries
from .bleu_scripts import bleu1_prefix_tuning_char, bleu4_vqamed2019_nltk33, bleu4_vqamed2019_nltk325
from .closed import closed_accuracy, closed_unparseable, label_of, parse_closed
from .exact import exact_match
from .multiple_choice import choice_by_loglik, choice_by_loglik_per_char, choice_by_loglik_per_token, parse_choice
from .normalization import normalise, words
from .token_overlap import token_f1, token_precision, token_recall

__all__ = [
    "ANSWER",
    "CLOSED",
    "Counts",
    "best",
    "bleu",
    "bleu1_corpus_word_counts",
    "bleu1_nltk_sentence",
    "bleu1_of_counts",
    "bleu1_prefix_tuning_char",
    "bleu1_sentence_word",
    "bleu4_vqamed2019_nltk33",
    "bleu4_vqamed2019_nltk325",
    "bleu_libraries",
    "bleu_scripts",
    "choice_by_loglik",
    "choice_by_loglik_per_char",
    "choice_by_loglik_per_token",
    "closed_accuracy",
    "closed_unparseable",
    "corpus_metrics",
    "exact_match",
    "label_of",
    "left_out",
    "normalise",
    "of_each",
    "parse_choice",
    "parse_closed",
    "token_f1",
    "token_precision",
    "token_recall",
    "words",
]

Metric = Callable[[str, str], float]

ANSWER: dict[str, Metric] = {
    "exact_match": exact_match,
    "bleu1_sentence_word": bleu1_sentence_word,
    "token_f1": token_f1,
    "token_recall": token_recall,
    "token_precision": token_precision,
    "bleu1_prefix_tuning_char": bleu1_prefix_tuning_char,
}
"""Scores of one answer against one gold answer, by the names that they bear in results."""

CLOSED: dict[str, Metric] = {"closed_accuracy": closed_accuracy, "closed_unparseable": closed_unparseable}
"""Scores of answers to closed questions."""

_BY_NLTK: dict[str, Metric] = {
    "bleu4_vqamed2019_nltk325": bleu4_vqamed2019_nltk325,
    "bleu4_vqamed2019_nltk33": bleu4_vqamed2019_nltk33,
}

OfAll = Callable[[str, Sequence[str]], float]
"""A score of one answer against all its right answers."""


def best(metric: Metric, prediction: str, golds: Sequence[str]) -> float:
    """Give the best score over the right answers."""
    return max(metric(prediction, gold) for gold in golds)


def of_each() -> dict[str, OfAll]:
    """Give the scores of single answers that the installed libraries allow, each against all right answers."""
    chosen: dict[str, OfAll] = {name: partial(best, metric) for name, metric in ANSWER.items()}
    if "nltk" not in missing_libraries():
        chosen |= {name: partial(best, metric) for name, metric in _BY_NLTK.items()}
        chosen["bleu1_nltk_sentence"] = bleu1_nltk_sentence
    return chosen


def corpus_metrics(chinese: bool) -> dict[str, bleu_libraries.CorpusMetric]:
    """Give the scores of a corpus by libraries that are installed; the one for Chinese only where it is asked for."""
    return {
        name: entry
        for name, entry in bleu_libraries.CORPUS.items()
        if entry[0] not in missing_libraries() and (chinese or not name.endswith("_zh"))
    }


def left_out() -> list[str]:
    """Name the metrics that are not computed because their library is not installed."""
    absent = missing_libraries()
    corpus = [name for name, entry in bleu_libraries.CORPUS.items() if entry[0] in absent]
    return sorted([*corpus, *([*_BY_NLTK, "bleu1_nltk_sentence"] if "nltk" in absent else [])])
