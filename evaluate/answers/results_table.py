"""The scores laid out in Markdown, the model beside its controls."""

from collections.abc import Mapping, Sequence
from typing import Any

SYSTEMS = ("model", "blank_image", "shuffled_images", "majority_answer", "always_yes")

SHOWN = (
    ("Short answers", ("exact_match", "bleu1_sentence_word", "token_f1")),
    ("Closed questions", ("closed_accuracy", "closed_unparseable")),
    ("Multiple choice", ("choice_accuracy_loglik", "choice_accuracy_generated", "choice_unparseable")),
)
"""What the first tables show; the last one has every metric of the model."""


def markdown(results: Mapping[str, Any]) -> str:
    """Lay out what `results.json` holds."""
    model = results["model"]
    lines = [
        f"# {model['name']}",
        "",
        f"{model['path']} (step {model['step']}) on {results['protocol']['asked']}.",
        "Intervals are of 95 %, over images or articles, not questions (`evaluate/intervals.py`); the names of the "
        "metrics are those of `evaluate/metrics/`, their definitions are there.",
    ]
    for title, metrics in SHOWN:
        lines += _beside_controls(title, metrics, results["scores"])
    lines += _all_metrics(results["scores"])
    if results["notes"]:
        lines += ["", "## Notes", "", *(f"- {note}" for note in results["notes"])]
    return "\n".join(lines) + "\n"


def _beside_controls(title: str, metrics: Sequence[str], scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give one table: a row for each benchmark, subset and metric, a column for each system."""
    found = {(row["benchmark"], row["subset"], row["metric"], row["system"]): row for row in scores}
    parts = dict.fromkeys(key[:2] for key in found)
    known = {key[:3] for key in found}
    keys = [(*part, metric) for part in parts for metric in metrics if (*part, metric) in known]
    keys = [key for key in keys if metrics[0] != "exact_match" or key[1].rpartition("/")[2] != "closed"]
    if not keys:
        return []
    rows = [["benchmark", "subset", "n", "groups", "metric", *SYSTEMS], ["---", "---", "---:", "---:", "---"]]
    rows[1] += ["---:"] * len(SYSTEMS)
    for key in keys:
        entries = [found.get((*key, system)) for system in SYSTEMS]
        any_of = next(entry for entry in entries if entry)
        cells = [_cell(entry, with_interval=place == 0) for place, entry in enumerate(entries)]
        rows.append([key[0], key[1], str(any_of["n"]), str(any_of["groups"]), key[2], *cells])
    return ["", f"## {title}", "", *_table(rows)]


def _all_metrics(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    mine = [row for row in scores if row["system"] == "model"]
    rows = [["benchmark", "subset", "metric", "value", "95 % interval"], ["---", "---", "---", "---:", "---:"]]
    for row in mine:
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        rows.append([row["benchmark"], row["subset"], row["metric"], f"{row['value']:.3f}", interval])
    return ["", "## Every metric of the model", "", *_table(rows)]


def _cell(row: Mapping[str, Any] | None, with_interval: bool) -> str:
    if row is None:
        return ""
    interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if with_interval and row["low"] is not None else ""
    return f"{row['value']:.3f}{interval}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in rows]
