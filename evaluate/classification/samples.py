"""Labelled images of a dataset: the type that readers, splits, encoders and scores share, and names in messages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from medmix.curate.errors import UsageError

from .datasets import EvalSet

NAMED = 10
"""How many of many are named in a message."""


@dataclass(frozen=True, slots=True)
class Element:
    """An image inside an npz file: a row of one of its arrays."""

    file: Path
    array: str
    row: int


Source: TypeAlias = Path | Element


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and its labels.

    Attributes:
        key: unique in the set and the same from machine to machine: the file's path in the set's folder.
        image: where its bytes are.
        labels: the numbers of its classes, ascending; one for single-label sets.
        split: `train`, `validation`, `test`, or "" where upstream has no splits.
        group: the patient, slide, lesion or case; "" where it is not known.
    """

    key: str
    image: Source
    labels: tuple[int, ...]
    split: str = ""
    group: str = ""


def some(names: Sequence[str]) -> str:
    """Name the first ten."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def group_of(facts: EvalSet, name: str) -> str:
    """Give the unit that a file name tells, "" where the set has no pattern for it.

    Raises:
        UsageError: the name does not match the set's pattern.
    """
    if facts.splits.group is None:
        return ""
    found = re.search(facts.splits.group, name)
    if found is None or not found[1]:
        raise UsageError(
            f"{facts.id}: the name {name!r} tells no {facts.splits.by} by splits.group {facts.splits.group!r}; "
            "mend the pattern"
        )
    return found[1]


def is_inside(name: str) -> bool:
    """Tell whether a name from a list stays in the folder that it is relative to."""
    path = PurePosixPath(name)
    return bool(name.strip()) and not path.is_absolute() and ".." not in path.parts
