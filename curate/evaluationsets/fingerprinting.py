"""Fingerprint an evaluation set: the file is made of a folder of images, or of one split of a mix."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from .. import engine
from ..copies.fingerprints import fingerprint
from ..copies.sketch import sketch
from ..decide import overlap
from ..errors import RowError, UsageError
from ..measure import images
from ..measure.textkeys import Texts, measure
from ..mixture import FileFilter
from ..progress import track
from ..write import manifest
from . import fingerprint_file, parts
from .parts import Part


def write(path: Path, file_filter: FileFilter, split: str, name: str, out: Path, max_pixels: int, workers: int) -> int:
    """Write the fingerprint file of a folder of images or of a split of a mix; give the number of items.

    Raises:
        UsageError: the path is neither, or it has no items.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder; give a finished mix, a folder of images or a fingerprint file")
    if not (path / manifest.NAME).is_file():
        return of_images(path, file_filter, name, out, max_pixels, workers)
    tasks = parts.of_mix(path, (split,), max_pixels)
    rows = track(engine.run(read_shard, tasks, workers), len(tasks), f"fingerprints of {name}")
    count = fingerprint_file.write(out, name, rows)
    if not count:
        raise UsageError(f"{path}: has no {split} records; give another --split")
    return count


def of_images(folder: Path, file_filter: FileFilter, name: str, out: Path, max_pixels: int, workers: int) -> int:
    """Write the fingerprint file of a folder of images, unreadable ones included; give the number of items.

    Raises:
        UsageError: there are no images, or the filter cannot be used.
    """
    tasks = parts.of_folder(folder, file_filter, max_pixels)
    batches = track(engine.run(read_images, tasks, workers), len(tasks), f"fingerprints of {name}")
    named = ([{**row, "id": f"{name}/{row['id']}"} for row in rows] for rows in batches)
    return fingerprint_file.write(out, name, named)


def read_images(part: Part) -> list[dict[str, Any]]:
    """Give the rows of `fingerprint_file.SCHEMA` of some images."""
    return [_row(file, [(part.folder / file).read_bytes()], part.max_pixels) for file in part.files]


def read_shard(part: Part) -> list[dict[str, Any]]:
    """Give the rows of `fingerprint_file.SCHEMA` of the records of a shard."""
    found = []
    for records, texts in parts.read_batches(part):
        grams = _grams(texts)
        for place, (row, keys) in enumerate(zip(records, measure(texts), strict=True)):
            pictures = [image["bytes"] for image in row["images"]]
            item = _row(row["id"], pictures, part.max_pixels)
            text = {"question_answer_key": keys.question_answer_key, "grams": [] if pictures else grams.get(place, [])}
            found.append({**item, "group": row["group"], **text})
    return found


def _row(key: str, pictures: Sequence[bytes], max_pixels: int) -> dict[str, Any]:
    rows, problem = [], ""
    for data in pictures:
        try:
            grey = images.reduced(data, max_pixels)
            digests = hashlib.sha256(data).hexdigest(), images.pixel_digest(data, max_pixels)
        except RowError as error:
            problem = error.evidence
        else:
            rows.append(fingerprint_file.image_row(*digests, fingerprint(grey), sketch(grey)))
    return {"id": key, "group": "", "problem": problem, "question_answer_key": None, "images": rows, "grams": []}


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
