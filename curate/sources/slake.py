"""SLAKE: English and Chinese questions on CT, MRI and X-ray images, some on a knowledge graph."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..record import ImageRef, Record, Rejected
from ..tables import field, json_rows, text_or_number
from . import Layout, Shard, declared_answer_type, find_shards, make_records

SOURCE = "slake"
IMAGES, ARCHIVE = "imgs", "imgs.zip"
HUB_VALIDATION = "validation"


def _shards(validation: str, folder: Path) -> list[Shard]:
    """Find the files of the layout whose validation file has this name; a folder is of one layout only."""
    files = {"train.json": "train", f"{validation}.json": "validation", "test.json": "test"}
    is_hub = {base: (folder / f"{base}{HUB_VALIDATION}.json").exists() for base in ("Slake1.0/", "")}
    bases = [base for base, hub in is_hub.items() if hub == (validation == HUB_VALIDATION)]
    return find_shards(folder, files, bases)


def read(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    """Give a record for each question of a split in either language.

    The format is that of https://www.med-vqa.com/slake; the authors' Hub copy `BoKelvin/SLAKE` has the same
    files, calls `validate.json` `validation.json` and packs the images in `imgs.zip`, which need not be
    unpacked. Question ids are unique over splits and languages.

    Raises:
        InputError: the file is no JSON list.
    """
    base = PurePosixPath(shard.files[0]).parent
    packed = (folder / base / ARCHIVE).exists() and not (folder / base / IMAGES).exists()
    return make_records(SOURCE, shard, json_rows(folder / shard.files[0]), partial(_record, shard, base, packed))


def _record(shard: Shard, base: PurePosixPath, packed: bool, row: int, value: Any) -> Record:
    file = shard.files[0]
    answer_type = declared_answer_type(value)
    image = (PurePosixPath(IMAGES) / field(value, "img_name", str)).as_posix()
    return Record(
        source=SOURCE,
        key=text_or_number(value, "qid"),
        split=shard.split,
        task="vqa",
        file=file,
        row=row,
        group=f"slake/{text_or_number(value, 'img_id')}",
        question=field(value, "question", str),
        answer=field(value, "answer", str),
        answer_type=answer_type,
        images=(ImageRef(str(base / ARCHIVE), member=image) if packed else ImageRef(str(base / image)),),
        modality=field(value, "modality", str).lower(),
        language=field(value, "q_lang", str),
        member=f"{value.get('location') or ''} {value['modality']}",
    )


LAYOUTS = (
    Layout("original", "Slake1.0/{train,validate,test}.json and imgs/", partial(_shards, "validate"), read),
    Layout("hub", "{train,validation,test}.json and imgs.zip", partial(_shards, HUB_VALIDATION), read),
)
