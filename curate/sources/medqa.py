"""MedQA (Jin et al. 2021): the US part, vignettes of the medical licence exam with four or five options.

JSON lines with the options as an object keyed by letter, as in https://github.com/jind11/MedQA; the Hub's
GBaker/MedQA-USMLE-4-options holds two of the four-option files. A row has no id of its own.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from .. import tables
from ..errors import RowError
from ..record import Record, Rejected
from . import Layout, Shard, find_shards, make_records

SOURCE = "medqa"
_UPSTREAM_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def _shards(pattern: str, root: Path) -> list[Shard]:
    return find_shards(root, {pattern.format(upstream): split for upstream, split in _UPSTREAM_SPLITS.items()})


def _read(root: Path, shard: Shard) -> Iterator[Record | Rejected]:
    rows = tables.json_lines(root / shard.files[0])
    return make_records(SOURCE, shard, rows, partial(_record, shard), stem=shard.split)


def _record(shard: Shard, row: int, item: Any) -> Record:
    key = f"{shard.split}/{row}"
    choices = _choices(tables.field(item, "options", dict))
    letter = tables.field(item, "answer_idx", str)
    correct = ascii_uppercase.find(letter) if len(letter) == 1 else -1
    if not 0 <= correct < len(choices):
        raise RowError("unparsable-row", f"field 'answer_idx' is {letter!r}, which names no option")
    answer = tables.field(item, "answer", str)
    if answer != choices[correct]:
        raise RowError("unparsable-row", f"field 'answer' is not the text of option {letter}")
    return Record(
        source=SOURCE,
        key=key,
        split=shard.split,
        task="mcqa",
        file=shard.files[0],
        row=row,
        group=f"medqa/{key}",
        question=tables.field(item, "question", str),
        choices=choices,
        correct=correct,
        answer=answer,
        answer_type="closed",
    )


def _choices(options: dict[str, Any]) -> tuple[str, ...]:
    letters = ascii_uppercase[: len(options)]
    if len(options) < 2 or sorted(options) != list(letters):
        raise RowError("unparsable-row", f"field 'options' has the keys {', '.join(options)}, expected A, B, ...")
    return tuple(tables.field(options, letter, str) for letter in letters)


_FOLDER = "data_clean/questions/US"
_FOUR = "phrases_no_exclude_{}.jsonl"

LAYOUTS = tuple(
    Layout(name, pattern.format(f"{{{','.join(splits)}}}"), partial(_shards, pattern), _read)
    for name, pattern, splits in (
        ("original", f"{_FOLDER}/4_options/{_FOUR}", ("train", "dev", "test")),
        ("hub", _FOUR, ("train", "test")),
        ("five-options", f"{_FOLDER}/{{}}.jsonl", ("train", "dev", "test")),
    )
)
