"""A comparison for people: Markdown, and one HTML page that needs no other file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medmix.curate.decide.leaks import KINDS, LEAKS
from medmix.curate.describe.cards import templates
from medmix.curate.errors import UsageError
from medmix.curate.shards import write_text

from . import forest_plot
from .published import load_all
from .report import make
from .results import find, read

NOT_DRAWN = ("exact_match", "token_f1", "choice_accuracy_generated")
"""Metrics that stand in the main table alone, because another one of their kind is drawn and beside its controls."""

MARKDOWN, HTML, JSON = "report.md", "report.html", "report.json"


def report(places: Sequence[Path], out: Path) -> dict[str, Any]:
    """Compare results, and write `report.md`, `report.html` and `report.json` into a folder.

    Args:
        places: files of results, or folders that hold some.
        out: the folder.

    Returns:
        What `report.json` holds.

    Raises:
        UsageError: a file is none of `medmix eval`, is cut, or contradicts another one; or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; give a folder with --out")
    document = make([read(path) for path in find(places)], load_all())
    for name, text in render(document).items():
        write_text(out / name, text)
    return document


def render(document: Mapping[str, Any]) -> dict[str, str]:
    """Give the texts of the three files by their names; a pure function of the document."""
    context = {
        **document,
        "kinds": KINDS,
        "leak_kinds": LEAKS,
        "tables": [{**table, **_laid_out(table, document["published"])} for table in document["tables"]],
        "models": [_model(result) for result in document["results"]],
        "leaks": [
            {
                **mix,
                "cells": [[row["source"], row["set"], *(row.get(kind, 0) for kind in KINDS)] for row in mix["rows"]],
            }
            for mix in document["leaks"]
        ],
    }
    plots = {table["name"]: _plot(table, document["published"]) for table in document["tables"]}
    return {
        MARKDOWN: templates().get_template("scores.md.jinja").render(context),
        HTML: templates().get_template("scores.html.jinja").render(context | {"plots": plots}),
        JSON: json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n",
    }


def score(cell: Mapping[str, Any] | None) -> str:
    """Give a score with its interval and its spread over seeds."""
    if cell is None:
        return ""
    inside = "" if cell["low"] is None else f" [{cell['low']:.3f}, {cell['high']:.3f}]"
    spread = cell.get("sd_over_seeds")
    return f"{cell['value']:.3f}{inside}" + ("" if spread is None else f" ± {spread:.3f}")


def _laid_out(table: Mapping[str, Any], papers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the cells of a table as texts."""
    main, beside = [], []
    systems = list(
        dict.fromkeys(s for row in table["rows"] for cell in row["cells"].values() for s in cell["controls"])
    )
    for row in table["rows"]:
        head = [row["benchmark"], row["subset"], row["metric"], f"{row['n']:,}", f"{row['groups']:,}"]
        published = [f"{number['share']:.3f} {number['model']} †" for number in _beside(row, table, papers)]
        main.append([*head, *(score(row["cells"].get(name)) for name in table["models"]), "; ".join(published)])
        for name, cell in row["cells"].items() if row["metric"] not in NOT_DRAWN else ():
            controls = [cell["controls"].get(system) for system in systems]
            texts = ["" if value is None else f"{value:.3f}" for value in controls]
            beside.append([*head[:3], name, f"{cell['value']:.3f}", *texts, cell["leaks"]["text"]])
    return {
        "main_head": ["set", "part", "metric", "samples", "groups", *table["models"], "published †"],
        "main": main,
        "beside_head": [
            "set",
            "part",
            "metric",
            "model",
            "score",
            *systems,
            "the mix of its training shares with the set",
        ],
        "beside": beside,
        "tests_head": ["set", "part", "metric", "first", "second", "first − second", "p", "q", "samples"],
        "tests_rows": [_test(test) for test in table["tests"] if "refused" not in test],
    }


def _model(result: Mapping[str, Any]) -> list[str]:
    model = result["model"]
    digest = str(model.get("digest") or "")[:12]
    where = str(model.get("path") or "")
    if seeds := model.get("seeds"):
        where += f" (seeds {', '.join(map(str, seeds))})"
    files = [run["result"] for run in model.get("runs", [])] or [result["path"]]
    return [result["label"], result["suite"], where, digest, ", ".join(files)]


def _test(test: Mapping[str, Any]) -> list[str]:
    inside = "" if test["low"] is None else f" [{test['low']:+.3f}, {test['high']:+.3f}]"
    alone = f" ({test['only_one_has']:,} left out)" if test["only_one_has"] else ""
    p, q = ("" if test[name] is None else f"{test[name]:.4f}" for name in ("p", "q"))
    names = [test[name] for name in ("benchmark", "subset", "metric", "first", "second")]
    return [*names, f"{test['value']:+.3f}{inside}", p, q, f"{test['n']:,}{alone}"]


def _beside(
    row: Mapping[str, Any], table: Mapping[str, Any], papers: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    return [
        number
        for paper in papers
        for number in paper["numbers"]
        if number["beside"] == {name: row[name] for name in ("benchmark", "subset", "metric")}
        and any((ours["table"], ours["samples"]) == (table["name"], row["samples"]) for ours in number["ours"])
    ]


def _plot(table: Mapping[str, Any], papers: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for row in table["rows"]:
        if row["metric"] in NOT_DRAWN:
            continue
        lines = [{"name": name, **row["cells"][name]} for name in table["models"] if name in row["cells"]]
        lines += [
            {
                "name": f"{number['model']}, published †",
                "value": number["share"],
                "low": None,
                "high": None,
                "controls": {},
            }
            for number in _beside(row, table, papers)
        ]
        rows.append({"title": f"{row['benchmark']} · {row['subset']} · {row['metric']}", "lines": lines})
    return forest_plot.draw(f"{table['name']}: scores and 95 % intervals", rows, table["models"])
