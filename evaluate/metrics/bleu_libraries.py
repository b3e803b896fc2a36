"""BLEU-1 computed by libraries (`pip install 'medmix[eval]'`).

Each is called as its own page shows, on lower-cased text, with all right answers as references; punctuation stays, and
each has its own words. All give 0..1, whatever the scale of the library.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from .bleu import Counts, counts


def bleu1_nltk_sentence(prediction: str, references: Sequence[str]) -> float:
    """Return `nltk.translate.bleu_score.sentence_bleu` with weights (1,), words split at white space.

    An empty prediction scores 0, also against an empty reference.
    """
    from nltk.translate.bleu_score import sentence_bleu

    return float(sentence_bleu([_split(reference) for reference in references], _split(prediction), weights=(1.0,)))


def bleu1_nltk_corpus(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return `nltk.translate.bleu_score.corpus_bleu` with weights (1,), words split at white space."""
    from nltk.translate.bleu_score import corpus_bleu

    tokens = [[_split(reference) for reference in some] for some in references]
    return float(corpus_bleu(tokens, [_split(prediction) for prediction in predictions], weights=(1.0,)))


def bleu1_torchmetrics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return `torchmetrics.functional.text.bleu_score` with n_gram=1, in its single precision."""
    from torchmetrics.functional.text import bleu_score

    lower = [[reference.lower() for reference in some] for some in references]
    return float(bleu_score([prediction.lower() for prediction in predictions], lower, n_gram=1))


def bleu1_sacrebleu(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return corpus BLEU of `sacrebleu` with max_ngram_order=1, lowercase=True and its tokenizer 13a, over 100."""
    return _sacrebleu(predictions, references, "13a")


def bleu1_sacrebleu_zh(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return corpus BLEU of `sacrebleu` as `bleu1_sacrebleu`, but with tokenizer zh: each Chinese character a word."""
    return _sacrebleu(predictions, references, "zh")


def _sacrebleu(predictions: Sequence[str], references: Sequence[Sequence[str]], tokenizer: str) -> float:
    # sacrebleu wants a list for each index among the references; samples with fewer of them have None there
    width = max(len(some) for some in references)
    padded = [[*some, *[None] * (width - len(some))] for some in references]
    references = [list(column) for column in zip(*padded, strict=True)]
    return float(_scorer(tokenizer).corpus_score(list(predictions), references).score) / 100


def _nltk_counts(prediction: str, references: Sequence[str]) -> Counts:
    """Count as NLTK does: an empty prediction is divided by 1."""
    found = counts(_split(prediction), [_split(reference) for reference in references])
    return found._replace(total=max(1, found.total))


def _torchmetrics_counts(prediction: str, references: Sequence[str]) -> Counts:
    """Count as torchmetrics does: of equally close references the first one gives the length."""
    predicted, tokens = _split(prediction), [_split(reference) for reference in references]
    closest = min((len(reference) for reference in tokens), key=lambda length: abs(length - len(predicted)))
    return counts(predicted, tokens)._replace(reference_length=closest)


def _sacrebleu_counts(tokenizer: str, prediction: str, references: Sequence[str]) -> Counts:
    score = _scorer(tokenizer).corpus_score([prediction], [[reference] for reference in references])
    return Counts(int(score.counts[0]), int(score.totals[0]), int(score.sys_len), int(score.ref_len))


@cache
def _scorer(tokenizer: str) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(max_ngram_order=1, lowercase=True, tokenize=tokenizer, force=True)  # without its advice on stderr


def _split(text: str) -> list[str]:
    return text.lower().split()


CorpusMetric = tuple[
    str, Callable[[Sequence[str], Sequence[Sequence[str]]], float], Callable[[str, Sequence[str]], Counts]
]
"""The library, its score of a corpus, and what one sample adds to it, by which draws of samples are scored."""

CORPUS: dict[str, CorpusMetric] = {
    "bleu1_nltk_corpus": ("nltk", bleu1_nltk_corpus, _nltk_counts),
    "bleu1_torchmetrics": ("torchmetrics", bleu1_torchmetrics, _torchmetrics_counts),
    "bleu1_sacrebleu": (
        "sacrebleu",
        bleu1_sacrebleu,
        lambda prediction, references: _sacrebleu_counts("13a", prediction, references),
    ),
    "bleu1_sacrebleu_zh": (
        "sacrebleu",
        bleu1_sacrebleu_zh,
        lambda prediction, references: _sacrebleu_counts("zh", prediction, references),
    ),
}
"""Scores of a corpus by libraries, by the names that they bear in results."""


@cache
def missing_libraries() -> tuple[str, ...]:
    """Name the libraries that are not installed; the metrics that need them are left out."""
    return tuple(name for name in ("nltk", "sacrebleu", "torchmetrics") if find_spec(name) is None)
