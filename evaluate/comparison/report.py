"""The comparison of several results as plain data, the content of `report.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import medmix
from medmix.curate.errors import UsageError

from .. import intervals
from .leakage import leak_matrices, leaks_into_benchmark
from .protocols import comparable_settings, samples_digest, setting_differences
from .published import Number, Paper
from .results import Result
from .sample_scores import COMPARED, Key, SampleScores, compare, scores_by_sample
from .seed_averages import ScoredResult, average_seeds

FORMAT = 2

SHOWN = (*COMPARED, "auroc")
"""The metrics of the tables, in order; metrics that a published number is compared with are added."""


def build_report(results: Sequence[Result], papers: Sequence[Paper]) -> dict[str, Any]:
    """Compare results.

    A table has only scores under one protocol, and a row only scores of the same samples.

    Raises:
        UsageError: two results have different numbers for one model, or predictions do not give their scores.
    """
    scored = average_seeds([ScoredResult(result, scores_by_sample(result)) for result in results])
    labels = _labels([one.result for one in scored])
    scored = [replace(one, label=labels[one.result.path]) for one in scored]
    published_keys = _published_keys(papers)
    tables = []
    for suite in dict.fromkeys(one.result.suite for one in scored):
        groups: list[tuple[dict[str, Any], list[ScoredResult]]] = []
        for one in scored:
            if one.result.suite != suite:
                continue
            protocol = comparable_settings(one.result)
            mine = next((members for known, members in groups if known == protocol), None)
            if mine is None:
                groups.append((protocol, mine := []))
            mine.append(one)
        tables += [_table(suite, protocol, members, published_keys, groups[0][0]) for protocol, members in groups]
    _name_tables(tables)
    document = {
        "format": FORMAT,
        "medmix": medmix.__version__,
        "results": [_describe(one) for one in scored],
        "tables": tables,
        "published": [_paper(paper, tables) for paper in papers],
        "leaks": leak_matrices(list(results)),
        "warnings": _warnings(tables, scored),
    }
    plain: dict[str, Any] = json.loads(json.dumps(document))  # as it is read from the file
    return plain


def _labels(results: Sequence[Result]) -> dict[Path, str]:
    """Label the models so that labels are unique within a suite: by the shortest distinct end of their paths."""
    labels = {}
    for result in results:
        name = result.model["name"]
        namesakes = [other for other in results if (other.suite, other.model["name"]) == (result.suite, name)]
        folders = {other.identity: _run_folder(other) for other in namesakes}
        if len(folders) == 1:
            labels[result.path] = name
        else:
            suffix = _distinct_suffix(folders[result.identity], list(folders.values()))
            labels[result.path] = f"{name} ({suffix or result.identity[:8]})"
    return labels


def _distinct_suffix(folder: Path, folders: Sequence[Path]) -> str:
    """Return the shortest end of a path by which all paths differ; "" if two are equal or none is long enough."""
    for width in range(1, len(folder.parts) + 1):
        suffixes = {"/".join(other.parts[-width:]) for other in folders}
        if len(suffixes) == len(folders):
            return "/".join(folder.parts[-width:])
    return ""


def _run_folder(result: Result) -> Path:
    """Return the folder of the run, without the step, or of its results."""
    path = Path(result.model.get("path") or result.path.parent)
    return path.parent if path.name.startswith("step-") else path


def _published_keys(papers: Sequence[Paper]) -> list[Key]:
    """Return the scores to compare with published numbers that the tables do not have anyway."""
    found = [number.comparable for paper in papers for number in paper.numbers if number.comparable]
    return list(dict.fromkeys(Key(**asdict(one)) for one in found if one.metric not in SHOWN))


def _table(
    suite: str,
    protocol: dict[str, Any],
    members: Sequence[ScoredResult],
    published_keys: Sequence[Key],
    first: Mapping[str, Any],
) -> dict[str, Any]:
    rows: dict[tuple[Key, str], dict[str, Any]] = {}
    for one in members:
        for key, row in _shown_rows(one.result, published_keys).items():
            digest = samples_digest(one.result, one.sample_scores, key)
            head = {**key._asdict(), "samples": digest, "n": row["n"], "groups": row["groups"], "cells": {}}
            entry = rows.setdefault((key, digest), head)
            _add_cell(entry["cells"], one, _cell(one.result, key, row), key)
    metrics = [*SHOWN, *dict.fromkeys(key.metric for key in published_keys)]
    benchmarks = list(dict.fromkeys(key.benchmark for key, _ in rows))
    subsets = list(dict.fromkeys(key[:2] for key, _ in rows))

    def position(key: Key) -> tuple[int, int, int]:
        return benchmarks.index(key.benchmark), subsets.index(key[:2]), metrics.index(key.metric)

    ordered = sorted(rows.items(), key=lambda item: position(item[0][0]))
    return {
        "suite": suite,
        "protocol": protocol,
        "differences": setting_differences(first, protocol),
        "models": list(dict.fromkeys(one.label for one in members)),
        "rows": [row for _, row in ordered],
        "tests": _tests(members, [key for (key, _), _ in ordered]),
    }


def _shown_rows(result: Result, published_keys: Sequence[Key]) -> dict[Key, Mapping[str, Any]]:
    """Return the model's rows for the table: without single seeds of classification, modalities and classes."""
    return {
        Key.of(row): row
        for row in result.scores
        if row["system"] == "model"
        and (row["metric"] in SHOWN or Key.of(row) in published_keys)
        and row["value"] is not None
        and not row["subset"].startswith(("modality/", "class/"))
        and (result.suite == "answers" or row["seed"] is None)
        and (row["metric"] not in ("exact_match", "token_f1") or row["subset"].rpartition("/")[2] != "closed")
    }


