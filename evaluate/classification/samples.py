"""Labelled images of a dataset: the type that readers, splits, encoders and scores share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from medmix.curate.errors import UsageError

from .datasets import DatasetInfo

LISTED = 10
"""How many names a message lists."""


@dataclass(frozen=True, slots=True)
class Element:
    """An image in an npz file: a row of one of its arrays."""

    file: Path
    array: str
    row: int


Source: TypeAlias = Path | Element


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and its labels.

    Attributes:
        key: unique in the dataset and the same on every machine: the file's path in the dataset's folder.
        image: the location of its bytes.
        labels: the numbers of its classes, ascending; one for single-label sets.
        split: `train`, `validation`, `test`, or "" if upstream has no splits.
        group: the patient, slide, lesion or case; "" if unknown.
    """

    key: str
    image: Source
    labels: tuple[int, ...]
    split: str = ""
    group: str = ""


def first_ten(names: Sequence[str]) -> str:
    """List the first ten names, and the number of the others."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def group_of(info: DatasetInfo, name: str) -> str:
    """Return the group in a file name, "" if the dataset has no pattern for it.

    Raises:
        UsageError: the name does not match the pattern.
    """
    if info.splits.group_pattern is None:
        return ""
    found = re.search(info.splits.group_pattern, name)
    if found is None or not found[1]:
        raise UsageError(
            f"{info.id}: no {info.splits.group_by} in the name {name!r} by splits.group_pattern "
            f"{info.splits.group_pattern!r}; fix the pattern"
        )
    return found[1]


def is_inside(name: str) -> bool:
    """Return whether a relative name stays inside its folder."""
    path = PurePosixPath(name)
    return bool(name.strip()) and not path.is_absolute() and ".." not in path.parts
