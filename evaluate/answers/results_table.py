"""The scores as Markdown tables, the model next to its controls."""

from collections.abc import Mapping, Sequence
from typing import Any

from medmix.curate.describe.markup import text

from ..contamination import UNKNOWN_MIX
from ..formatting import bulleted_section, markdown_table, with_interval

SYSTEMS = ("model", "blank_image", "shuffled_images", "majority_answer", "always_yes")

TABLES = (
    ("Short answers", ("exact_match", "bleu1_sentence_word", "token_f1")),
    ("Closed questions", ("closed_accuracy", "closed_unparseable")),
    ("Multiple choice", ("choice_accuracy_loglik", "choice_accuracy_generated", "choice_unparseable")),
)
"""The metrics of the first tables; the last table has every metric of the model."""


def render_markdown(results: Mapping[str, Any]) -> str:
    """Render `results.json` as Markdown."""
    model = results["model"]
    lines = [
        f"# {text(model['name'])}",
        "",
        f"{text(model['path'])} (step {model['step']}) on {text(results['protocol']['dataset'])}.",
        "Intervals are 95 % bootstrap intervals over groups (images, articles), not questions "
        "(`evaluate/intervals.py`). `evaluate/metrics/` defines each metric under its name.",
    ]
    for title, metrics in TABLES:
        lines += _controls_table(title, metrics, results["scores"])
    lines += ["", "## Every metric of the model", "", _metrics_table(results["scores"])]
    known = (results.get("mix") or {}).get("contamination", {})
    names = dict.fromkeys(row["benchmark"] for row in results["scores"])
    statements = [f"{name}: {known[name]['text'] if name in known else UNKNOWN_MIX}" for name in names]
    lines += bulleted_section("Training on the scored items", statements)
    return "\n".join([*lines, *bulleted_section("Notes", results["notes"])]) + "\n"


def _controls_table(title: str, metrics: Sequence[str], scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one table: a row for each benchmark, subset and metric, a column for each system."""
    found = {(row["benchmark"], row["subset"], row["metric"], row["system"]): row for row in scores}
    parts = dict.fromkeys(key[:2] for key in found)
    known = {key[:3] for key in found}
    keys = [(*part, metric) for part in parts for metric in metrics if (*part, metric) in known]
    keys = [key for key in keys if metrics[0] != "exact_match" or key[1].rpartition("/")[2] != "closed"]
    if not keys:
        return []
    rows = []
    for key in keys:
        entries = [found.get((*key, system)) for system in SYSTEMS]
        any_of = next(entry for entry in entries if entry)
        model = with_interval(entries[0]) if entries[0] else ""
        controls = [f"{entry['value']:.3f}" if entry else "" for entry in entries[1:]]
        rows.append([key[0], key[1], str(any_of["n"]), str(any_of["groups"]), key[2], model, *controls])
    head = ["benchmark", "subset", "n", "groups", "metric", *SYSTEMS]
    return ["", f"## {title}", "", markdown_table(head, rows, 2)]


def _metrics_table(scores: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for row in scores:
        if row["system"] == "model":
            interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
            rows.append([row["benchmark"], row["subset"], row["metric"], f"{row['value']:.3f}", interval])
    return markdown_table(["benchmark", "subset", "metric", "value", "95 % interval"], rows, 3)
