"""The questions of a split of a mix."""

from collections.abc import Iterator
from pathlib import Path

from medmix.curate.errors import RowError, UsageError
from medmix.train.data import stream

from .images import QuestionImages
from .questions import COLUMNS, Question, from_row, has_question


def read_questions(mix: Path, split: str, names: tuple[str, ...], image_store: QuestionImages) -> list[Question]:
    """Read the questions of a split with their images, of all sources unless some are named.

    Raises:
        UsageError: the folder is no mix, the split has no questions, or an image is broken.
    """
    found = []
    try:
        for row in stream.rows(stream.open_split(mix, split), (*COLUMNS, "images")):
            if has_question(row["task"]) and (not names or row["source"] in names):
                found.append(from_row(row, [image_store.add_bytes(image["bytes"]) for image in row["images"]]))
    except RowError as error:
        raise UsageError(f"{row['id']}: unusable image ({error}); run: medmix check {mix}") from None
    if not found:
        of = f" of {', '.join(names)}" if names else ""
        raise UsageError(f"{mix} has no questions{of} in its {split} split; choose another split or mix")
    return found


def sources_with_questions(mix: Path, split: str) -> list[str]:
    """List the sources of a split that have questions, sorted."""
    rows = stream.rows(stream.open_split(mix, split), ("source", "task"))
    return sorted({row["source"] for row in rows if has_question(row["task"])})


def training_questions(mix: Path) -> Iterator[Question]:
    """Yield the questions of the train split, without their images."""
    for row in stream.rows(stream.open_split(mix, "train"), COLUMNS):
        if has_question(row["task"]):
            yield from_row(row)
