"""Average the scores of models that differ only by the seed of their training."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import commonpath
from pathlib import Path
from typing import Any

import numpy as np

from .. import intervals
from .protocols import comparable_settings
from .results import Result, Row
from .sample_scores import Key, SampleScores


@dataclass(frozen=True, slots=True)
class ScoredResult:
    """A result, its scores by sample, and its name in a comparison."""

    result: Result
    sample_scores: Mapping[Key, SampleScores]
    label: str = ""


def average_seeds(scored: Sequence[ScoredResult]) -> list[ScoredResult]:
    """Average the answers of models of one recipe and one mix over their training seeds.

    Models with another protocol or other questions stay separate; so do all models of a recipe if a seed occurs twice.
    The average takes the position of its first model.
    """
    groups: dict[str, list[ScoredResult]] = {}
    for index, one in enumerate(scored):
        groups.setdefault(_group_key(one) or f"single {index}", []).append(one)
    return [result for group in groups.values() for result in ([_average(group)] if _is_averageable(group) else group)]


def _group_key(one: ScoredResult) -> str | None:
    """Return what must be equal: the recipe without its seed, mix, step and protocol."""
    model = one.result.model
    if one.result.suite != "answers" or not {"recipe", "seed", "mix_digest", "step"} <= model.keys():
        return None
    settings = comparable_settings(one.result)
    return repr([*(model[name] for name in ("name", "recipe", "mix_digest", "step")), settings])


def _is_averageable(group: Sequence[ScoredResult]) -> bool:
    first = group[0].sample_scores
    seeds = {one.result.model["seed"] for one in group} if len(group) > 1 else set()
    return len(seeds) == len(group) and all(
        one.sample_scores.keys() == first.keys()
        and all(one.sample_scores[key].is_of_same_samples(mine) for key, mine in first.items())
        for one in group
    )


def _average(group: Sequence[ScoredResult]) -> ScoredResult:
    group = sorted(group, key=lambda one: int(one.result.model["seed"]))
    first = group[0].result
    scores = {
        key: replace(mine, summands=np.mean([one.sample_scores[key].summands for one in group], axis=0))
        for key, mine in group[0].sample_scores.items()  # all have one divisor
    }
    digests = [one.result.identity for one in group]
    model = {
        **first.model,
        "path": commonpath([Path(one.result.model["path"]).absolute() for one in group]),
        "digest": hashlib.sha256(" ".join(digests).encode()).hexdigest(),
        "seeds": [one.result.model["seed"] for one in group],
        "runs": [
            {"result": str(one.result.path), "digest": digest} for one, digest in zip(group, digests, strict=True)
        ],
    }
    notes = tuple(dict.fromkeys(note for one in group for note in one.result.notes))
    rows = _average_rows(group, scores)
    return ScoredResult(replace(first, model=model, scores=rows, notes=notes, predictions=()), scores)


def _average_rows(group: Sequence[ScoredResult], scores: Mapping[Key, SampleScores]) -> tuple[Row, ...]:
    """Return the means, with intervals over groups if scores by sample are known, and the standard deviations."""
    tables = [{(row["system"], *Key.of(row)): row for row in one.result.scores} for one in group]
    rows: list[dict[str, Any]] = []
    for (system, *key), row in tables[0].items():
        values = [table[system, *key]["value"] for table in tables if (system, *key) in table]
        if len(values) < len(group) or None in values:
            continue
        low = high = None
        if system == "model" and (mine := scores.get(Key(*key))):
            found = intervals.bootstrap_sums(mine.summands, mine.groups, mine.statistic)
            low, high = found.low, found.high
        rows.append({**row, "value": float(np.mean(values)), "low": low, "high": high})
        if system == "model":
            spread = {"metric": f"{row['metric']}_sd_over_seeds", "value": float(np.std(values, ddof=1))}
            rows.append({**row, **spread, "low": None, "high": None})
    return tuple(rows)
