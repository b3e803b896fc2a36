"""Models that differ by the seed of their training alone, as one model: the means of their scores."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import commonpath
from pathlib import Path
from typing import Any

import numpy as np

from .. import intervals
from .protocols import compared
from .results import Result, Row
from .sample_scores import Key, Measure


@dataclass(frozen=True, slots=True)
class Scored:
    """A result and its scores by samples."""

    result: Result
    measures: Mapping[Key, Measure]


def joined(scored: Sequence[Scored]) -> list[Scored]:
    """Join the answers of models of one recipe and one mix that were trained with different seeds.

    Those that were asked in another way, or other questions, stay apart; so do all of a recipe where one seed comes
    twice. The joined model stands where its first one stood.
    """
    groups: dict[str, list[Scored]] = {}
    for place, one in enumerate(scored):
        groups.setdefault(_training(one) or f"apart {place}", []).append(one)
    return [joined for some in groups.values() for joined in (_join(some) if _fit(some) else some)]


def _training(one: Scored) -> str | None:
    """Give what must be equal: recipe but for its seed, mix, step and the way of asking."""
    model = one.result.model
    if one.result.suite != "vqa" or not {"recipe", "seed", "mix_digest", "step"} <= model.keys():
        return None
    return repr([*(model[name] for name in ("name", "recipe", "mix_digest", "step")), compared(one.result)])


def _fit(some: Sequence[Scored]) -> bool:
    first = some[0].measures
    seeds = {one.result.model["seed"] for one in some} if len(some) > 1 else set()
    return len(seeds) == len(some) and all(
        one.measures.keys() == first.keys()
        and all(
            (one.measures[key].ids, one.measures[key].right) == (mine.ids, mine.right) for key, mine in first.items()
        )
        for one in some
    )


def _join(some: Sequence[Scored]) -> list[Scored]:
    some = sorted(some, key=lambda one: int(one.result.model["seed"]))
    first = some[0].result
    measures = {
        key: replace(mine, parts=np.mean([one.measures[key].parts for one in some], axis=0))  # all have one divisor
        for key, mine in some[0].measures.items()
    }
    digests = [one.result.identity for one in some]
    model = {
        **first.model,
        "path": commonpath([Path(one.result.model["path"]).absolute() for one in some]),
        "digest": hashlib.sha256(" ".join(digests).encode()).hexdigest(),
        "seeds": [one.result.model["seed"] for one in some],
        "runs": [{"result": str(one.result.path), "digest": digest} for one, digest in zip(some, digests, strict=True)],
    }
    notes = tuple(dict.fromkeys(note for one in some for note in one.result.notes))
    return [Scored(replace(first, model=model, scores=_rows(some, measures), notes=notes, lines=()), measures)]


def _rows(some: Sequence[Scored], measures: Mapping[Key, Measure]) -> tuple[Row, ...]:
    """Give the means, with intervals over groups where samples tell them, and the spread over seeds."""
    tables = [{_name(row): row for row in one.result.scores} for one in some]
    rows: list[dict[str, Any]] = []
    for name, row in tables[0].items():
        values = [table[name]["value"] for table in tables if name in table]
        if len(values) < len(some) or None in values:
            continue
        low = high = None
        if name[0] == "model" and (measure := measures.get(name[1:])):
            found = intervals.of_sums(measure.parts, measure.groups, measure.statistic)
            low, high = found.low, found.high
        rows.append({**row, "value": float(np.mean(values)), "low": low, "high": high})
        if name[0] == "model":
            spread = {"metric": f"{row['metric']}_sd_over_seeds", "value": float(np.std(values, ddof=1))}
            rows.append({**row, **spread, "low": None, "high": None})
    return tuple(rows)


def _name(row: Row) -> tuple[str, str, str, str]:
    return row["system"], row["benchmark"], row["subset"], row["metric"]
