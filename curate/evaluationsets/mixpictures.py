"""The records and images of a finished mix, or of a folder of images, in the form that the search for leaks takes."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from .. import engine
from ..copies.fingerprints import FINGERPRINT, Fingerprints
from ..decide.pictures import Held
from ..errors import RowError, UsageError
from ..measure import images
from ..measure.text_keys import Texts, measure_texts
from ..mixture import Listing
from ..progress import track
from ..record import QUESTION_TASKS, ImageRef
from ..write import manifest
from ..write.chat import context_of
from .listing import paths

PART = 256
TAUGHT = ("train", "validation")
"""The splits of a mix that may hold nothing of an evaluation set."""

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
_TOLD: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("question", "answer", "context"), pl.String()),
    "choices": pl.List(pl.String),
    "explanation": pl.String(),
}
_SHARD = ["id", "source", "split", "task", "group", "images", "messages", "question", "answer", "choices"]


@dataclass(frozen=True, slots=True)
class Collection:
    """Records with their images; those of a folder of images are one record each.

    Attributes:
        rows: the columns of the table of candidates that `leaks` looks at, and `shard` and `row`, where texts lie.
        prints: fingerprints of the images, [N].
        unread: id, and what is wrong, of each image that cannot be read.
    """

    rows: pl.DataFrame
    prints: Fingerprints
    unread: Sequence[tuple[str, str]]
    _places: Sequence[Held]
    _keys: Sequence[str]

    def held(self, numbers: Iterable[int]) -> dict[int, Held]:
        """Tell where images lie."""
        return {number: self._places[number] for number in numbers}

    def keys(self) -> pl.DataFrame:
        """Give `image` and `key`, the image key of a scan, of all images."""
        schema = {"image": pl.UInt32, "key": pl.String}
        return pl.DataFrame({"image": range(len(self._keys)), "key": list(self._keys)}, schema)

    def texts(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Give `index`, `question`, `answer`, `context`, `choices` and `explanation` of rows, one shard at a time."""
        for (shard,), wanted in rows.filter(pl.col("shard") != "").group_by("shard", maintain_order=True):
            records = pl.read_parquet(str(shard), columns=[name for name in _SHARD if name != "images"])[wanted["row"]]
            told = [{**_texts(row), "explanation": _explanation(row)} for row in records.iter_rows(named=True)]
            yield pl.DataFrame(told, dict(_TOLD)).insert_column(0, wanted["index"])


@dataclass(frozen=True, slots=True)
class Part:
    """Some images of a folder, or a shard of a mix, below `folder`."""

    folder: Path
    files: tuple[str, ...]
    max_pixels: int


def of_mix(mix: Path, max_pixels: int, workers: int) -> Collection:
    """Read the training and validation records of a mix.

    Raises:
        UsageError: the folder is no mix, or it holds none.
    """
    shards = [file for file in manifest.shards_of(manifest.read(mix)) if Path(file).name.split("-")[0] in TAUGHT]
    if not shards:
        raise UsageError(f"{mix}: has no records for training or validation")
    return _collected(mix, read_shard, [Part(mix, (shard,), max_pixels) for shard in shards], workers)


def of_folder(folder: Path, max_pixels: int, workers: int) -> Collection:
    """Read the images of a folder.

    Raises:
        UsageError: it holds none.
    """
    files = [path.relative_to(folder).as_posix() for path in paths(folder, Listing())]
    parts = [Part(folder, tuple(files[start : start + PART]), max_pixels) for start in range(0, len(files), PART)]
    return _collected(folder, read_files, parts, workers)


def _collected(folder: Path, read: Any, parts: Sequence[Part], workers: int) -> Collection:
    rows: list[dict[str, Any]] = []
    first: dict[str, tuple[Held, bytes]] = {}
    unread: list[tuple[str, str]] = []
    for found in track(engine.run(read, parts, workers), len(parts), f"reading {folder.name}"):
        for row in found:
            unread += [(row["id"], problem) for problem in row.pop("problems")]
            held = row.pop("held")
            for key, place, print_ in held:
                first.setdefault(key, (place, print_))
            rows.append({**row, "keys": [key for key, _, _ in held]})
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
    return Collection(table.drop("keys"), prints, unread, [place for place, _ in first.values()], list(first))


def read_files(part: Part) -> list[dict[str, Any]]:
    """Read images, each as a record without text."""
    plain = {"source": part.folder.name, "split": "train", "group": "", "question_answer_key": None, "shard": ""}
    return [
        {
            "id": file,
            **plain,
            "row": 0,
            **_measured(part, [(ImageRef(file), (part.folder / file).read_bytes())]),
        }
        for file in part.files
    ]


def read_shard(part: Part) -> list[dict[str, Any]]:
    """Read the records of one shard of a mix."""
    (shard,) = part.files
    found: list[dict[str, Any]] = []
    for batch in pq.ParquetFile(part.folder / shard).iter_batches(batch_size=PART, columns=_SHARD):
        records = batch.to_pylist()
        keys = measure_texts([Texts(**_texts(row)) for row in records])
        for row, key in zip(records, keys, strict=True):
            place = len(found)
            refs = [ImageRef(shard, row=place, column=f"images[{number}]") for number in range(len(row["images"]))]
            data = [image["bytes"] for image in row["images"]]
            found.append(
                {
                    **{name: row[name] for name in ("id", "source", "split", "group")},
                    "question_answer_key": key.question_answer_key,
                    "shard": str(part.folder / shard),
                    "row": place,
                    **_measured(part, list(zip(refs, data, strict=True))),
                }
            )
    return found


def _measured(part: Part, pictures: Sequence[tuple[ImageRef, bytes]]) -> dict[str, Any]:
    held, problems = [], []
    for ref, data in pictures:
        try:
            facts = images.measure(data, part.max_pixels)
        except RowError as error:
            problems.append(str(error))
        else:
            place = Held(part.folder, ref, hashlib.sha256(data).hexdigest())
            held.append((facts.pixel_sha256 or facts.sha256, place, facts.fingerprint.tobytes()))
    return {"held": held, "problems": problems}


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"question": row["question"], "answer": row["answer"], "context": context_of(row), "choices": row["choices"]}


def _explanation(row: Mapping[str, Any]) -> str:
    """Give what follows the answer in the turn of the assistant; captions and reports have none."""
    said: str = row["messages"][1]["content"][0]["text"]
    return said.partition("\n")[2] if row["task"] in QUESTION_TASKS else ""
