"""A score taken apart into what each sample adds to it, so that two models can be compared on the same samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from medmix.curate.errors import UsageError

from .. import intervals, metrics
from ..classification.scores import indicators, macro_f1, over_seeds, parts
from ..intervals import Difference, Floats, Statistic
from .results import AGAIN, Line, Result, Row

WORDS = ("bleu1_sentence_word", "exact_match", "token_f1")
CLOSED = ("closed_accuracy",)
CHOICES = ("choice_accuracy_loglik", "choice_accuracy_generated")
CLASSES = ("macro_f1",)
COMPARED = (*WORDS, *CLOSED, *CHOICES, *CLASSES)
"""The metrics that are compared by pairs, in the order of the tables."""

Key = tuple[str, str, str]
"""Benchmark, subset, metric."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One score of one model, by samples.

    Attributes:
        ids: of the samples, n.
        groups: what intervals draw, n.
        right: what is right of each sample; two models are compared only where it is the same.
        parts: what each sample adds to the sums, [n, K].
        statistic: from the sums, [..., K], to the score, [...].
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    right: tuple[Any, ...]
    parts: Floats
    statistic: Statistic

    @property
    def value(self) -> float:
        """The score."""
        return float(self.statistic(self.parts.sum(axis=0)))


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference of two models on the samples that both have; `alone` is how many only one of them has."""

    difference: Difference
    alone: int


def of_result(result: Result) -> dict[Key, Measure]:
    """Take the scores of a model apart that are in `COMPARED`, checking each by its predictions.

    Raises:
        UsageError: the predictions do not give a score that stands in the file.
    """
    by_benchmark: dict[str, list[Line]] = {}
    for line in result.lines:
        by_benchmark.setdefault(line["benchmark"], []).append(line)
    found = {}
    for row in result.scores:
        if row["system"] != "model" or row["metric"] not in COMPARED or row["value"] is None:
            continue
        if result.suite == "classification" and row["seed"] is not None:
            continue  # the mean over seeds stands apart
        key = row["benchmark"], row["subset"], row["metric"]
        lines = by_benchmark[row["benchmark"]]
        try:
            measure = _of_answers(lines, row) if result.suite == "vqa" else _of_classes(lines, row, result.protocol)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UsageError(
                f"{result.path}: its predictions on {row['benchmark']} cannot be scored ({error!r}); {AGAIN}"
            ) from None
        if abs(measure.value - row["value"]) > 1e-9:
            raise UsageError(
                f"{result.path}: its predictions give {measure.value:.6f} for {' '.join(key)}, the file says "
                f"{row['value']:.6f}; one of the two was changed: {AGAIN}"
            )
        found[key] = measure
    return found


def united(measures: Sequence[Measure]) -> Measure:
    """Give the plain mean of scores of different benchmarks; draws are from the groups of all of them at once."""
    width = sum(measure.parts.shape[1] for measure in measures)
    ends = np.cumsum([measure.parts.shape[1] for measure in measures])
    slices = [slice(end - measure.parts.shape[1], end) for end, measure in zip(ends, measures, strict=True)]
    blocks = []
    for part, measure in zip(slices, measures, strict=True):
        block = np.zeros((len(measure.ids), width))
        block[:, part] = measure.parts
        blocks.append(block)
    statistics = [measure.statistic for measure in measures]

    def mean(sums: Floats) -> Floats:
        each = [statistic(sums[..., part]) for statistic, part in zip(statistics, slices, strict=True)]
        return np.asarray(np.mean(each, axis=0))

    tagged = [(place, measure) for place, measure in enumerate(measures)]
    return Measure(
        ids=tuple(f"{place}/{name}" for place, measure in tagged for name in measure.ids),
        groups=tuple(f"{place}/{name}" for place, measure in tagged for name in measure.groups),
        right=tuple(right for measure in measures for right in measure.right),
        parts=np.concatenate(blocks),
        statistic=mean,
    )


def over_runs(measures: Sequence[Measure]) -> Measure:
    """Give the mean score of several runs on the same samples, as one measure.

    Raises:
        ValueError: their samples differ.
    """
    first = measures[0]
    if any((other.ids, other.right) != (first.ids, first.right) for other in measures):
        raise ValueError("runs on different samples have no mean by samples")
    joined = np.concatenate([measure.parts for measure in measures], axis=1)
    return Measure(first.ids, first.groups, first.right, joined, over_seeds(first.statistic, len(measures)))


def compare(first: Measure, second: Measure) -> Paired | None:
    """Compare two models on the samples that both have (`intervals.difference_of_sums`).

    None where they have none in common, or another answer is right for one, or what is summed up differs.
    """
    places = {name: place for place, name in enumerate(second.ids)}
    mine = [place for place, name in enumerate(first.ids) if name in places]
    theirs = [places[first.ids[place]] for place in mine]
    if not mine or first.parts.shape[1] != second.parts.shape[1]:
        return None
    if any(first.right[one] != second.right[other] for one, other in zip(mine, theirs, strict=True)):
        return None
    groups = [first.groups[place] for place in mine]
    found = intervals.difference_of_sums(first.parts[mine], second.parts[theirs], groups, first.statistic)
    return Paired(found, len(first.ids) + len(second.ids) - 2 * len(mine))


def _of_answers(lines: Sequence[Line], row: Row) -> Measure:
    """Score the answers of one subset by one metric; the score is a mean."""
    options = row["metric"] in CHOICES
    mine = [line for line in lines if row["subset"] in line["subsets"] and (line["correct"] is not None) == options]
    mine.sort(key=_id)
    score = _choice if options else _answer
    scores = np.array([score(row["metric"], line) for line in mine], np.float64)
    return Measure(
        ids=tuple(line["id"] for line in mine),
        groups=tuple(line["group"] for line in mine),
        right=tuple((tuple(line["golds"]), tuple(line["choices"]), line["correct"]) for line in mine),
        parts=np.stack([scores, np.ones(len(mine))], axis=1),
        statistic=_mean,
    )


def _id(line: Line) -> str:
    return str(line["id"])


def _answer(metric: str, line: Line) -> float:
    return _scored(metric, line["prediction"], tuple(line["golds"]))


@lru_cache(maxsize=200_000)  # few answers, and few things that are said, make up most of a benchmark
def _scored(metric: str, said: str, golds: tuple[str, ...]) -> float:
    table: Mapping[str, Callable[[str, str], Any]] = metrics.ANSWER | metrics.CLOSED
    return float(metrics.best(table[metric], said, golds))


def _choice(metric: str, line: Line) -> float:
    if metric == "choice_accuracy_loglik":
        return float(metrics.choice_by_loglik(line["loglik"]) == line["correct"])
    return float(metrics.parse_choice(line["prediction"], line["choices"]) == line["correct"])


def _mean(sums: Floats) -> Floats:
    """Give the mean; NaN where a draw has no sample of it."""
    count = sums[..., 1]
    return np.divide(sums[..., 0], count, out=np.full(np.shape(count), np.nan), where=count > 0)


def _of_classes(lines: Sequence[Line], row: Row, protocol: Mapping[str, Any]) -> Measure:
    """Take the macro-F1 of a set apart, its seeds one after the other."""
    about = protocol["sets"][row["benchmark"]]
    numbers = {name: place for place, name in enumerate(about["classes"])}
    kept = np.array([name not in about["classes_left_out"] for name in numbers])
    by_seed: dict[int, list[Line]] = {}
    for line in sorted(lines, key=_id):
        by_seed.setdefault(line["seed"], []).append(line)

    def flags(mine: Sequence[Line], column: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return indicators([[numbers[name] for name in line[column]] for line in mine], len(numbers))

    first = next(iter(by_seed.values()))
    ids = tuple(line["id"] for line in first)
    if any(tuple(line["id"] for line in mine) != ids for mine in by_seed.values()):
        raise ValueError("its seeds are not of the same images")
    sums = [parts(flags(mine, "predicted"), flags(mine, "labels")) for mine in by_seed.values()]
    return Measure(
        ids=ids,
        groups=tuple(line["group"] for line in first),
        right=tuple(tuple(line["labels"]) for line in first),
        parts=np.concatenate(sums, axis=1),
        statistic=over_seeds(macro_f1(kept), len(sums)),
    )
