"""Hugging Face Hub copies in parquet: what the readers of visual questions share."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..record import SPLITS, ImageRef, Record, Rejected
from ..tables import field, parquet_rows
from . import Shard, find_files, make_records, yes_no_type

EXPECTS = "data/{train,validation,test}-*.parquet"


def shards(folder: Path, places: tuple[str, ...] = ("data", "*/data")) -> list[Shard]:
    """Find the parquet files of all splits in the first of the places, which are globs, that has some."""
    for data in (data for place in places for data in sorted(folder.glob(place))):
        found = [
            Shard((file.relative_to(folder).as_posix(),), split)
            for split in SPLITS
            for file in find_files(data, f"{split}-*.parquet")
        ]
        if found:
            return found
    return []


def reader(source: str, namespace: str, otherwise: str) -> Callable[[Path, Shard], Iterator[Record | Rejected]]:
    """Make the reader of a copy with the columns image, question and answer.

    The copies name neither image nor question: a group is the digest of the image's bytes, a key
    the file's stem and the row.

    Args:
        source: id of the source.
        namespace: of the groups.
        otherwise: the answer type of answers other than yes and no.
    """

    def read(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
        rows = parquet_rows(folder / shard.files[0], ("image.bytes", "question", "answer"))
        return make_records(source, shard, rows, partial(_record, source, namespace, otherwise, shard))

    return read


def _record(source: str, namespace: str, otherwise: str, shard: Shard, row: int, value: Any) -> Record:
    file = shard.files[0]
    data = field(field(value, "image", dict), "bytes", bytes)
    answer = field(value, "answer", str)
    return Record(
        source=source,
        key=f"{PurePosixPath(file).stem}/{row}",
        split=shard.split,
        task="vqa",
        file=file,
        row=row,
        group=f"{namespace}/{hashlib.sha256(data).hexdigest()[:16]}",
        question=field(value, "question", str),
        answer=answer,
        answer_type=yes_no_type(answer, otherwise),
        images=(ImageRef(file, row=row, column="image"),),
    )
