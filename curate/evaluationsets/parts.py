"""Parts of a mix, or of a folder of images, each read by one task."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..measure.textkeys import Texts
from ..mixture import FileFilter
from ..write import manifest
from ..write.chat import context_of
from .file_filter import paths

PART = 256
"""Images, or records, that are read at once."""

_COLUMNS = ["id", "source", "split", "task", "group", "images", "messages", "question", "answer", "choices"]


@dataclass(frozen=True, slots=True)
class Part:
    """Some images of a folder, or a shard of a mix, below `folder`."""

    folder: Path
    files: tuple[str, ...]
    max_pixels: int


def of_folder(folder: Path, file_filter: FileFilter, max_pixels: int) -> list[Part]:
    """Split the images of a folder into parts.

    Raises:
        UsageError: there are no images, or the filter cannot be used.
    """
    files = [path.relative_to(folder).as_posix() for path in paths(folder, file_filter)]
    return [Part(folder, tuple(files[start : start + PART]), max_pixels) for start in range(0, len(files), PART)]


def of_mix(mix: Path, splits: Collection[str], max_pixels: int) -> list[Part]:
    """Give the shards of some splits of a mix, one per part.

    Raises:
        UsageError: the folder is no mix.
    """
    shards = manifest.shards_of(manifest.read(mix))
    return [Part(mix, (shard,), max_pixels) for shard in shards if Path(shard).name.split("-")[0] in splits]


def read_batches(part: Part) -> Iterator[tuple[list[dict[str, Any]], list[Texts]]]:
    """Give the records of a shard in batches, with their texts."""
    (shard,) = part.files
    for batch in pq.ParquetFile(part.folder / shard).iter_batches(batch_size=PART, columns=_COLUMNS):
        records = batch.to_pylist()
        yield records, [Texts(row["question"], row["answer"], context_of(row), row["choices"]) for row in records]
