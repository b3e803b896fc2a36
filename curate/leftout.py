"""What a build leaves out that a full one would have: its notes."""

from collections.abc import Mapping, Sequence

import polars as pl

from .evaluationsets.fingerprint_file import EvaluationFile
from .mixture import EvaluationSet, Mixture
from .read.inputs import Input
from .sources import layouts


def notes(mixture: Mixture, inputs: Sequence[Input], missing: Sequence[str], limit: int | None) -> list[str]:
    """Say what this build leaves out that a full one would have."""
    said = [
        f"{entry.source}: read as {entry.layout}; {', '.join(entry.unread)} lies there too, "
        "a copy of the same rows, and was not read (choose with `layout:` in the mixture)"
        for entry in inputs
        if entry.unread
    ]
    for entry in inputs:
        layout = next(layout for layout in layouts(entry.source) if layout.name == entry.layout)
        said += [f"{entry.source}: {line}" for line in layout.notes(entry.folder)]
    if missing:
        said.append(f"left out, as allowed: {', '.join(missing)}")
    read = {entry.source for entry in inputs}
    unchecked = [item.name for item in mixture.evaluation if item.source and item.source not in read]
    if unchecked:
        said.append(f"not kept clean of evaluation sets that were not read: {', '.join(unchecked)}")
    if limit is not None:
        said.append(f"only the first {limit} rows of each source were read: evaluation sets may be incomplete")
    return said


def of_evaluation(aside: Mapping[int, EvaluationFile], evaluation: Sequence[EvaluationSet]) -> list[str]:
    """Say which evaluation sets of images, or which images of them, were not compared."""
    absent = [item.name for place, item in enumerate(evaluation) if item.images and place not in aside]
    said = []
    if absent:
        said.append(f"not kept clean of evaluation sets that do not lie beside the sources: {', '.join(absent)}")
    for file in aside.values():
        if file.unread:
            first = file.items.row(by_predicate=pl.col("problem") != "", named=True)
            what = f"{file.unread} of {file.items.height} items have images that cannot be read"
            said.append(f"evaluation set {file.name}: {what}, {first['id']} first ({first['problem']})")
    return said
