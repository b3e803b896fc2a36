"""All that a comparison says, as plain data: `report.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

import medmix
from medmix.curate.errors import UsageError

from . import leakage, protocols, seed_averages
from .published import Number, Paper
from .results import Result
from .sample_scores import COMPARED, Key, Measure, compare, of_result

FORMAT = 1

SHOWN = (*COMPARED, "auroc")
"""The metrics in the tables, in their order; those that a published number stands beside come as well."""


@dataclass(frozen=True, slots=True)
class Named:
    """A result, how it is called beside others, and its scores by samples."""

    result: Result
    label: str
    measures: Mapping[Key, Measure]


def make(results: Sequence[Result], papers: Sequence[Paper]) -> dict[str, Any]:
    """Compare results.

    Only scores under one protocol stand in one table, and only scores of the same samples in one row of it.

    Raises:
        UsageError: two results claim other numbers for one model, or predictions do not give their scores.
    """
    joined = seed_averages.joined([seed_averages.Scored(result, of_result(result)) for result in results])
    labels = _labels([one.result for one in joined])
    scored = [Named(one.result, labels[one.result.path], one.measures) for one in joined]
    further = _further(papers)
    tables = []
    for suite in dict.fromkeys(one.result.suite for one in scored):
        groups: list[tuple[dict[str, Any], list[Named]]] = []
        for one in scored:
            if one.result.suite != suite:
                continue
            protocol = protocols.compared(one.result)
            mine = next((members for known, members in groups if known == protocol), None)
            if mine is None:
                groups.append((protocol, mine := []))
            mine.append(one)
        tables += [_table(suite, protocol, members, further, groups[0][0]) for protocol, members in groups]
    _name(tables)
    document = {
        "format": FORMAT,
        "medmix": medmix.__version__,
        "results": [_about(one) for one in scored],
        "tables": tables,
        "published": [_paper(paper, tables) for paper in papers],
        "leaks": leakage.matrices(list(results)),
        "warnings": _warnings(tables, scored),
    }
    plain: dict[str, Any] = json.loads(json.dumps(document))  # as who reads the file has it
    return plain


def _labels(results: Sequence[Result]) -> dict[Path, str]:
    """Name the models so that no two of a suite have one name: by as much of their path as tells them apart."""
    labels = {}
    for result in results:
        name = result.model["name"]
        alike = [other for other in results if (other.suite, other.model["name"]) == (result.suite, name)]
        paths = {other.identity: _place(other) for other in alike}
        mine = paths[result.identity]
        several = len({tuple(path.parts) for path in paths.values()}) == len(paths)
        widths = range(1, len(mine.parts) + 1) if several else ()
        ends = {width: ["/".join(path.parts[-width:]) for path in paths.values()] for width in widths}
        width = next((width for width, some in ends.items() if len({*some}) == len(some)), 0)
        told = "/".join(mine.parts[-width:]) if width else result.identity[:8]
        labels[result.path] = name if len(paths) == 1 else f"{name} ({told})"
    return labels


def _place(result: Result) -> Path:
    """Give the folder of the run, without the step, or of its results."""
    path = Path(result.model.get("path") or result.path.parent)
    return path.parent if path.name.startswith("step-") else path


def _further(papers: Sequence[Paper]) -> list[Key]:
    """Give the scores of ours that stand beside a published number, and are not shown anyway."""
    named = [number.beside for paper in papers for number in paper.numbers if number.beside]
    return list(dict.fromkeys((one.benchmark, one.subset, one.metric) for one in named if one.metric not in SHOWN))


def _table(
    suite: str, protocol: dict[str, Any], members: Sequence[Named], further: Sequence[Key], first: Mapping[str, Any]
) -> dict[str, Any]:
    rows: dict[tuple[Key, str], dict[str, Any]] = {}
    for one in members:
        for key, row in _whole(one.result, further).items():
            digest = protocols.samples(one.result, one.measures, key)
            entry = rows.setdefault(
                (key, digest),
                {
                    **dict(zip(("benchmark", "subset", "metric"), key, strict=True)),
                    "samples": digest,
                    "n": row["n"],
                    "groups": row["groups"],
                    "cells": {},
                },
            )
            _put(entry["cells"], one, _cell(one.result, key, row), key)
    order = [key for key, _ in rows]
    metrics = [*SHOWN, *dict.fromkeys(key[2] for key in further)]
    benchmarks = list(dict.fromkeys(key[0] for key in order))
    subsets = list(dict.fromkeys(key[:2] for key in order))
    ordered = sorted(
        rows.items(),
        key=lambda item: (benchmarks.index(item[0][0][0]), subsets.index(item[0][0][:2]), metrics.index(item[0][0][2])),
    )
    return {
        "suite": suite,
        "protocol": protocol,
        "differs": protocols.differences(first, protocol),
        "models": list(dict.fromkeys(one.label for one in members)),
        "rows": [row for _, row in ordered],
        "tests": _tests(members, [key for (key, _), _ in ordered]),
    }


def _whole(result: Result, further: Sequence[Key]) -> dict[Key, Mapping[str, Any]]:
    """Give the model's rows that are shown: of classification the means over seeds; no parts of the parts."""
    return {
        (row["benchmark"], row["subset"], row["metric"]): row
        for row in result.scores
        if row["system"] == "model"
        and (row["metric"] in SHOWN or (row["benchmark"], row["subset"], row["metric"]) in further)
        and row["value"] is not None
        and not row["subset"].startswith(("modality/", "class/"))
        and (result.suite == "vqa" or row["seed"] is None)
        and (row["metric"] not in ("exact_match", "token_f1") or row["subset"].rpartition("/")[2] != "closed")
    }


