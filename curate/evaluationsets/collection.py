"""Scan finished mixes and folders of images for the leak search: the columns of a scan that it reads."""

from collections.abc import Sequence
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
from ..mixture import FileFilter
from ..progress import track
from ..write import manifest
from . import parts
from .parts import Item, Part

_KEYS = ("id", "source", "split", "group", "question_answer_key")
_STRINGS = pl.List(pl.String)
SCHEMA = pl.Schema(
    {
        **dict.fromkeys((*_KEYS, "question", "answer", "context", "explanation"), pl.String()),
        **dict.fromkeys(("choices", "problems", "image_sha256", "image_key"), _STRINGS),
        "images": pl.List(
            pl.Struct({"path": pl.String(), "member": pl.String(), "row": pl.Int64(), "column": pl.String()})
        ),
        "fingerprints": pl.List(pl.Binary),
    }
)
"""The columns of a scan, by record; `problems` of its unreadable images, which the image columns do not have."""


class Target(NamedTuple):
    """A folder of images, or splits of a finished mix."""

    path: Path
    splits: tuple[str, ...]


class Collection(NamedTuple):
    """Records with their images and texts; each image of a folder is one record.

    Attributes:
        rows: the columns of the table of candidates that `leaks` reads, and `target`, the place of the record's target.
        images: their images.
        texts: their texts.
        unreadable: `id`, `target` and `problem` of each unreadable image.
    """

    rows: pl.DataFrame
    images: scan_images.ScanImages
    texts: ScanTexts
    unreadable: pl.DataFrame


def load(targets: Sequence[Target], work: Path, max_pixels: int, workers: int) -> Collection:
    """Scan targets into `work`.

    Raises:
        UsageError: a folder has no images, or a mix no records of these splits.
    """
    scans: list[ScanFile] = []
    frames = []
    for place, target in enumerate(targets):
        tasks = _parts(target, max_pixels)
        done = track(engine.run(scan, tasks, workers), len(tasks), f"reading {target.path.name}")
        for frame in done:
            number = len(scans)
            scans.append(ScanFile(str(place), work / f"scan-{number}.parquet"))
            frame.write_parquet(scans[-1].path)
            place_in = {"scan": pl.lit(number, pl.UInt32), "scan_row": pl.int_range(pl.len(), dtype=pl.UInt32)}
            frames.append(frame.select(*_KEYS, "problems", keys="image_key", target=pl.lit(place), **place_in))
    table = pl.concat(frames).with_row_index("index")
    unreadable = table.select("id", "target", problem="problems").explode("problem").drop_nulls()
    rows = number_images(table).with_columns(
        upstream_split="split",
        stage=pl.lit(""),
        reason=pl.lit(""),
        rank=pl.col("source").rank("dense").cast(pl.UInt32),
    )
    folders = {str(place): target.path for place, target in enumerate(targets)}
    return Collection(rows, scan_images.load(scans, rows, folders), ScanTexts(scans, {}), unreadable)


def _parts(target: Target, max_pixels: int) -> list[Part]:
    if not target.path.is_dir():
        raise UsageError(f"{target.path} is not a folder; give a finished mix or a folder of images")
    if not (target.path / manifest.NAME).is_file():
        return parts.of_folder(target.path, FileFilter(), max_pixels)
    found = parts.of_mix(target.path, target.splits, max_pixels)
    if not found:
        raise UsageError(f"{target.path}: has no {' or '.join(target.splits)} records")
    return found


def scan(part: Part) -> pl.DataFrame:
    """Scan the items of a part."""
    rows = []
    for items in parts.read(part):
        for item in items:
            texts = {**asdict(item.texts), "explanation": item.explanation}
            rows.append({**{name: getattr(item, name) for name in _KEYS}, **texts, **_image_columns(item, part)})
    return pl.DataFrame(rows, SCHEMA)


def _image_columns(item: Item, part: Part) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        name: [] for name in ("images", "image_sha256", "image_key", "fingerprints", "problems")
    }
    for ref, data in item.pictures.items():
        try:
            facts = images.measure(data, part.max_pixels)
        except RowError as error:
            columns["problems"].append(str(error))
        else:
            columns["images"].append(asdict(ref))
            columns["image_sha256"].append(facts.sha256)
            columns["image_key"].append(facts.pixel_sha256 or facts.sha256)
            columns["fingerprints"].append(facts.fingerprints.tobytes())
    return columns
