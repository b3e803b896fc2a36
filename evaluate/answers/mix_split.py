"""The questions of a split of a mix."""

from collections.abc import Iterator
from pathlib import Path

from medmix.curate.errors import RowError, UsageError
from medmix.train.data import stream

from .images import Pictures
from .questions import COLUMNS, Question, asks, of_row


def read(mix: Path, split: str, names: tuple[str, ...], pictures: Pictures) -> list[Question]:
    """Read the questions of a split, of all sources unless some are named, each with its images.

    Raises:
        UsageError: the folder is no mix, the split has no questions, or an image is broken.
    """
    found = []
    try:
        for row in stream.rows(stream.open_split(mix, split), (*COLUMNS, "images")):
            if asks(row["task"]) and (not names or row["source"] in names):
                found.append(of_row(row, [pictures.add_bytes(image["bytes"]) for image in row["images"]]))
    except RowError as error:
        raise UsageError(f"{row['id']}: an image cannot be used ({error}); type: medmix check {mix}") from None
    if not found:
        of = f" of {', '.join(names)}" if names else ""
        raise UsageError(f"{mix} has no questions{of} in its {split} split; give another split or mix")
    return found


def sources(mix: Path, split: str) -> list[str]:
    """List the sources of a split that ask questions, sorted."""
    rows = stream.rows(stream.open_split(mix, split), ("source", "task"))
    return sorted({row["source"] for row in rows if asks(row["task"])})


def training(mix: Path) -> Iterator[Question]:
    """Yield the questions of the train split, without their images."""
    for row in stream.rows(stream.open_split(mix, "train"), COLUMNS):
        if asks(row["task"]):
            yield of_row(row, ())
