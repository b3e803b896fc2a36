"""VQA-RAD: questions that clinicians asked about MedPix images."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..record import ImageRef, Record, Rejected
from ..tables import field, json_rows, text_or_number
from . import Layout, Shard, _hub, declared_answer_type, find_shards, make_records

SOURCE = "vqa_rad"
PUBLIC_FILE = "VQA_RAD Dataset Public.json"
PUBLIC_IMAGES = "VQA_RAD Image Folder"

_original_shards = partial(find_shards, files={PUBLIC_FILE: ""})
_repacked_shards = partial(
    find_shards, files={"trainset.json": "train", "testset.json": "test"}, bases=("data_RAD/", "")
)


def read_original(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    """Give a record for each question of the OSF file; rephrased questions are left to the re-packing.

    The format is that of https://osf.io/89kps; `phrase_type` starts with `test_` for test rows.

    Raises:
        InputError: the file is no JSON list.
    """
    return make_records(SOURCE, shard, json_rows(folder / shard.files[0]), partial(_original_record, shard))


def _original_record(shard: Shard, row: int, value: Any) -> Record:
    split = "test" if field(value, "phrase_type", str).startswith("test_") else "train"
    return _record(shard.files[0], row, value, split, PUBLIC_IMAGES)


def read_repacked(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    """Give a record for each row of `trainset.json` or `testset.json`, where a rephrased question is its own row.

    The format is that of the MEVF re-packing, https://github.com/aioz-ai/MICCAI19-MedVQA.

    Raises:
        InputError: the file is no JSON list.
    """
    return make_records(SOURCE, shard, json_rows(folder / shard.files[0]), partial(_repacked_record, shard))


def _repacked_record(shard: Shard, row: int, value: Any) -> Record:
    images = (PurePosixPath(shard.files[0]).parent / "images").as_posix()
    return _record(shard.files[0], row, value, shard.split, images)


def _record(file: str, row: int, value: Any, split: str, images: str) -> Record:
    name = field(value, "image_name", str)
    answer_type = declared_answer_type(value)
    return Record(
        source=SOURCE,
        key=text_or_number(value, "qid"),
        split=split,
        task="vqa",
        file=file,
        row=row,
        group=f"medpix/{PurePosixPath(name).stem}",
        question=field(value, "question", str),
        answer=text_or_number(value, "answer"),
        answer_type=answer_type,
        images=(ImageRef(f"{images}/{name}"),),
    )


LAYOUTS = (
    Layout("original", f"{PUBLIC_FILE!r} and '{PUBLIC_IMAGES}/'", _original_shards, read_original),
    Layout("repacked", "trainset.json, testset.json and images/", _repacked_shards, read_repacked),
    # closed questions of VQA-RAD are more than yes and no, so other answers are not known to be open
    Layout("hub", _hub.EXPECTS, _hub.shards, _hub.reader(SOURCE, "medpix", otherwise="")),
)
