"""Scores of answers in 0..1, each under an exact name with its definition in its docstring.

A score of one answer takes a prediction and a reference; with several references the best score counts
(`best_over_references`). A corpus score takes all answers at once. No two definitions share a name: "BLEU-1" alone is
ambiguous.
"""

from collections.abc import Callable, Sequence
from functools import partial

from . import bleu_libraries
from .bleu import Counts, bleu1_corpus_word_counts, bleu1_of_counts, bleu1_sentence_word
from .bleu_libraries import bleu1_nltk_sentence, missing_libraries
from .bleu_scripts import bleu1_prefix_tuning_char, bleu4_vqamed2019_nltk33, bleu4_vqamed2019_nltk325
from .closed import closed_accuracy, closed_unparseable
from .exact import exact_match
from .multiple_choice import choice_by_loglik, choice_by_loglik_per_char, choice_by_loglik_per_token, parse_choice
from .token_overlap import token_f1, token_precision, token_recall

__all__ = [
    "ANSWER",
    "CLOSED",
    "Counts",
    "answer_metrics",
    "best_over_references",
    "bleu1_corpus_word_counts",
    "bleu1_of_counts",
    "choice_by_loglik",
    "choice_by_loglik_per_char",
    "choice_by_loglik_per_token",
    "corpus_metrics",
    "exact_match",
    "missing_libraries",
    "parse_choice",
    "unavailable_metrics",
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
"""Scores of one answer against one reference, by their names in results."""

CLOSED: dict[str, Metric] = {"closed_accuracy": closed_accuracy, "closed_unparseable": closed_unparseable}
"""Scores of answers to closed questions."""

_BY_NLTK: dict[str, Metric] = {
    "bleu4_vqamed2019_nltk325": bleu4_vqamed2019_nltk325,
    "bleu4_vqamed2019_nltk33": bleu4_vqamed2019_nltk33,
}

ReferencesMetric = Callable[[str, Sequence[str]], float]
"""A score of one answer against all its references."""


def best_over_references(metric: Metric, prediction: str, references: Sequence[str]) -> float:
    """Return the best score over the references."""
    return max(metric(prediction, reference) for reference in references)


def answer_metrics() -> dict[str, ReferencesMetric]:
    """Return the scores of single answers that the installed libraries can compute, each against all references."""
    chosen: dict[str, ReferencesMetric] = {
        name: partial(best_over_references, metric) for name, metric in ANSWER.items()
    }
    if "nltk" not in missing_libraries():
        chosen |= {name: partial(best_over_references, metric) for name, metric in _BY_NLTK.items()}
        chosen["bleu1_nltk_sentence"] = bleu1_nltk_sentence
    return chosen


def corpus_metrics(chinese: bool) -> dict[str, bleu_libraries.CorpusMetric]:
    """Return the corpus scores of installed libraries; the one for Chinese only on request."""
    return {
        name: entry
        for name, entry in bleu_libraries.CORPUS.items()
        if entry[0] not in missing_libraries() and (chinese or not name.endswith("_zh"))
    }


def unavailable_metrics() -> list[str]:
    """List the metrics whose library is not installed."""
    absent = missing_libraries()
    corpus = [name for name, entry in bleu_libraries.CORPUS.items() if entry[0] in absent]
    return sorted([*corpus, *([*_BY_NLTK, "bleu1_nltk_sentence"] if "nltk" in absent else [])])
