"""A comparison as Markdown and as one self-contained HTML page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from medmix.curate.decide.leaks import KINDS
from medmix.curate.describe import templates
from medmix.curate.errors import UsageError
from medmix.curate.shards import write_text

from ..formatting import with_interval
from . import forest_plot
from .published import load_all
from .report import build_report
from .results import find, read

NOT_DRAWN = ("exact_match", "token_f1", "choice_accuracy_generated")
"""Metrics of the main table only, because another metric of their kind is plotted and has controls."""

MARKDOWN, HTML, JSON = "report.md", "report.html", "report.json"


def write_report(paths: Sequence[Path], out: Path) -> dict[str, Any]:
    """Compare results, and write `report.md`, `report.html` and `report.json` into a folder.

    Args:
        paths: results files, or folders that contain some.
        out: the folder.

    Returns:
        The content of `report.json`.

    Raises:
        UsageError: a file is not of `medmix eval`, is incomplete, or contradicts another one; or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; give a folder with --out")
    document = build_report([read(path) for path in find(paths)], load_all())
    for name, text in render(document).items():
        write_text(out / name, text)
    return document


def render(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of the three files by name; a pure function of the document."""
    context = {
        **document,
        "kinds": KINDS,
        "tables": [{**table, **_cell_texts(table, document["published"])} for table in document["tables"]],
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
        MARKDOWN: templates.markdown().get_template("scores.md.jinja").render(context),
        HTML: templates.pages().get_template("scores.html.jinja").render(context | {"plots": plots}),
        JSON: json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n",
    }


def _cell_texts(table: Mapping[str, Any], papers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cells of a table as texts."""
    main, controls = [], []
    systems = list(
        dict.fromkeys(s for row in table["rows"] for cell in row["cells"].values() for s in cell["controls"])
    )
    for row in table["rows"]:
        head = [row["benchmark"], row["subset"], row["metric"], f"{row['n']:,}", f"{row['groups']:,}"]
        published = [
            f"{number['fraction']:.3f} {number['model']} †" for number in _comparable_numbers(row, table, papers)
        ]
        cells = [row["cells"].get(name) for name in table["models"]]
        scores = [with_interval(cell, cell["sd_over_seeds"]) if cell else "" for cell in cells]
        main.append([*head, *scores, "; ".join(published)])
        for name, cell in row["cells"].items() if row["metric"] not in NOT_DRAWN else ():
            values = [cell["controls"].get(system) for system in systems]
            texts = ["" if value is None else f"{value:.3f}" for value in values]
            controls.append([*head[:3], name, f"{cell['value']:.3f}", *texts, cell["leaks"]["text"]])
    return {
        "main_head": ["dataset", "subset", "metric", "samples", "groups", *table["models"], "published †"],
        "main": main,
        "controls_head": ["dataset", "subset", "metric", "model", "score", *systems, "shared with the training mix"],
        "controls": controls,
        "tests_head": ["dataset", "subset", "metric", "first", "second", "first − second", "p", "q", "samples"],
        "tests_rows": [_test(test) for test in table["tests"] if "not_compared" not in test],
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
    unpaired = f" ({test['n_unpaired']:,} unpaired)" if test["n_unpaired"] else ""
    p, q = ("" if test[name] is None else f"{test[name]:.4f}" for name in ("p", "q"))
    names = [test[name] for name in ("benchmark", "subset", "metric", "first", "second")]
    return [*names, with_interval(test, sign="+"), p, q, f"{test['n']:,}{unpaired}"]


def _comparable_numbers(
    row: Mapping[str, Any], table: Mapping[str, Any], papers: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    return [
        number
        for paper in papers
        for number in paper["numbers"]
        if number["comparable"] == {name: row[name] for name in ("benchmark", "subset", "metric")}
        and any((ours["table"], ours["samples"]) == (table["name"], row["samples"]) for ours in number["scores"])
    ]


def _plot(table: Mapping[str, Any], papers: Sequence[Mapping[str, Any]]) -> Markup:
    rows = []
    for row in table["rows"]:
        if row["metric"] in NOT_DRAWN:
            continue
        lines = [{"name": name, **row["cells"][name]} for name in table["models"] if name in row["cells"]]
        lines += [
            {
                "name": f"{number['model']}, published †",
                "value": number["fraction"],
                "low": None,
                "high": None,
                "controls": {},
            }
            for number in _comparable_numbers(row, table, papers)
        ]
        rows.append({"title": f"{row['benchmark']} · {row['subset']} · {row['metric']}", "lines": lines})
    svg = forest_plot.draw(f"{table['name']}: scores and 95 % intervals", rows, table["models"])
    return Markup(svg)  # noqa: S704 - its template escapes
