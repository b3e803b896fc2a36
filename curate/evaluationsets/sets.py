"""Evaluation sets that are no source of a mixture: where they lie, and their files made from images or from a mix."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from .. import engine
from ..copies.fingerprints import fingerprint
from ..copies.sketch import sketch
from ..decide import overlap
from ..decide.comparisons import code_version
from ..decide.leaks import ITEMS, Outside
from ..errors import RowError
from ..measure import images
from ..measure.text_keys import Texts, measure_texts
from ..mixture import EvaluationSet, Listing
from ..progress import track
from ..write import manifest
from ..write.chat import context_of
from . import fingerprint_file
from .fingerprint_file import EvaluationFile
from .listing import paths

PART = 128
"""Images, or records, that one task reads."""


@dataclass(frozen=True, slots=True)
class ImagesTask:
    """Images to read: their paths, and the name of each in the set."""

    files: tuple[tuple[str, Path], ...]
    max_pixels: int


def of_images(folder: Path, listing: Listing, name: str, out: Path, max_pixels: int, workers: int) -> int:
    """Write the file of a folder of images to `out` and give the number of items; one that cannot be read is told of.

    Raises:
        UsageError: there are no images, or the listing cannot be used.
    """
    files = [(f"{name}/{path.relative_to(folder).as_posix()}", path) for path in paths(folder, listing)]
    tasks = [ImagesTask(tuple(files[start : start + PART]), max_pixels) for start in range(0, len(files), PART)]
    rows = track(engine.run(read_images, tasks, workers), len(tasks), f"fingerprints of {name}")
    return fingerprint_file.write(out, name, rows)


def read_images(task: ImagesTask) -> list[dict[str, Any]]:
    """Give the rows of `evaluationfile.SCHEMA` of some images."""
    return [_row(key, [path.read_bytes()], task.max_pixels) for key, path in task.files]


def of_mix(mix: Path, split: str, name: str, out: Path, max_pixels: int, workers: int) -> int:
    """Write the file of one split of a mix to `out` and give the number of items.

    Raises:
        UsageError: the folder is no mix.
    """
    document = manifest.read(mix)
    shards = [mix / file for file in manifest.shards_of(document) if Path(file).name.startswith(f"{split}-")]
    tasks = [ShardTask(shard, max_pixels) for shard in shards]
    rows = track(engine.run(read_shard, tasks, workers), len(tasks), f"fingerprints of {name}")
    return fingerprint_file.write(out, name, rows)


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard of a mix to read."""

    shard: Path
    max_pixels: int


def read_shard(task: ShardTask) -> list[dict[str, Any]]:
    """Give the rows of `evaluationfile.SCHEMA` of the records of a shard."""
    columns = ["id", "task", "group", "images", "messages", "question", "answer", "choices"]
    found = []
    for batch in pq.ParquetFile(task.shard).iter_batches(batch_size=PART, columns=columns):
        records = batch.to_pylist()
        texts = [Texts(row["question"], row["answer"], context_of(row), row["choices"]) for row in records]
        grams = _grams(texts)
        for place, (row, keys) in enumerate(zip(records, measure_texts(texts), strict=True)):
            pictures = [image["bytes"] for image in row["images"]]
            item = _row(row["id"], pictures, task.max_pixels)
            kept = [] if pictures else grams.get(place, [])
            found.append(
                {**item, "group": row["group"], "question_answer_key": keys.question_answer_key, "grams": kept}
            )
    return found


def _row(key: str, pictures: Sequence[bytes], max_pixels: int) -> dict[str, Any]:
    held, problem = [], ""
    for data in pictures:
        try:
            picture = images.decode_reduced(data, max_pixels)
            digests = hashlib.sha256(data).hexdigest(), images.pixel_digest(data, max_pixels)
        except RowError as error:
            problem = error.evidence
        else:
            held.append(fingerprint_file.image(*digests, fingerprint(picture), sketch(picture)))
    return {"id": key, "group": "", "problem": problem, "question_answer_key": None, "images": held, "grams": []}


def _grams(texts: Sequence[Texts]) -> dict[int, list[dict[str, Any]]]:
    """Give the n-grams of texts by their places."""
    frame = pl.DataFrame(
        {
            "index": range(len(texts)),
            "question": [text.question for text in texts],
            "context": [text.context for text in texts],
        },
        schema_overrides={"index": pl.UInt32},
    )
    grams = overlap.grams_of([frame])
    return {
        int(str(item)): rows.select("field", "n", "gram").to_dicts()
        for (item,), rows in grams.group_by("item", maintain_order=True)
    }


def find(
    evaluation: Sequence[EvaluationSet], root: Path, work: Path, max_pixels: int, workers: int
) -> dict[int, EvaluationFile]:
    """Read the evaluation sets of images that lie under `root`, by their place in `evaluation`.

    A set is the file `ROOT/NAME.parquet`, or the folder `ROOT/NAME`, of which a file is made in `work` unless it is
    there and the folder has not changed.

    Raises:
        UsageError: a file or folder that is there cannot be used.
    """
    found = {}
    for place, item in enumerate(evaluation):
        if not item.images:
            continue
        ready, folder = root / f"{item.images}{fingerprint_file.SUFFIX}", root / item.images
        if ready.is_file():
            found[place] = fingerprint_file.read(ready)
        elif folder.is_dir():
            made = work / f"{item.images}-{_state(folder, item.listing, max_pixels)}{fingerprint_file.SUFFIX}"
            if not made.exists():
                of_images(folder, item.listing, item.images, made, max_pixels, workers)
            found[place] = fingerprint_file.read(made)
    return found


def _state(folder: Path, listing: Listing, max_pixels: int) -> str:
    """Digest what the file of a folder hangs on: the names, sizes and times of its images, the rules, the code."""
    files = [(path.relative_to(folder).as_posix(), path.stat()) for path in paths(folder, listing)]
    parts = [
        [[name, state.st_size, state.st_mtime_ns] for name, state in files],
        asdict(listing),
        max_pixels,
        code_version(),
        fingerprint_file.VERSION,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def digest(files: Mapping[int, EvaluationFile]) -> list[list[Any]]:
    """Give what tells evaluation sets from others: their digests, by their place."""
    return [[place, file.sha256] for place, file in files.items()]


def outside(files: Mapping[int, EvaluationFile], rows: int, pictures: int) -> Outside:
    """Number the items of evaluation sets on from the `rows` of a build, and their images on from its `pictures`."""
    items, grams = [pl.DataFrame(schema=dict(ITEMS))], [pl.DataFrame(schema=overlap.GRAMS)]
    for place, file in files.items():
        numbered = file.items.with_columns(
            index=pl.int_range(rows, rows + pl.len(), dtype=pl.UInt32),
            set=pl.lit(place, pl.Int32),
            images=pl.col("images").list.eval(pl.element() + pictures),
        )
        items.append(numbered.select(list(ITEMS)).cast(pl.Schema(ITEMS)))
        grams.append(file.grams.with_columns(item=pl.col("item") + rows).cast(overlap.GRAMS))
        rows += file.items.height
        pictures += len(file.images)
    return Outside(pl.concat(items), pl.concat(grams))
