"""One labelled image of a set: the contract between readers, splits, encoders and scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


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
