"""Evaluation sets of images that the mixture names and that are none of its sources."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl

from ..decide import overlap
from ..decide.comparisons import code_version
from ..decide.leaks import ITEMS, ExternalItems
from ..mixture import EvaluationSet, FileFilter
from . import fingerprint_file, fingerprinting
from .file_filter import paths
from .fingerprint_file import FingerprintedSet


def load(
    evaluation: Sequence[EvaluationSet], root: Path, work: Path, max_pixels: int, workers: int
) -> dict[int, FingerprintedSet]:
    """Read the evaluation sets of images that are under `root`, by their position in `evaluation`.

    A set is the fingerprint file `ROOT/NAME.parquet` or the folder `ROOT/NAME`; the fingerprint file of a folder is
    cached in `work` until the folder changes.

    Raises:
        UsageError: a file or folder cannot be used.
    """
    found = {}
    for place, item in enumerate(evaluation):
        if not item.images:
            continue
        ready, folder = root / f"{item.images}{fingerprint_file.SUFFIX}", root / item.images
        if ready.is_file():
            found[place] = fingerprint_file.read(ready)
        elif folder.is_dir():
            version = _folder_version(folder, item.file_filter, max_pixels)
            cached = work / f"{item.images}-{version}{fingerprint_file.SUFFIX}"
            if not cached.exists():
                fingerprinting.of_images(folder, item.file_filter, item.images, cached, max_pixels, workers)
            found[place] = fingerprint_file.read(cached)
    return found


def _folder_version(folder: Path, file_filter: FileFilter, max_pixels: int) -> str:
    """Digest what decides the file of a folder: names, sizes and times of its images, the settings, the code."""
    files = [(path.relative_to(folder).as_posix(), path.stat()) for path in paths(folder, file_filter)]
    parts = [
        [[name, state.st_size, state.st_mtime_ns] for name, state in files],
        asdict(file_filter),
        max_pixels,
        code_version(),
        fingerprint_file.VERSION,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def number_items(sets: Mapping[int, FingerprintedSet], row_count: int, image_count: int) -> ExternalItems:
    """Number the items of sets after the rows of a build, and their images after its images."""
    items, grams = [pl.DataFrame(schema=dict(ITEMS))], [pl.DataFrame(schema=overlap.GRAMS)]
    for place, file in sets.items():
        numbered = file.items.with_columns(
            index=pl.int_range(row_count, row_count + pl.len(), dtype=pl.UInt32),
            set=pl.lit(place, pl.Int32),
            images=pl.col("images").list.eval(pl.element() + image_count),
        )
        items.append(numbered.select(list(ITEMS)).cast(pl.Schema(ITEMS)))
        grams.append(file.grams.with_columns(item=pl.col("item") + row_count).cast(overlap.GRAMS))
        row_count += file.items.height
        image_count += len(file.images)
    return ExternalItems(pl.concat(items), pl.concat(grams))
