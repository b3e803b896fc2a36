"""What a build omits that a full one would contain: as notes for people, and for the manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from .errors import UsageError
from .evaluationsets import external_sets
from .evaluationsets.fingerprint_file import FingerprintedSet
from .mixture import Mixture
from .read.inputs import Input
from .sources import layouts


def of_sources(mixture: Mixture, inputs: Sequence[Input], missing: Sequence[str], limit: int | None) -> list[str]:
    """List the layouts, sources and rows that this build does not read."""
    notes = [
        f"{entry.source}: read as {entry.layout}; the folder also has {', '.join(entry.unread)}, "
        "a copy of the same rows, which was not read (choose with `layout:` in the mixture)"
        for entry in inputs
        if entry.unread
    ]
    for entry in inputs:
        layout = next(layout for layout in layouts(entry.source) if layout.name == entry.layout)
        notes += [f"{entry.source}: {line}" for line in layout.notes(entry.folder)]
    if missing:
        notes.append(f"missing sources, as allowed: {', '.join(missing)}")
    read = [entry.source for entry in inputs]
    if unread := [source for source in mixture.sources if source not in read and source not in missing]:
        notes.append(f"sources that --only left out: {', '.join(unread)}")
    if limit is not None:
        notes.append(f"only the first {limit} rows of each source were read: evaluation sets may be incomplete")
    return notes


def selection(
    mixture: Mixture,
    inputs: Sequence[Input],
    missing: Sequence[str],
    only: Sequence[str],
    limit: int | None,
    allow_lost: Sequence[str],
    is_generated: bool,
) -> dict[str, Any]:
    """Give what the build was told to leave out, and the sources of the mixture that it did not read.

    `generated_data` says that the build made its inputs itself.
    """
    read = {entry.source for entry in inputs}
    return {
        "only": list(only),
        "limit": limit,
        "allowed_missing": list(missing),
        "allowed_lost": list(allow_lost),
        "generated_data": is_generated,
        "not_read": [source for source in mixture.sources if source not in read],
    }


def require_evaluation(mixture: Mixture, root: Path, inputs: Sequence[Input]) -> None:
    """Check that the files of all evaluation sets are there.

    Raises:
        UsageError: one is not.
    """
    read = {entry.source for entry in inputs}
    absent = [item.name for item in mixture.evaluation if item.source and item.source not in read]
    absent += external_sets.absent(mixture.evaluation, root)
    if absent:
        raise UsageError(
            f"evaluation sets not found under {root}: {', '.join(absent)}; see how to get them with: "
            f"medmix fetch --mixture {mixture.name} --root {root}"
        )


def missing_shards(inputs: Sequence[Input]) -> list[str]:
    """List the numbered files that are missing and whose absence was allowed, a line for each source."""
    return [
        f"{entry.source}: files of a numbered set are missing, as allowed: {len(entry.missing_shards)}, first "
        f"{entry.missing_shards[0]}"
        for entry in inputs
        if entry.missing_shards
    ]


def of_evaluation_sets(found: Mapping[int, FingerprintedSet]) -> list[str]:
    """List the images of external evaluation sets that were not compared."""
    notes = []
    for file in found.values():
        if file.unreadable:
            first = file.items.row(by_predicate=pl.col("problem") != "", named=True)
            what = f"{file.unreadable} of {file.items.height} items have unreadable images"
            notes.append(f"evaluation set {file.name}: {what}, first {first['id']} ({first['problem']})")
    return notes
