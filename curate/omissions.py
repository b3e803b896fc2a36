"""What a build omits that a full one would contain, as notes for people."""

from collections.abc import Mapping, Sequence

import polars as pl

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
