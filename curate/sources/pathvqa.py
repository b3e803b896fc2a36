"""PathVQA: questions made by rules from the captions of pathology textbooks and of PEIR."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..record import ImageRef, Record, Rejected
from ..tables import field, pickle_rows
from . import Layout, Shard, _hub, find_shards, make_records, yes_no_type

SOURCE = "pathvqa"
SPLIT_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def _original_shards(folder: Path) -> list[Shard]:
    files = {f"qas/{name}/{name}_qa.pkl": split for name, split in SPLIT_FOLDERS.items()}
    return find_shards(folder, files, ("split/", ""))


def read_original(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    """Give a record for each question of a split's pickle, a list of dicts with image, question and answer.

    The format is that of the authors' Drive folder, https://github.com/UCSD-AI4H/PathVQA.

    Raises:
        InputError: the file is no pickle of plain data.
    """
    file = shard.files[0]
    name = PurePosixPath(file).parent.name
    return make_records(SOURCE, shard, pickle_rows(folder / file), partial(_record, shard, name), stem=name)


def _record(shard: Shard, name: str, row: int, value: Any) -> Record:
    file = shard.files[0]
    image = field(value, "image", str).removeprefix(f"{name}/")
    answer = field(value, "answer", str)
    return Record(
        source=SOURCE,
        key=f"{name}/{row}",
        split=shard.split,
        task="vqa",
        file=file,
        row=row,
        group=f"pathvqa/{image}",
        question=field(value, "question", str),
        answer=answer,
        answer_type=yes_no_type(answer),
        images=(ImageRef((PurePosixPath(file).parents[2] / "images" / name / f"{image}.jpg").as_posix()),),
    )


LAYOUTS = (
    Layout("original", "qas/train/train_qa.pkl and images/train/", _original_shards, read_original),
    Layout("hub", _hub.EXPECTS, _hub.shards, _hub.reader(SOURCE, "pathvqa", otherwise="open")),
)
