"""From predictions to scores: every metric on every part of every benchmark, for the model and for its controls."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import intervals, metrics

Line = Mapping[str, Any]
"""One prediction, as `predictions.jsonl` has it."""

CHOICE = (
    "choice_accuracy_loglik",
    "choice_accuracy_loglik_per_token",
    "choice_accuracy_loglik_per_char",
    "choice_accuracy_generated",
    "choice_unparseable",
)
"""Scores of multiple choice: the option by likelihood (`metrics.choice`), and the one that is said in words."""


def of_lines(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Score predictions: a row for each benchmark, subset, system and metric, with its interval over groups."""
    by_system: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        by_system[line["benchmark"], line["system"]].append(line)
    rows = []
    for (benchmark, system), mine in by_system.items():
        table = _scored(mine)
        for subset in dict.fromkeys(subset for line in mine for subset in line["subsets"]):
            places = [place for place, line in enumerate(mine) if subset in line["subsets"]]
            head = {"benchmark": benchmark, "subset": subset, "system": system}
            rows += [{**head, **row, "seed": mine[0]["seed"]} for row in _of_subset(mine, table, places, subset)]
    return rows


def _scored(lines: Sequence[Line]) -> dict[str, list[float | metrics.Counts | None]]:
    """Score every line by every metric that applies to it; None where one does not."""
    answers = metrics.of_each()
    chinese = any(line["language"] == "zh" for line in lines)
    corpus = {name: entry[2] for name, entry in metrics.corpus_metrics(chinese).items()}
    corpus["bleu1_corpus_word"] = metrics.bleu1_corpus_word_counts
    table: dict[str, list[float | metrics.Counts | None]] = defaultdict(list)
    for line in lines:
        said, golds = line["prediction"], line["golds"]
        free = line["correct"] is None
        for name, metric in answers.items():
            table[name].append(metric(said, golds) if free else None)
        for name, counted in corpus.items():
            table[name].append(counted(said, golds) if free else None)
        for name, closed in metrics.CLOSED.items():
            table[name].append(metrics.best(closed, said, golds) if free else None)
        chosen = {} if free else _chosen(line)
        for name in CHOICE:
            table[name].append(chosen.get(name))
    return table


def _chosen(line: Line) -> dict[str, float]:
    said = metrics.parse_choice(line["prediction"], line["choices"])
    scores = {"choice_accuracy_generated": float(said == line["correct"]), "choice_unparseable": float(said is None)}
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
