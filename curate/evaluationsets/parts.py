"""Parts of a mix, or of a folder of images, each read by one task."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from ..measure.text_keys import Texts, measure_texts
from ..mixture import FileFilter
from ..record import QUESTION_TASKS, ImageRef
from ..write import manifest
from ..write.chat import context_of
from .file_filter import paths

IMAGES_PER_PART = 256
BATCH = 256
"""Records of a mix that are in memory at once, with their images."""

_COLUMNS = ["id", "source", "split", "task", "group", "images", "messages", "question", "answer", "choices"]
_NO_TEXTS = Texts("", "", "", ())


@dataclass(frozen=True, slots=True)
class Part:
    """Some images of a folder, or a shard of a mix, below `folder`."""

    folder: Path
    files: tuple[str, ...]
    is_shard: bool
    max_pixels: int


class Item(NamedTuple):
    """A record of a mix, or an image of a folder, which has no texts."""

    id: str
    source: str
    split: str
    group: str
    question_answer_key: str | None
    texts: Texts
    explanation: str
    pictures: Mapping[ImageRef, bytes]


def of_folder(folder: Path, file_filter: FileFilter, max_pixels: int) -> list[Part]:
    """Split the images of a folder into parts.

    Raises:
        UsageError: there are no images, or the filter cannot be used.
    """
    files = [path.relative_to(folder).as_posix() for path in paths(folder, file_filter)]
    starts = range(0, len(files), IMAGES_PER_PART)
    return [Part(folder, tuple(files[start : start + IMAGES_PER_PART]), False, max_pixels) for start in starts]


def of_mix(mix: Path, splits: Collection[str], max_pixels: int) -> list[Part]:
    """Give the shards of some splits of a mix, one per part.

    Raises:
        UsageError: the folder is no mix.
    """
    shards = manifest.shards_of(manifest.read(mix))
    return [Part(mix, (shard,), True, max_pixels) for shard in shards if Path(shard).name.split("-")[0] in splits]


def read(part: Part) -> Iterator[list[Item]]:
    """Give the items of a part in batches."""
    if not part.is_shard:
        for file in part.files:
            picture = {ImageRef(file): (part.folder / file).read_bytes()}
            yield [Item(file, part.folder.name, "train", "", None, _NO_TEXTS, "", picture)]
        return
    (shard,) = part.files
    first = 0
    for batch in pq.ParquetFile(part.folder / shard).iter_batches(batch_size=BATCH, columns=_COLUMNS):
        records = batch.to_pylist()
        texts = [Texts(row["question"], row["answer"], context_of(row), row["choices"]) for row in records]
        yield [
            Item(
                **{name: row[name] for name in ("id", "source", "split", "group")},
                question_answer_key=keys.question_answer_key,
                texts=text,
                explanation=_explanation(row),
                pictures={
                    ImageRef(shard, row=first + place, column=f"images[{number}]"): image["bytes"]
                    for number, image in enumerate(row["images"])
                },
            )
            for place, (row, text, keys) in enumerate(zip(records, texts, measure_texts(texts), strict=True))
        ]
        first += len(records)


def _explanation(row: Mapping[str, Any]) -> str:
    """Give the text after the answer in the assistant's turn; captions and reports have none."""
    reply: str = row["messages"][1]["content"][0]["text"]
    return reply.partition("\n")[2] if row["task"] in QUESTION_TASKS else ""
