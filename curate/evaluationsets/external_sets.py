"""Evaluation sets of images that are no source of a mixture: fingerprint them, load them, number their items."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from .. import engine
from ..copies.fingerprints import view_fingerprints
from ..copies.sketch import sketch
from ..decide import overlap
from ..decide.comparisons import code_version
from ..decide.leaks import ITEMS, ExternalItems
from ..errors import RowError, UsageError
from ..file_state import file_state
from ..measure import images
from ..measure.text_keys import Texts
from ..mixture import EvaluationSet, FileFilter
from ..progress import track
from ..read import source_status
from ..write import manifest
from . import fingerprint_file, parts
from .file_filter import paths
from .fingerprint_file import FingerprintedSet
from .parts import Part


def fingerprint_set(
    path: Path, file_filter: FileFilter, split: str, name: str, out: Path, max_pixels: int, workers: int
) -> int:
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
            grey = images.decode_reduced(data, max_pixels)
            digests = hashlib.sha256(data).hexdigest(), images.pixel_digest(data, max_pixels)
        except RowError as error:
            problem = error.evidence
        else:
            rows.append(fingerprint_file.image_row(*digests, view_fingerprints(grey), sketch(grey)))
    return {"images": rows, "problem": problem}


def _grams(texts: Mapping[int, Texts]) -> dict[int, list[dict[str, Any]]]:
    """Give the n-grams of texts by their places."""
    if not texts:
        return {}
    frame = pl.DataFrame([{"index": place, **asdict(text)} for place, text in texts.items()])
    grams = overlap.grams_of([frame.with_columns(pl.col("index").cast(pl.UInt32))])
    return dict(grams.group_by("item").agg(pl.struct("field", "n", "gram")).iter_rows())


def load(
    evaluation: Sequence[EvaluationSet], root: Path, work: Path, max_pixels: int, workers: int, verify: bool = False
) -> dict[int, FingerprintedSet]:
    """Read the evaluation sets of images that are under `root`, by their position in `evaluation`.

    A set is the fingerprint file `ROOT/NAME.parquet` or the folder `ROOT/NAME`; the fingerprint file of a folder is
    cached in `work` until the folder changes; with `verify` it is made again.

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
            cached = _cached(item, folder, work, max_pixels)
            if verify or not _is_settled(cached, folder, item.file_filter):
                started_ns = time.time_ns()
                of_images(folder, item.file_filter, item.images, cached, max_pixels, workers)
                os.utime(cached, ns=(started_ns, started_ns))
            found[place] = fingerprint_file.located(fingerprint_file.read(cached), folder)
    return found


def folders(evaluation: Sequence[EvaluationSet], root: Path) -> list[EvaluationSet]:
    """Give the sets whose fingerprints `load` takes from a folder of images."""
    return [
        item
        for item in evaluation
        if item.images
        and (root / item.images).is_dir()
        and not (root / f"{item.images}{fingerprint_file.SUFFIX}").is_file()
    ]


def is_cached(item: EvaluationSet, root: Path, work: Path, max_pixels: int) -> bool:
    """Tell whether the fingerprints of one of `folders` are in `work`."""
    return _cached(item, root / item.images, work, max_pixels).exists()


def _cached(item: EvaluationSet, folder: Path, work: Path, max_pixels: int) -> Path:
    version = _folder_version(folder, item.file_filter, max_pixels)
    return work / f"{item.images}-{version}{fingerprint_file.SUFFIX}"


def status(item: EvaluationSet, root: Path) -> source_status.SourceStatus:
    """Give the status of the files of a set of images under `root`."""
    if (root / f"{item.images}{fingerprint_file.SUFFIX}").is_file():
        return source_status.SourceStatus(item.images, "present", "fingerprints", "")
    folder = root / item.images
    if not folder.is_dir():
        problem = f"expected its images in {folder}, or {folder}{fingerprint_file.SUFFIX} of medmix fingerprint"
        return source_status.SourceStatus(item.images, "absent", "", "", (problem,))
    try:
        paths(folder, item.file_filter)
    except UsageError as error:
        return source_status.SourceStatus(item.images, "incomplete", "images", "", (str(error),))
    return source_status.SourceStatus(item.images, "present, version unknown", "images", "")


def absent(evaluation: Sequence[EvaluationSet], root: Path) -> list[str]:
    """Give the names of the evaluation sets of images that are not under `root`."""
    names = [item.images for item in evaluation if item.images]
    return [
        name
        for name in names
        if not (root / f"{name}{fingerprint_file.SUFFIX}").is_file() and not (root / name).is_dir()
    ]


def _is_settled(cached: Path, folder: Path, file_filter: FileFilter) -> bool:
    """Tell whether any change of a folder after its fingerprints were taken must have changed its files' times."""
    if not cached.exists():
        return False
    started_ns = cached.stat().st_mtime_ns
    return all(file_state(path).is_settled(started_ns) for path in paths(folder, file_filter))


def _folder_version(folder: Path, file_filter: FileFilter, max_pixels: int) -> str:
    """Digest what decides the file of a folder: names, sizes and times of its images, the settings, the code."""
    files = [(path.relative_to(folder).as_posix(), file_state(path)) for path in paths(folder, file_filter)]
    version = [
        [[name, *state] for name, state in files],
        asdict(file_filter),
        max_pixels,
        code_version(),
        fingerprint_file.VERSION,
    ]
    return hashlib.sha256(json.dumps(version, sort_keys=True).encode()).hexdigest()[:20]


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
