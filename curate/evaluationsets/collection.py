"""Scan a finished mix, or a folder of images, for the leak search: the columns of a scan that it reads."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from .. import engine
from ..decide import scan_images
from ..decide.candidates import number_images
from ..decide.scan_texts import ScanTexts
from ..errors import RowError, UsageError
from ..measure import images
from ..measure.scans import ScanFile
from ..measure.textkeys import measure
from ..mixture import FileFilter
from ..progress import track
from ..record import ASKING_TASKS, ImageRef
from ..write import manifest
from . import parts
from .parts import Part

TRAINING_SPLITS = ("train", "validation")
"""The splits of a mix that may contain nothing of an evaluation set."""

_KEYS = ("id", "source", "split", "group", "question_answer_key")
_STRINGS = pl.List(pl.String)
SCHEMA = pl.Schema(
    {
        **dict.fromkeys((*_KEYS, "question", "answer", "context", "explanation"), pl.String()),
        **dict.fromkeys(("choices", "problems", "image_sha256", "image_key"), _STRINGS),
        "images": pl.List(
            pl.Struct({"path": pl.String(), "member": pl.String(), "row": pl.Int64(), "column": pl.String()})
        ),
        "fingerprint": pl.List(pl.Binary),
    }
)
"""The columns of a scan, by record; `problems` of its unreadable images, which the image columns do not have."""


class Collection(NamedTuple):
    """Records with their images and texts; each image of a folder is one record.

    Attributes:
        rows: the columns of the table of candidates that `leaks` reads.
        unreadable: id and problem of each unreadable image.
    """

    rows: pl.DataFrame
    images: scan_images.ScanImages
    texts: ScanTexts
    unreadable: list[tuple[str, str]]


def load(target: Path, work: Path, max_pixels: int, workers: int) -> Collection:
    """Scan the images of a folder, or the training and validation records of a mix, into `work`.

    Raises:
        UsageError: the folder has no images, or the mix has no such records.
    """
    if not target.is_dir():
        raise UsageError(f"{target} is not a folder; give a finished mix or a folder of images")
    if (target / manifest.NAME).is_file():
        read, tasks = read_shard, parts.of_mix(target, TRAINING_SPLITS, max_pixels)
    else:
        read, tasks = read_files, parts.of_folder(target, FileFilter(), max_pixels)
    if not tasks:
        raise UsageError(f"{target}: has no records for training or validation")
    scans, frames = [], []
    for number, frame in enumerate(track(engine.run(read, tasks, workers), len(tasks), f"reading {target.name}")):
        scans.append(ScanFile(target.name, work / f"scan-{number}.parquet"))
        frame.write_parquet(scans[-1].path)
        place = {"scan": pl.lit(number, pl.UInt32), "scan_row": pl.int_range(pl.len(), dtype=pl.UInt32)}
        frames.append(frame.select(*_KEYS, "problems", keys="image_key", **place))
    table = pl.concat(frames).with_row_index("index")
    unreadable = table.select("id", "problems").explode("problems").drop_nulls().rows()
    rows = number_images(table).with_columns(
        upstream_split="split",
        stage=pl.lit(""),
        reason=pl.lit(""),
        rank=pl.col("source").rank("dense").cast(pl.UInt32),
    )
    return Collection(rows, scan_images.load(scans, rows, {target.name: target}), ScanTexts(scans, {}), unreadable)


def read_files(part: Part) -> pl.DataFrame:
    """Scan images, each as a record without text."""
    plain: dict[str, Any] = dict.fromkeys(("group", "question", "answer", "context", "explanation"), "")
    plain |= {"source": part.folder.name, "split": "train", "question_answer_key": None, "choices": []}
    rows = [
        {"id": file, **plain, **_measure(part, {ImageRef(file): (part.folder / file).read_bytes()})}
        for file in part.files
    ]
    return pl.DataFrame(rows, SCHEMA)


def read_shard(part: Part) -> pl.DataFrame:
    """Scan the records of one shard of a mix."""
    (shard,) = part.files
    rows: list[dict[str, Any]] = []
    for records, texts in parts.read_batches(part):
        for row, text, key in zip(records, texts, measure(texts), strict=True):
            refs = [ImageRef(shard, row=len(rows), column=f"images[{place}]") for place in range(len(row["images"]))]
            data = [image["bytes"] for image in row["images"]]
            rows.append(
                {
                    **{name: row[name] for name in ("id", "source", "split", "group")},
                    "question_answer_key": key.question_answer_key,
                    **asdict(text),
                    "explanation": _explanation(row),
                    **_measure(part, dict(zip(refs, data, strict=True))),
                }
            )
    return pl.DataFrame(rows, SCHEMA)


def _measure(part: Part, pictures: Mapping[ImageRef, bytes]) -> dict[str, list[Any]]:
    """Give the image columns of a record."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("images", "image_sha256", "image_key", "fingerprint", "problems")
    }
    for ref, data in pictures.items():
        try:
            facts = images.measure(data, part.max_pixels)
        except RowError as error:
            columns["problems"].append(str(error))
        else:
            columns["images"].append(asdict(ref))
            columns["image_sha256"].append(hashlib.sha256(data).hexdigest())
            columns["image_key"].append(facts.pixel_sha256 or facts.sha256)
            columns["fingerprint"].append(facts.fingerprint.tobytes())
    return columns


def _explanation(row: Mapping[str, Any]) -> str:
    """Give the text after the answer in the assistant's turn; captions and reports have none."""
    reply: str = row["messages"][1]["content"][0]["text"]
    return reply.partition("\n")[2] if row["task"] in ASKING_TASKS else ""
