"""MedMCQA (Pal et al. 2022): one-line questions of Indian entrance exams with four options.

Original: `{train,dev,test}.json`, JSON lines in spite of the name, the right option `cop` counted from 1, as in
https://github.com/medmcqa/medmcqa. Hub: parquet with `cop` counted from 0, -1 where it is not published, as in
https://huggingface.co/datasets/openlifescienceai/medmcqa. Other copies mix these forms, so each file's labels decide
from where they count, and the layout only where they fit both. The explanation `exp` is left out: it sometimes
contradicts the right option.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .. import tables
from ..errors import RowError
from ..record import Record, Rejected
from . import Layout, Shard, _hub, find_shards, make_records
from ._labels import first_label

SOURCE = "medmcqa"
_OPTIONS = ("opa", "opb", "opc", "opd")
_FILES = {"train.json": "train", "dev.json": "validation", "test.json": "test"}
_original_shards = partial(find_shards, files=_FILES, bases=("data/", ""))


def _read_original(root: Path, shard: Shard) -> Iterator[Record | Rejected]:
    path = root / shard.files[0]
    first = first_label(path, _labels(tables.json_lines(path)), len(_OPTIONS), default=1)
    return make_records(SOURCE, shard, tables.json_lines(path), partial(_record, shard, first))


def _read_hub(root: Path, shard: Shard) -> Iterator[Record | Rejected]:
    path = root / shard.files[0]
    first = first_label(path, _labels(tables.parquet_rows(path, (), optional=("cop",))), len(_OPTIONS), default=0)
    rows = tables.parquet_rows(path, ("id", "question", *_OPTIONS), optional=("cop",))
    return make_records(SOURCE, shard, rows, partial(_record, shard, first))


def _labels(rows: Iterator[tuple[int, Any]]) -> Iterator[Any]:
    return (item.get("cop") for _, item in rows if isinstance(item, dict))


def _record(shard: Shard, first: int, row: int, item: Any) -> Record:
    """Make a record; `first` is the value of `cop` for option A."""
    key = tables.field(item, "id", str)
    choices = tuple(tables.field(item, option, str) for option in _OPTIONS)
    correct = _correct(item, first)
    return Record(
        source=SOURCE,
        key=key,
        split=shard.split,
        task="mcqa",
        file=shard.files[0],
        row=row,
        group=f"medmcqa/{key}",
        question=tables.field(item, "question", str),
        choices=choices,
        correct=correct,
        answer=choices[correct],
        answer_type="closed",
    )


def _correct(item: dict[str, Any], first: int) -> int:
    if item.get("cop") in (None, -1, first - 1):
        raise RowError("no-answer", "upstream does not publish the answers of this split")
    position = tables.field(item, "cop", int) - first
    if not 0 <= position < len(_OPTIONS):
        raise RowError("unparsable-row", f"field 'cop' is {position + first}, which names no option")
    return position


LAYOUTS = (
    Layout("original", "data/train.json, data/dev.json, data/test.json", _original_shards, _read_original),
    Layout("hub", _hub.EXPECTS, _hub.shards, _read_hub),
)
