"""Fingerprint an evaluation set: the file is made of a folder of images, or of one split of a mix."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from .. import engine
from ..copies.fingerprints import fingerprint
from ..copies.sketch import sketch
from ..decide import overlap
from ..errors import RowError, UsageError
from ..measure import images
from ..measure.textkeys import Texts
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
    rows = track(engine.run(fingerprint_part, tasks, workers), len(tasks), f"fingerprints of {name}")
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
    batches = track(engine.run(fingerprint_part, tasks, workers), len(tasks), f"fingerprints of {name}")
    named = ([{**row, "id": f"{name}/{row['id']}"} for row in rows] for rows in batches)
    return fingerprint_file.write(out, name, named)


def fingerprint_part(part: Part) -> list[dict[str, Any]]:
    """Give the rows of `fingerprint_file.SCHEMA` of the items of a part."""
    rows = []
    for items in parts.read(part):
        grams = _grams({place: item.texts for place, item in enumerate(items) if not item.pictures})
        for place, item in enumerate(items):
            keys = {"id": item.id, "group": item.group, "question_answer_key": item.question_answer_key}
            pictures = item.pictures.values()
            rows.append({**keys, **_image_columns(pictures, part.max_pixels), "grams": grams.get(place, [])})
    return rows


def _image_columns(pictures: Iterable[bytes], max_pixels: int) -> dict[str, Any]:
    rows, problem = [], ""
    for data in pictures:
        try:
            grey = images.reduced(data, max_pixels)
            digests = hashlib.sha256(data).hexdigest(), images.pixel_digest(data, max_pixels)
        except RowError as error:
            problem = error.evidence
        else:
            rows.append(fingerprint_file.image_row(*digests, fingerprint(grey), sketch(grey)))
    return {"images": rows, "problem": problem}


def _grams(texts: Mapping[int, Texts]) -> dict[int, list[dict[str, Any]]]:
    """Give the n-grams of texts by their places."""
    if not texts:
        return {}
    frame = pl.DataFrame([{"index": place, **asdict(text)} for place, text in texts.items()])
    grams = overlap.grams_of([frame.with_columns(pl.col("index").cast(pl.UInt32))])
    return dict(grams.group_by("item").agg(pl.struct("field", "n", "gram")).iter_rows())