def _cell(result: Result, key: Key, row: Mapping[str, Any]) -> dict[str, Any]:
    mine = [other for other in result.scores if (other["benchmark"], other["subset"], other["metric"]) == key]
    spread = (*key[:2], f"{key[2]}_sd_over_seeds")
    return {
        "value": row["value"],
        "low": row["low"],
        "high": row["high"],
        "n": row["n"],
        "groups": row["groups"],
        "seeds": result.model.get("seeds")
        or sorted(other["seed"] for other in mine if other["system"] == "model" and other["seed"] is not None),
        "sd_over_seeds": next(
            (o["value"] for o in result.scores if (o["benchmark"], o["subset"], o["metric"]) == spread), None
        ),
        "controls": {other["system"]: other["value"] for other in mine if other["system"] != "model"},
        "leaks": leakage.of_benchmark(result, key[0]),
        "result": str(result.path),
    }


def _put(cells: dict[str, Any], one: Named, cell: dict[str, Any], key: Key) -> None:
    """Add a cell; the same one may come twice, another one of the same model may not."""
    known = cells.setdefault(one.label, cell)
    numbers = ("value", "low", "high", "n", "groups", "seeds")
    if any(known[name] != cell[name] for name in numbers):
        raise UsageError(
            f"{one.result.path} and {known['result']} both claim to be of {one.label} on {' '.join(key)}, with other "
            f"numbers ({cell['value']:.6f}, {known['value']:.6f}); give only the one that counts"
        )


def _tests(members: Sequence[Named], keys: Sequence[Key]) -> list[dict[str, Any]]:
    """Compare every two models by pairs; q is p under control of the false discovery rate over this table's tests."""
    found: list[dict[str, Any]] = []
    known: dict[str, dict[Key, Measure]] = {}
    for one in members:  # a model may have several files, of other benchmarks
        known[one.label] = {**one.measures, **known.get(one.label, {})}
    for key in dict.fromkeys(keys):
        for first, second in combinations([label for label, mine in known.items() if key in mine], 2):
            paired = compare(known[first][key], known[second][key])
            about = {**dict(zip(("benchmark", "subset", "metric"), key, strict=True)), "first": first, "second": second}
            if paired is None:
                found.append(about | {"refused": "no samples in common, or other answers are right"})
            else:
                found.append(about | asdict(paired.difference) | {"only_one_has": paired.alone, "q": None})
    tested = [test for test in found if test.get("p") is not None]
    if tested:
        adjusted = false_discovery_control(np.array([test["p"] for test in tested]))
        for test, q in zip(tested, adjusted, strict=True):
            test["q"] = float(q)
    return found


