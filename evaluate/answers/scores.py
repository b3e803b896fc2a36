"""From predictions to scores: every metric on every part of every benchmark, for the model and for its controls."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import intervals, metrics

Line = Mapping[str, Any]
"""One prediction, as `predictions.jsonl` has it."""

Score = float | metrics.Counts
"""Of one answer: the score, or what it adds to that of a corpus."""


def of_lines(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Score predictions: a row for each benchmark, subset, system and metric, with its interval over groups."""
    by_kind: dict[tuple[str, str, bool], list[Line]] = defaultdict(list)
    for line in lines:
        by_kind[line["benchmark"], line["system"], line["correct"] is None].append(line)
    rows = []
    for (benchmark, system, _), mine in by_kind.items():
        table = _scored(mine)
        for subset in dict.fromkeys(subset for line in mine for subset in line["subsets"]):
            places = [place for place, line in enumerate(mine) if subset in line["subsets"]]
            head = {"benchmark": benchmark, "subset": subset, "system": system}
            rows += [{**head, **row, "seed": mine[0]["seed"]} for row in _of_subset(mine, table, places, subset)]
    return rows


def _scored(lines: Sequence[Line]) -> dict[str, list[Score | None]]:
    """Score every line by every metric; None where one does not apply."""
    chinese = any(line["language"] == "zh" for line in lines)
    scored = [
        _free(line["prediction"], tuple(line["golds"]), chinese) if line["correct"] is None else _chosen(line)
        for line in lines
    ]
    names = dict.fromkeys(name for scores in scored for name in scores)
    return {name: [scores.get(name) for scores in scored] for name in names}


@lru_cache(maxsize=100_000)  # few answers, and few things that are said, make up most of a benchmark
def _free(said: str, golds: tuple[str, ...], chinese: bool) -> Mapping[str, Score]:
    """Score one answer in words."""
    scores: dict[str, Score] = {name: metric(said, golds) for name, metric in metrics.of_each().items()}
    scores["bleu1_corpus_word"] = metrics.bleu1_corpus_word_counts(said, golds)
    scores |= {name: entry[2](said, golds) for name, entry in metrics.corpus_metrics(chinese).items()}
    return scores | {name: metrics.best(closed, said, golds) for name, closed in metrics.CLOSED.items()}


def _chosen(line: Line) -> dict[str, Score]:
    """Score one answer to a question with options."""
    said = metrics.parse_choice(line["prediction"], line["choices"])
    scores: dict[str, Score] = {
        "choice_accuracy_generated": float(said == line["correct"]),
        "choice_unparseable": float(said is None),
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


def _of_subset(
    lines: Sequence[Line], table: Mapping[str, Sequence[Any]], places: Sequence[int], subset: str
) -> list[dict[str, Any]]:
    """Score the lines at some places by the metrics that apply to all of them."""
    groups = [lines[place]["group"] for place in places]
    columns = {name: [column[place] for place in places] for name, column in table.items()}
    columns = {name: column for name, column in columns.items() if None not in column}
    if subset.rpartition("/")[2] != "closed":
        columns = {name: column for name, column in columns.items() if name not in metrics.CLOSED}
    counted = {name: column for name, column in columns.items() if isinstance(column[0], metrics.Counts)}
    single = [name for name in columns if name not in counted]
    found: dict[str, intervals.Interval] = {}
    if single:
        scores = np.array([columns[name] for name in single], np.float64).T
        found = dict(zip(single, intervals.means(scores, groups), strict=True))
    libraries = metrics.corpus_metrics(chinese=all(lines[place]["language"] == "zh" for place in places))
    for name, column in counted.items():
        if name == "bleu1_corpus_word" or name in libraries:
            found[name] = intervals.of_sums(column, groups, metrics.bleu1_of_counts)
    rows = [_row(name, interval) for name, interval in found.items()]
    for row in rows:
        if row["metric"] in counted and row["metric"] in libraries:  # to the last digit what the library gives
            said = [lines[place]["prediction"] for place in places]
            row["value"] = libraries[row["metric"]][1](said, [lines[place]["golds"] for place in places])
    return rows


def _row(metric: str, interval: intervals.Interval) -> dict[str, Any]:
    return {
        "metric": metric,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "groups": interval.groups,
    }
