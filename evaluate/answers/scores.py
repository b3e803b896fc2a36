"""Score predictions: every metric on every subset of every benchmark, for the model and its controls."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np

from .. import intervals, metrics

Line = Mapping[str, Any]
"""A line of `predictions.jsonl`."""

Score = float | metrics.Counts
"""The score of one answer, or its counts for a corpus score."""


def score_predictions(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Score predictions: a row for each benchmark, subset, system and metric, with its interval over groups."""
    by_kind: dict[tuple[str, str, bool], list[Line]] = defaultdict(list)
    for line in lines:
        by_kind[line["benchmark"], line["system"], line["correct"] is None].append(line)
    rows = []
    for (benchmark, system, _), mine in by_kind.items():
        table = _score_lines(mine)
        for subset in dict.fromkeys(subset for line in mine for subset in line["subsets"]):
            indices = [index for index, line in enumerate(mine) if subset in line["subsets"]]
            head = {"benchmark": benchmark, "subset": subset, "system": system}
            rows += [{**head, **row, "seed": mine[0]["seed"]} for row in _score_subset(mine, table, indices, subset)]
    return rows


def _score_lines(lines: Sequence[Line]) -> dict[str, list[Score | None]]:
    """Score every line by every metric; None if the metric does not apply."""
    chinese = any(line["language"] == "zh" for line in lines)
    scored = [
        _score_text(line["prediction"], tuple(line["references"]), chinese)
        if line["correct"] is None
        else _score_choice(line)
        for line in lines
    ]
    names = dict.fromkeys(name for scores in scored for name in scores)
    return {name: [scores.get(name) for scores in scored] for name in names}


@lru_cache(maxsize=100_000)  # few distinct answers and predictions make up most of a benchmark
def _score_text(prediction: str, references: tuple[str, ...], chinese: bool) -> Mapping[str, Score]:
    """Score one answer as text."""
    scores: dict[str, Score] = {
        name: metric(prediction, references) for name, metric in metrics.answer_metrics().items()
    }
    scores["bleu1_corpus_word"] = metrics.bleu1_corpus_word_counts(prediction, references)
    scores |= {name: entry[2](prediction, references) for name, entry in metrics.corpus_metrics(chinese).items()}
    return scores | {
        name: metrics.best_over_references(closed, prediction, references) for name, closed in metrics.CLOSED.items()
    }


def _score_choice(line: Line) -> dict[str, Score]:
    """Score one answer to a multiple-choice question."""
    prediction = metrics.parse_choice(line["prediction"], line["choices"])
    scores: dict[str, Score] = {
        "choice_accuracy_generated": float(prediction == line["correct"]),
        "choice_unparseable": float(prediction is None),
    }
    if "loglik" in line:
        logliks = line["loglik"]
        by_likelihood = {
            "choice_accuracy_loglik": metrics.choice_by_loglik(logliks),
            "choice_accuracy_loglik_per_token": metrics.choice_by_loglik_per_token(logliks, line["option_tokens"]),
            "choice_accuracy_loglik_per_char": metrics.choice_by_loglik_per_char(logliks, line["options"]),
        }
        scores |= {name: float(choice == line["correct"]) for name, choice in by_likelihood.items()}
    return scores


def _score_subset(
    lines: Sequence[Line], table: Mapping[str, Sequence[Any]], indices: Sequence[int], subset: str
) -> list[dict[str, Any]]:
    """Score the lines at these indices by the metrics that apply to all of them."""
    groups = [lines[index]["group"] for index in indices]
    columns = {name: [column[index] for index in indices] for name, column in table.items()}
    columns = {name: column for name, column in columns.items() if None not in column}
    if subset.rpartition("/")[2] != "closed":
        columns = {name: column for name, column in columns.items() if name not in metrics.CLOSED}
    counted = {name: column for name, column in columns.items() if isinstance(column[0], metrics.Counts)}
    single = [name for name in columns if name not in counted]
    found: dict[str, intervals.Interval] = {}
    if single:
        scores = np.array([columns[name] for name in single], np.float64).T
        found = dict(zip(single, intervals.bootstrap_means(scores, groups), strict=True))
    libraries = metrics.corpus_metrics(chinese=all(lines[index]["language"] == "zh" for index in indices))
    for name, column in counted.items():
        if name == "bleu1_corpus_word" or name in libraries:
            found[name] = intervals.bootstrap_sums(column, groups, metrics.bleu1_of_counts)
    rows = [{"metric": name, **asdict(interval)} for name, interval in found.items()]
    for row in rows:
        if row["metric"] in counted and row["metric"] in libraries:  # exactly the library's value
            prediction = [lines[index]["prediction"] for index in indices]
            row["value"] = libraries[row["metric"]][1](prediction, [lines[index]["references"] for index in indices])
    return rows
