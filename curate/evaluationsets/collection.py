"""The records and images of a finished mix, or of a folder of images, as the leak search reads them."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .. import engine
from ..copies.fingerprints import FINGERPRINT, Fingerprints
from ..decide.scan_images import ImageLocation
from ..errors import RowError, UsageError
from ..measure import images
from ..measure.textkeys import measure
from ..mixture import FileFilter
from ..progress import track
from ..record import ASKING_TASKS, ImageRef
from . import parts
from .parts import Part

TRAINING_SPLITS = ("train", "validation")
"""The splits of a mix that may contain nothing of an evaluation set."""

_ROWS: Mapping[str, pl.DataType] = {
    "id": pl.String(),
    "source": pl.String(),
    "split": pl.String(),
    "group": pl.String(),
    "question_answer_key": pl.String(),
    "shard": pl.String(),
    "row": pl.UInt32(),
    "keys": pl.List(pl.String),
}
_TEXTS: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("question", "answer", "context"), pl.String()),
    "choices": pl.List(pl.String),
    "explanation": pl.String(),
}


@dataclass(frozen=True, slots=True)
class Collection:
    """Records with their images; each image of a folder is one record.

    Attributes:
        rows: the columns of the table of candidates that `leaks` reads, and `shard` and `row`, to find the texts.
        prints: fingerprints of the images, [N].
        unreadable: id and problem of each unreadable image.
    """

    rows: pl.DataFrame
    prints: Fingerprints
    unreadable: Sequence[tuple[str, str]]
    _locations: Sequence[ImageLocation]
    _keys: Sequence[str]

    def locations(self, numbers: Iterable[int]) -> dict[int, ImageLocation]:
        """Give the locations of images by their numbers."""
        return {number: self._locations[number] for number in numbers}

    def keys(self) -> pl.DataFrame:
        """Give `image` and `key`, the image key of a scan, of all images."""
        schema = {"image": pl.UInt32, "key": pl.String}
        return pl.DataFrame({"image": range(len(self._keys)), "key": list(self._keys)}, schema)

    def texts(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Give `index`, `question`, `answer`, `context`, `choices` and `explanation` of rows, one shard at a time."""
        columns = [name for name in parts.COLUMNS if name != "images"]
        for (shard,), wanted in rows.filter(pl.col("shard") != "").group_by("shard", maintain_order=True):
            records = pl.read_parquet(str(shard), columns=columns)[wanted["row"]]
            rows_of_shard = records.iter_rows(named=True)
            texts = [{**asdict(parts.texts_of(row)), "explanation": _explanation(row)} for row in rows_of_shard]
            yield pl.DataFrame(texts, dict(_TEXTS)).insert_column(0, wanted["index"])


def of_mix(mix: Path, max_pixels: int, workers: int) -> Collection:
    """Read the training and validation records of a mix.

    Raises:
        UsageError: the folder is no mix, or it has no such records.
    """
    shards = parts.of_mix(mix, TRAINING_SPLITS, max_pixels)
    if not shards:
        raise UsageError(f"{mix}: has no records for training or validation")
    return _collect(mix, read_shard, shards, workers)


def of_folder(folder: Path, max_pixels: int, workers: int) -> Collection:
    """Read the images of a folder.

    Raises:
        UsageError: it has no images.
    """
    return _collect(folder, read_files, parts.of_folder(folder, FileFilter(), max_pixels), workers)


def _collect(folder: Path, read: Any, tasks: Sequence[Part], workers: int) -> Collection:
    rows: list[dict[str, Any]] = []
    first: dict[str, tuple[ImageLocation, bytes]] = {}
    unreadable: list[tuple[str, str]] = []
    for found in track(engine.run(read, tasks, workers), len(tasks), f"reading {folder.name}"):
        for row in found:
            unreadable += [(row["id"], problem) for problem in row.pop("problems")]
            measured = row.pop("measured")
            for key, location, print_ in measured:
                first.setdefault(key, (location, print_))
            rows.append({**row, "keys": [key for key, _, _ in measured]})
    number = {key: place for place, key in enumerate(first)}
    table = pl.DataFrame(rows, dict(_ROWS)).with_row_index("index")
    numbers = [[number[key] for key in keys] for keys in table["keys"].to_list()]
    table = table.with_columns(
        images=pl.Series(numbers, dtype=pl.List(pl.UInt32)),
        upstream_split=pl.col("split"),
        stage=pl.lit(""),
        reason=pl.lit(""),
        rank=pl.col("source").rank("dense").cast(pl.UInt32),
    )
    prints = np.frombuffer(b"".join(print_ for _, print_ in first.values()), FINGERPRINT)
    locations = [location for location, _ in first.values()]
    return Collection(table.drop("keys"), prints, unreadable, locations, list(first))


def read_files(part: Part) -> list[dict[str, Any]]:
    """Read images, each as a record without text."""
    plain = {"source": part.folder.name, "split": "train", "group": "", "question_answer_key": None, "shard": ""}
    return [
        {"id": file, **plain, "row": 0, **_measure(part, [(ImageRef(file), (part.folder / file).read_bytes())])}
        for file in part.files
    ]


def read_shard(part: Part) -> list[dict[str, Any]]:
    """Read the records of one shard of a mix."""
    (shard,) = part.files
    found: list[dict[str, Any]] = []
    for records, texts in parts.read_batches(part):
        for row, key in zip(records, measure(texts), strict=True):
            place = len(found)
            refs = [ImageRef(shard, row=place, column=f"images[{number}]") for number in range(len(row["images"]))]
            data = [image["bytes"] for image in row["images"]]
            found.append(
                {
                    **{name: row[name] for name in ("id", "source", "split", "group")},
                    "question_answer_key": key.question_answer_key,
                    "shard": str(part.folder / shard),
                    "row": place,
                    **_measure(part, list(zip(refs, data, strict=True))),
                }
            )
    return found


def _measure(part: Part, pictures: Sequence[tuple[ImageRef, bytes]]) -> dict[str, Any]:
    """Give key, location and fingerprint of each readable image, and the problems of the others."""
    measured, problems = [], []
    for ref, data in pictures:
        try:
            facts = images.measure(data, part.max_pixels)
        except RowError as error:
            problems.append(str(error))
        else:
            location = ImageLocation(part.folder, ref, hashlib.sha256(data).hexdigest())
            measured.append((facts.pixel_sha256 or facts.sha256, location, facts.fingerprint.tobytes()))
    return {"measured": measured, "problems": problems}


def _explanation(row: Mapping[str, Any]) -> str:
    """Give the text after the answer in the assistant's turn; captions and reports have none."""
    reply: str = row["messages"][1]["content"][0]["text"]
    return reply.partition("\n")[2] if row["task"] in ASKING_TASKS else ""
