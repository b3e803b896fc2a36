"""Scores by sample, from predictions, so that two models are compared on the same samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from medmix.curate.errors import UsageError

from .. import intervals, metrics
from ..classification.scores import confusion_counts, macro_f1, mean_over_seeds, multi_hot
from ..intervals import Difference, FloatArray, Statistic
from .results import REMEDY, Prediction, Result, Row

SHORT_ANSWER = ("bleu1_sentence_word", "exact_match", "token_f1")
CLOSED = ("closed_accuracy",)
CHOICES = ("choice_accuracy_loglik", "choice_accuracy_generated")
CLASSES = ("macro_f1",)
COMPARED = (*SHORT_ANSWER, *CLOSED, *CHOICES, *CLASSES)
"""The metrics with paired tests, in the order of the tables."""


class Key(NamedTuple):
    """The name of a score of one model."""

    benchmark: str
    subset: str
    metric: str

    @classmethod
    def of(cls, row: Row) -> "Key":
        """Return the key of a row of scores."""
        return cls(row["benchmark"], row["subset"], row["metric"])


@dataclass(frozen=True, slots=True)
class SampleScores:
    """One score of one model, by sample.

    Attributes:
        ids: of the samples, n.
        groups: units of resampling, n.
        references: the right answer of each sample; two models are compared only if they are equal.
        summands: what each sample adds to the sums, [n, K].
        statistic: from the sums, [..., K], to the score, [...].
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    references: tuple[Any, ...]
    summands: FloatArray
    statistic: Statistic

    @property
    def value(self) -> float:
        """The score."""
        return float(self.statistic(self.summands.sum(axis=0)))

    def is_of_same_samples(self, other: "SampleScores") -> bool:
        """Return whether samples and references are equal."""
        return (self.ids, self.references) == (other.ids, other.references)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The difference of two models on their common samples; `n_unpaired` samples are of only one of them."""

    difference: Difference
    n_unpaired: int


def scores_by_sample(result: Result) -> dict[Key, SampleScores]:
    """Return the scores of a model that are in `COMPARED`, each checked against the predictions.

    Raises:
        UsageError: the predictions do not give a score of the file.
    """
    by_benchmark: dict[str, list[Prediction]] = {}
    for prediction in result.predictions:
        by_benchmark.setdefault(prediction["benchmark"], []).append(prediction)
    found = {}
    for row in result.scores:
        if row["system"] != "model" or row["metric"] not in COMPARED or row["value"] is None:
            continue
        if result.suite == "classification" and row["seed"] is not None:
            continue  # only the mean over seeds is compared
        key = Key.of(row)
        predictions = by_benchmark[row["benchmark"]]
        try:
            if result.suite == "answers":
                scores = _answer_scores(predictions, key)
            else:
                scores = _class_scores(predictions, result.protocol["datasets"][row["benchmark"]])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UsageError(
                f"{result.path}: its predictions on {row['benchmark']} cannot be scored ({error!r}); {REMEDY}"
            ) from None
        if abs(scores.value - row["value"]) > 1e-9:
            raise UsageError(
                f"{result.path}: its predictions give {scores.value:.6f} for {' '.join(key)}, the file has "
                f"{row['value']:.6f}; one of the two was changed: {REMEDY}"
            )
        found[key] = scores
    return found


def mean_over_datasets(scores: Sequence[SampleScores]) -> SampleScores:
    """Return the unweighted mean of scores of different benchmarks; draws are from all their groups at once."""
    ends = np.cumsum([mine.summands.shape[1] for mine in scores])
    slices = [slice(end - mine.summands.shape[1], end) for end, mine in zip(ends, scores, strict=True)]
    blocks = []
    for columns, mine in zip(slices, scores, strict=True):
        block = np.zeros((len(mine.ids), ends[-1]))
        block[:, columns] = mine.summands
        blocks.append(block)

    def mean(sums: FloatArray) -> FloatArray:
        each = [mine.statistic(sums[..., columns]) for mine, columns in zip(scores, slices, strict=True)]
        return np.asarray(np.mean(each, axis=0))

    return SampleScores(
        ids=tuple(f"{number}/{name}" for number, mine in enumerate(scores) for name in mine.ids),
        groups=tuple(f"{number}/{name}" for number, mine in enumerate(scores) for name in mine.groups),
        references=tuple(reference for mine in scores for reference in mine.references),
        summands=np.concatenate(blocks),
        statistic=mean,
    )


def mean_over_runs(scores: Sequence[SampleScores]) -> SampleScores:
    """Return the mean score of several runs on the same samples.

    Raises:
        ValueError: their samples differ.
    """
    first = scores[0]
    if not all(first.is_of_same_samples(other) for other in scores):
        raise ValueError("runs on different samples have no mean by sample")
    joined = np.concatenate([mine.summands for mine in scores], axis=1)
    return SampleScores(
        first.ids, first.groups, first.references, joined, mean_over_seeds(first.statistic, len(scores))
    )


def compare(first: SampleScores, second: SampleScores) -> PairedDifference | None:
    """Compare two models on their common samples (`intervals.paired_difference_of_sums`).

    None if they have no common samples, different references, or different summands.
    """
    index_of = {name: index for index, name in enumerate(second.ids)}
    mine = [index for index, name in enumerate(first.ids) if name in index_of]
    theirs = [index_of[first.ids[index]] for index in mine]
    if not mine or first.summands.shape[1] != second.summands.shape[1]:
        return None
    if any(first.references[one] != second.references[other] for one, other in zip(mine, theirs, strict=True)):
        return None
    groups = [first.groups[index] for index in mine]
    found = intervals.paired_difference_of_sums(first.summands[mine], second.summands[theirs], groups, first.statistic)
    return PairedDifference(found, len(first.ids) + len(second.ids) - 2 * len(mine))


def _answer_scores(predictions: Sequence[Prediction], key: Key) -> SampleScores:
    """Score the answers of one subset by one metric; the score is a mean."""
    has_options = key.metric in CHOICES
    mine = [
        line for line in predictions if key.subset in line["subsets"] and (line["correct"] is not None) == has_options
    ]
    mine.sort(key=_id)
    score = _choice_score if has_options else _text_score
    scores = np.array([score(key.metric, line) for line in mine], np.float64)
    return SampleScores(
        ids=tuple(line["id"] for line in mine),
        groups=tuple(line["group"] for line in mine),
        references=tuple((tuple(line["references"]), tuple(line["choices"]), line["correct"]) for line in mine),
        summands=np.stack([scores, np.ones(len(mine))], axis=1),
        statistic=_mean,
    )


def _id(line: Prediction) -> str:
    return str(line["id"])


def _text_score(metric: str, line: Prediction) -> float:
    return _cached_score(metric, line["prediction"], tuple(line["references"]))


@lru_cache(maxsize=200_000)  # few distinct answers and predictions make up most of a benchmark
def _cached_score(metric: str, prediction: str, references: tuple[str, ...]) -> float:
    table: Mapping[str, Callable[[str, str], Any]] = metrics.ANSWER | metrics.CLOSED
    return float(metrics.best_over_references(table[metric], prediction, references))


def _choice_score(metric: str, line: Prediction) -> float:
    if metric == "choice_accuracy_loglik":
        return float(metrics.choice_by_loglik(line["loglik"]) == line["correct"])
    return float(metrics.parse_choice(line["prediction"], line["choices"]) == line["correct"])


def _mean(sums: FloatArray) -> FloatArray:
    """Return the mean; NaN for a draw without samples."""
    count = sums[..., 1]
    return np.divide(sums[..., 0], count, out=np.full(np.shape(count), np.nan), where=count > 0)


def _class_scores(predictions: Sequence[Prediction], info: Mapping[str, Any]) -> SampleScores:
    """Return the macro-F1 of a dataset by sample, with the summands of all its seeds."""
    numbers = {name: number for number, name in enumerate(info["classes"])}
    scored_classes = np.array([name not in info["excluded_classes"] for name in numbers])
    by_seed: dict[int, list[Prediction]] = {}
    for line in sorted(predictions, key=_id):
        by_seed.setdefault(line["seed"], []).append(line)

    def labels(mine: Sequence[Prediction], column: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return multi_hot([[numbers[name] for name in line[column]] for line in mine], len(numbers))

    first = next(iter(by_seed.values()))
    ids = tuple(line["id"] for line in first)
    if any(tuple(line["id"] for line in mine) != ids for mine in by_seed.values()):
        raise ValueError("its seeds are not of the same images")
    counts = [confusion_counts(labels(mine, "predicted"), labels(mine, "labels")) for mine in by_seed.values()]
    return SampleScores(
        ids=ids,
        groups=tuple(line["group"] for line in first),
        references=tuple(tuple(line["labels"]) for line in first),
        summands=np.concatenate(counts, axis=1),
        statistic=mean_over_seeds(macro_f1(scored_classes), len(counts)),
    )
