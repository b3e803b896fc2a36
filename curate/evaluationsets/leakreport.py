"""What a finished mix, or a folder of images, shares with evaluation sets."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ..decide import imagecopies, leaks
from ..errors import UsageError
from ..mixture import EvaluationSet, Listing
from ..write import manifest
from . import fingerprint_file, mixpictures, sets
from .fingerprint_file import EvaluationFile

MAX_PIXELS = 100_000_000


def report(target: Path, against: Sequence[Path], split: str, workers: int) -> dict[str, Any]:
    """Tell what `target` shares with each of `against`.

    Args:
        target: a finished mix, whose training and validation records are looked at, or a folder of images.
        against: files of evaluation sets, finished mixes, or folders of images.
        split: of the mixes among `against`, the one that is scored on.
        workers: processes.

    Returns:
        `sets`: name, items and unread of each of `against`; `unread`: the images of `target` that cannot be read;
        `matrix`: as in the manifest; `hits`: each record of `target` and item that share something that is a leak.

    Raises:
        UsageError: a path cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="medmix-leaks-") as scratch:
        work = Path(scratch)
        files = [_file(path, split, work / f"{place}.parquet", workers) for place, path in enumerate(against)]
        collection = _collection(target, workers)
        rows = collection.rows
        compared = [EvaluationSet(images=file.name) for file in files]
        outside = sets.outside(dict(enumerate(files)), rows.height, len(collection.prints))
        others = [image for file in files for image in file.images]
        copies = imagecopies.find(collection, others, MAX_PIXELS, work / "comparisons", workers)
        ties = leaks.find(rows, rows, compared, collection, copies, outside)
    return {
        "target": str(target),
        "records": rows.height,
        "unread": [{"id": key, "problem": problem} for key, problem in collection.unread],
        "sets": [{"name": file.name, "items": file.items.height, "unread": file.unread} for file in files],
        "matrix": leaks.matrix(ties, rows, compared),
        "hits": _hits(ties, rows, outside, files),
    }


def _hits(
    ties: pl.DataFrame, rows: pl.DataFrame, outside: leaks.Outside, files: Sequence[EvaluationFile]
) -> list[dict[str, Any]]:
    found = (
        ties.filter(pl.col("kind").is_in(leaks.LEAKS))
        .join(rows.select("index", "id"), on="index")
        .join(outside.items.select(item="index", held="id"), on="item")
        .sort("index", "set", "kind")
    )
    names = [file.name for file in files]
    return [
        {
            "id": row["id"],
            "set": names[row["set"]],
            "item": row["held"],
            "kind": row["kind"],
            "score": row["score"],
            "transformation": row["transformation"],
        }
        for row in found.iter_rows(named=True)
    ]


def _collection(target: Path, workers: int) -> mixpictures.Collection:
    if not target.is_dir():
        raise UsageError(f"{target} is not a folder; give a finished mix or a folder of images")
    if (target / manifest.NAME).is_file():
        return mixpictures.of_mix(target, MAX_PIXELS, workers)
    return mixpictures.of_folder(target, MAX_PIXELS, workers)


def _file(path: Path, split: str, made: Path, workers: int) -> EvaluationFile:
    if fingerprint_file.is_one(path):
        return fingerprint_file.read(path)
    make(path, Listing(), split, path.resolve().name, made, workers)
    return fingerprint_file.read(made)


def make(path: Path, listing: Listing, split: str, name: str, out: Path, workers: int) -> int:
    """Write the file of an evaluation set, a split of a mix or a folder of images, and give the number of items.

    Raises:
        UsageError: the path is neither, or holds nothing.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder; give a finished mix, a folder of images or the file of a set")
    if not (path / manifest.NAME).is_file():
        return sets.of_images(path, listing, name, out, MAX_PIXELS, workers)
    count = sets.of_mix(path, split, name, out, MAX_PIXELS, workers)
    if not count:
        raise UsageError(f"{path}: has no {split} records; give another --split")
    return count
