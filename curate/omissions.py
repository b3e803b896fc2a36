"""What a build omits that a full one would contain, as notes for people."""

from collections.abc import Mapping, Sequence

import polars as pl

from .evaluationsets.fingerprint_file import FingerprintedSet
from .mixture import EvaluationSet, Mixture
from .read.inputs import Input
from .sources import layouts


def of_sources(mixture: Mixture, inputs: Sequence[Input], missing: Sequence[str], limit: int | None) -> list[str]:
    """List the layouts, sources, evaluation sets and rows that this build does not read."""
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
    read = {entry.source for entry in inputs}
    unchecked = [item.name for item in mixture.evaluation if item.source and item.source not in read]
    if unchecked:
        notes.append(f"no leak check for evaluation sets that were not read: {', '.join(unchecked)}")
    if limit is not None:
        notes.append(f"only the first {limit} rows of each source were read: evaluation sets may be incomplete")
    return notes


def of_evaluation_sets(found: Mapping[int, FingerprintedSet], evaluation: Sequence[EvaluationSet]) -> list[str]:
    """List the external evaluation sets, and the images of them, that were not compared."""
    absent = [item.name for place, item in enumerate(evaluation) if item.images and place not in found]
    notes = []
    if absent:
        notes.append(f"no leak check for evaluation sets that are not under the root: {', '.join(absent)}")
    for file in found.values():
        if file.unreadable:
            first = file.items.row(by_predicate=pl.col("problem") != "", named=True)
            what = f"{file.unreadable} of {file.items.height} items have unreadable images"
            notes.append(f"evaluation set {file.name}: {what}, first {first['id']} ({first['problem']})")
    return notes