def _cell(result: Result, key: Key, row: Mapping[str, Any]) -> dict[str, Any]:
    mine = [other for other in result.scores if Key.of(other) == key]
    spread = key._replace(metric=f"{key.metric}_sd_over_seeds")
    seeds = sorted(other["seed"] for other in mine if other["system"] == "model" and other["seed"] is not None)
    return {
        **{name: row[name] for name in ("value", "low", "high", "n", "groups")},
        "seeds": result.model.get("seeds") or seeds,
        "sd_over_seeds": next((other["value"] for other in result.scores if Key.of(other) == spread), None),
        "controls": {other["system"]: other["value"] for other in mine if other["system"] != "model"},
        "leaks": leaks_into_benchmark(result, key.benchmark),
        "result": str(result.path),
    }


def _add_cell(cells: dict[str, Any], one: ScoredResult, cell: dict[str, Any], key: Key) -> None:
    """Add a cell; an equal cell of the same model may exist, a different one may not."""
    known = cells.setdefault(one.label, cell)
    numbers = ("value", "low", "high", "n", "groups", "seeds")
    if any(known[name] != cell[name] for name in numbers):
        raise UsageError(
            f"{one.result.path} and {known['result']} are both of {one.label} on {' '.join(key)}, with different "
            f"numbers ({cell['value']:.6f}, {known['value']:.6f}); give only the valid one"
        )


def _tests(members: Sequence[ScoredResult], keys: Sequence[Key]) -> list[dict[str, Any]]:
    """Compare every two models by a paired test; q controls the false discovery rate over this table's tests."""
    found: list[dict[str, Any]] = []
    known: dict[str, dict[Key, SampleScores]] = {}
    for one in members:  # a model may have several files, of other benchmarks
        known[one.label] = {**one.sample_scores, **known.get(one.label, {})}
    for key in dict.fromkeys(keys):
        for first, second in combinations([label for label, mine in known.items() if key in mine], 2):
            paired = compare(known[first][key], known[second][key])
            models = {**key._asdict(), "first": first, "second": second}
            if paired is None:
                found.append(models | {"not_compared": "no common samples, or different references"})
            else:
                found.append(models | asdict(paired.difference) | {"n_unpaired": paired.n_unpaired, "q": None})
    intervals.add_q_values(found)
    return found


def _name_tables(tables: Sequence[dict[str, Any]]) -> None:
    """Set the name of every table, with letters if a suite has several."""
    for table in tables:
        of_suite = [other for other in tables if other["suite"] == table["suite"]]
        letter = f", protocol {chr(ord('A') + of_suite.index(table))}" if len(of_suite) > 1 else ""
        table["name"] = {"answers": "Answers", "classification": "Transfer of the encoder"}[table["suite"]] + letter


def _describe(one: ScoredResult) -> dict[str, Any]:
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
    """Return the numbers of a paper with the comparable scores and how the protocols differ."""
    numbers = [
        {**asdict(number), "fraction": number.fraction, "scores": _comparable_scores(number, tables)}
        for number in paper.numbers
    ]
    return {"id": paper.id, "paper": paper.paper, "consulted": " ".join(paper.consulted.split()), "numbers": numbers}


def _comparable_scores(number: Number, tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if number.comparable is None:
        return []
    return [
        {
            "table": table["name"],
            "samples": row["samples"],
            "n": row["n"],
            "values": {label: cell["value"] for label, cell in row["cells"].items()},
            "differences": [*_protocol_differences(table), *_sample_difference(row["n"], number.samples)],
        }
        for table in tables
        for row in table["rows"]
        if asdict(number.comparable) == Key.of(row)._asdict()
    ]


def _sample_difference(n: int, samples: int | None) -> list[str]:
    return [f"ours is on {n:,} samples, the test has {samples:,}"] if samples not in (None, n) else []


def _protocol_differences(table: Mapping[str, Any]) -> list[str]:
    """Describe how the protocol of a table differs from that of a benchmark as published."""
    protocol, found = table["protocol"], []
    if table["suite"] == "answers" and protocol.get("split") != "each benchmark's own":
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


def _warnings(tables: Sequence[Mapping[str, Any]], scored: Sequence[ScoredResult]) -> list[str]:
    """List differing protocols, samples and library versions, and models without a paired test."""
    found: list[str] = []
    for table in tables:
        if table["differences"]:
            found.append(
                f"{table['name']}: its protocol differs from the first table's: {'; '.join(table['differences'])}"
            )
        keys = [Key.of(row) for row in table["rows"]]
        several_rows = dict.fromkeys(key.benchmark for key in keys if keys.count(key) > 1)
        found += [f"{table['name']}: models have different samples of {name}; a row for each" for name in several_rows]
        found += [
            f"{test['benchmark']}: {test['first']} and {test['second']} are not compared: {test['not_compared']}"
            for test in table["tests"]
            if "not_compared" in test
        ]
    used: dict[str, set[str]] = {}
    for one in scored:
        for name, version in one.result.versions.items():
            used.setdefault(name, set()).add(str(version))
    several = [f"{name} ({', '.join(sorted(some))})" for name, some in sorted(used.items()) if len(some) > 1]
    return [*found, *([f"results are of different versions of {', '.join(several)}"] if several else [])]