def _name(tables: Sequence[dict[str, Any]]) -> None:
    """Give every table a name, by letters where a suite has several."""
    for table in tables:
        alike = [other for other in tables if other["suite"] == table["suite"]]
        letter = f", protocol {chr(ord('A') + alike.index(table))}" if len(alike) > 1 else ""
        table["name"] = {"vqa": "Answers", "classification": "Transfer of the encoder"}[table["suite"]] + letter


def _about(one: Named) -> dict[str, Any]:
    result = one.result
    return {
        "label": one.label,
        "path": str(result.path),
        "suite": result.suite,
        "model": dict(result.model),
        "mix": None if result.mix is None else {"path": result.mix.get("path"), "digest": result.mix.get("digest")},
        "versions": dict(result.versions),
        "notes": list(result.notes),
    }


def _paper(paper: Paper, tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put each number of a paper beside ours, with what the protocols differ in."""
    numbers = [{**asdict(number), "share": number.share, "ours": _ours(number, tables)} for number in paper.numbers]
    return {"id": paper.id, "paper": paper.paper, "read": " ".join(paper.read.split()), "numbers": numbers}


def _ours(number: Number, tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if number.beside is None:
        return []
    return [
        {
            "table": table["name"],
            "samples": row["samples"],
            "n": row["n"],
            "values": {label: cell["value"] for label, cell in row["cells"].items()},
            "differs": [*_of_ours(table), *_fewer(row["n"], number.samples)],
        }
        for table in tables
        for row in table["rows"]
        if asdict(number.beside) == {name: row[name] for name in ("benchmark", "subset", "metric")}
    ]


def _fewer(n: int, samples: int | None) -> list[str]:
    return [f"ours is on {n:,} samples, the test has {samples:,}"] if samples not in (None, n) else []


def _of_ours(table: Mapping[str, Any]) -> list[str]:
    """Say what sets ours apart from a benchmark as it is published."""
    protocol, found = table["protocol"], []
    if table["suite"] == "vqa" and protocol.get("split") != "each benchmark's own":
        found.append(f"ours is on the {protocol.get('split')} split of a mix, not on the benchmark as published")
    if protocol.get("limit") is not None:
        found.append(f"ours is on {protocol['limit']} questions at most")
    if table["suite"] == "classification" and protocol.get("mode") == "linear-probe":
        found.append("ours is a linear probe, the encoder is not fine-tuned")
    if table["suite"] == "classification" and protocol.get("recipe.epochs") not in (None, 100):
        found.append(f"ours is fine-tuned for {protocol['recipe.epochs']} epochs, not 100")
    if protocol.get("recipe.shots") is not None:
        found.append(f"ours is trained on {protocol['recipe.shots']} units of each class")
    return found


def _warnings(tables: Sequence[Mapping[str, Any]], scored: Sequence[Named]) -> list[str]:
    """Say what stands apart, is not compared, or was made by different libraries."""
    found: list[str] = []
    for table in tables:
        if table["differs"]:
            found.append(f"{table['name']}: not measured as the first table is: {'; '.join(table['differs'])}")
        keys = [(row["benchmark"], row["subset"], row["metric"]) for row in table["rows"]]
        twice = dict.fromkeys(key[0] for key in keys if keys.count(key) > 1)
        found += [f"{table['name']}: models answered different samples of {name}; a row for each" for name in twice]
        found += [
            f"{test['benchmark']}: {test['first']} and {test['second']} are not compared: {test['refused']}"
            for test in table["tests"]
            if "refused" in test
        ]
    used: dict[str, set[str]] = {}
    for one in scored:
        for name, version in one.result.versions.items():
            used.setdefault(name, set()).add(str(version))
    several = [f"{name} ({', '.join(sorted(some))})" for name, some in sorted(used.items()) if len(some) > 1]
    return [*found, *([f"made with different versions of {', '.join(several)}"] if several else [])]
