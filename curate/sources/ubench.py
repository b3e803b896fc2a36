"""Reader of μ-Bench (Lozano et al. 2024): multiple-choice questions on microscopy images.

Arrow shards, as in https://huggingface.co/datasets/jnirschl/uBench, or the Hub's conversion of them to parquet. A row
is an image with a question on each of several topics, which become records of one group; the captions of the same
topics say nothing else and are left out. It is a benchmark, so every row is test.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import RowError
from ..record import ImageRef, Record, Rejected
from ..tables import arrow_rows, field, parquet_rows
from . import Layout, Shard, find_files, make_records

SOURCE = "ubench"
_COLUMNS = ("image_id", "dataset", "license", "modality", "questions")
_IMAGE = "image"
_ARROW = "perception/0.1.0/ubench-test-*.arrow"
_PARQUET = ("data/test-*.parquet", "*/test/*.parquet", "*/ubench-test*.parquet")

_Rows = Iterator[tuple[int, dict[str, Any] | RowError]]
_Question = tuple[dict[str, Any], str, Any]
"""Row of the image, topic and question."""


def _shards(patterns: tuple[str, ...], folder: Path) -> list[Shard]:
    """Give the files of the first pattern that matches any."""
    for pattern in patterns:
        if paths := find_files(folder, pattern):
            return [Shard((path.relative_to(folder).as_posix(),), "test") for path in paths]
    return []


def _read(read_rows: Callable[..., _Rows], folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    rows = read_rows(folder / shard.files[0], _COLUMNS, unread=(_IMAGE,))
    return make_records(SOURCE, shard, _questions(rows), partial(_record, shard))


def _questions(rows: _Rows) -> Iterator[tuple[int, _Question | RowError]]:
    """Give the questions of each image; an image without any gives an error."""
    for row, value in rows:
        if isinstance(value, RowError):
            yield row, value
            continue
        topics = value["questions"] if isinstance(value["questions"], dict) else {}
        asked = [(value, topic, question) for topic, question in topics.items() if _is_asked(question)]
        yield from ((row, question) for question in asked)
        if not asked:
            yield row, RowError("unparsable-row", "an image without questions")


def _is_asked(question: Any) -> bool:
    """Tell whether a question exists; some writers of Arrow turn a null into an object of nulls."""
    return any(question.values()) if isinstance(question, dict) else question is not None


def _record(shard: Shard, row: int, value: _Question) -> Record:
    image, topic, question = value
    image_id = field(image, "image_id", str)
    choices = tuple(field(question, "options", list))
    if not all(isinstance(choice, str) for choice in choices):
        raise RowError("unparsable-row", f"field 'options' holds what is no text: {choices}")
    correct = _correct(question, choices)
    return Record(
        source=SOURCE,
        key=f"{image_id}/{topic}",
        split="test",
        task="mcqa",
        file=shard.files[0],
        row=row,
        group=f"ubench/{image_id}",
        question=field(question, "question", str),
        choices=choices,
        correct=correct,
        answer=choices[correct],
        answer_type="closed",
        images=(ImageRef(shard.files[0], row=row, column=_IMAGE),),
        modality=_text_or_null(image, "modality").lower(),
        licence=_text_or_null(image, "license"),
        attribution=_text_or_null(image, "dataset"),  # null for the images of Held et al. 2010
    )


def _text_or_null(image: dict[str, Any], name: str) -> str:
    return "" if image[name] is None else field(image, name, str)


def _correct(question: Any, choices: tuple[str, ...]) -> int:
    answer, correct = field(question, "answer", str), field(question, "answer_idx", int)
    if not 0 <= correct < len(choices) or choices[correct] != answer:
        raise RowError("unparsable-row", f"answer {answer!r} is not option {correct} of {choices}")
    return correct


LAYOUTS = (
    Layout("original", _ARROW, partial(_shards, (_ARROW,)), partial(_read, arrow_rows)),
    Layout("hub", " or ".join(_PARQUET), partial(_shards, _PARQUET), partial(_read, parquet_rows)),
)
