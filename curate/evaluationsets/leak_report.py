"""What a finished mix, or a folder of images, shares with evaluation sets."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ..decide import leaks, overlap
from ..decide.copy_search import CopySearch
from ..mixture import CopyRule, EvaluationSet, FileFilter
from ..write import manifest
from . import collection, external_sets, fingerprint_file
from .collection import Collection, Target
from .fingerprint_file import FingerprintedSet

MAX_PIXELS = 100_000_000
TRAINING_SPLITS = ("train", "validation")
"""The splits of a mix that may contain nothing of an evaluation set."""


def report(target: Path, against: Sequence[Path], split: str, workers: int) -> dict[str, Any]:
    """Report what `target` shares with each of `against`.

    Images of mixes and folders among `against` are compared themselves, those of fingerprint files by their sketches.
    The rule of `target`, or the default one of a folder, decides which related images are leaks.

    Args:
        target: a finished mix, of which the training and validation records count, or a folder of images.
        against: fingerprint files, finished mixes, or folders of images.
        split: the evaluation split of the mixes among `against`.
        workers: processes.

    Returns:
        `sets`: name, items and unreadable items of each of `against`; `unreadable`: the unreadable images of `target`;
        `not_checked`: the names of sets that were not compared: no image of theirs or of `target` is readable;
        `compared`: the number of pairs of images whose pixels were compared; `matrix`: as in the manifest; `hits`: each
        leak, with the record of `target` and the item.

    Raises:
        UsageError: a path cannot be used.
    """
    rule = leak_rule(manifest.read(target)) if (target / manifest.NAME).is_file() else CopyRule()
    mixes = [place for place, path in enumerate(against) if (path / manifest.NAME).is_file()]
    own = [name for name in TRAINING_SPLITS if name != split or target.resolve() not in map(Path.resolve, against)]
    targets = [Target(target, tuple(own)), *(Target(against[place], (split,)) for place in mixes)]
    with tempfile.TemporaryDirectory(prefix="medmix-leaks-") as scratch:
        work = Path(scratch)
        files = {
            place: _fingerprinted(path, work / f"{place}.parquet", workers)
            for place, path in enumerate(against)
            if place not in mixes
        }
        found = collection.load(targets, work, MAX_PIXELS, workers)
        external = external_sets.number_items(files, found.rows.height, found.images.count)
        external = _with_records(external, found, mixes)
        names = {place: file.name for place, file in files.items()} | {
            place: against[place].resolve().name for place in mixes
        }
        compared = [EvaluationSet(images=names[place]) for place in range(len(against))]
        rows = found.rows.filter(pl.col("target") == 0)
        images = [image for file in files.values() for image in file.images]
        search = CopySearch(found.images, images, MAX_PIXELS, work / "comparisons", workers)
        copies = search.between(search.equal_by_digest(), _images(rows), _images(external.items))
        matches = leaks.find_matches(rows, rows, compared, found.texts, copies, external, rule)
    sets = [
        {"name": item.name, **_counts(files.get(place), found, mixes, place)} for place, item in enumerate(compared)
    ]
    unreadable = found.unreadable.filter(pl.col("target") == 0)
    is_blind = unreadable["id"].n_unique() == rows.height
    return {
        "target": str(target),
        "records": rows.height,
        "unreadable": unreadable.select("id", "problem").to_dicts(),
        "sets": sets,
        "not_checked": [entry["name"] for entry in sets if is_blind or entry["unreadable"] == entry["items"]],
        "compared": copies.compared,
        "matrix": leaks.matrix(matches, rows, compared),
        "hits": _hits(matches, rows, external.items, compared),
    }


def leak_rule(document: Mapping[str, Any]) -> CopyRule:
    """Give the rule by which the mix of a manifest takes related images for leaks."""
    return CopyRule(**document["settings"]["mixture"]["copies"]["leaks"])


class OwnLeaks(NamedTuple):
    """The leaks between the splits of one mix.

    Attributes:
        hits: as in `report`.
        unreadable: `id` and `problem` of unreadable images.
        training, items: the numbers of images of training and validation records, and of evaluation items.
        compared: the number of pairs of them whose pixels were compared.
    """

    hits: list[dict[str, Any]]
    unreadable: list[dict[str, str]]
    training: int
    items: int
    compared: int


def own_leaks(mix: Path, evaluation: Sequence[EvaluationSet], rule: CopyRule, workers: int) -> OwnLeaks:
    """Search the training and validation records of a mix for those of its records that are evaluation items.

    Fingerprints are taken of the mix's own bytes, and proposed pairs are compared by their pixels; `rule` says which
    related images are leaks.

    Raises:
        UsageError: the mix has no records.
    """
    with tempfile.TemporaryDirectory(prefix="medmix-leaks-") as scratch:
        work = Path(scratch)
        found = collection.load([Target(mix, (*TRAINING_SPLITS, "test"))], work, MAX_PIXELS, workers)
        is_item = leaks.is_evaluation(evaluation)
        training = _images(found.rows.filter(~is_item & (pl.col("split") != "test")))
        items = _images(found.rows.filter(is_item))
        search = CopySearch(found.images, [], MAX_PIXELS, work / "comparisons", workers)
        copies = search.between(search.equal_by_digest(), training, items)
        external = leaks.NO_EXTERNAL_ITEMS
        matches = leaks.find_matches(found.rows, found.rows, evaluation, found.texts, copies, external, rule)
    return OwnLeaks(
        _hits(matches, found.rows, found.rows, evaluation),
        found.unreadable.select("id", "problem").to_dicts(),
        training.n_unique(),
        items.n_unique(),
        copies.compared,
    )


def _images(rows: pl.DataFrame) -> pl.Series:
    return rows["images"].explode().drop_nulls()


def _with_records(external: leaks.ExternalItems, found: Collection, mixes: Sequence[int]) -> leaks.ExternalItems:
    """Add the records of the mixes in `found`, its targets from the second on, to external items."""
    items, grams = [external.items], [external.grams]
    for target, place in enumerate(mixes, start=1):
        rows = found.rows.filter(pl.col("target") == target)
        items.append(rows.with_columns(set=pl.lit(place)).select(list(leaks.ITEMS)).cast(pl.Schema(leaks.ITEMS)))
        grams.append(overlap.grams_of(found.texts.texts(rows.filter(pl.col("images").list.len() == 0))))
    return leaks.ExternalItems(pl.concat(items), pl.concat(grams))


def _counts(file: FingerprintedSet | None, found: Collection, mixes: Sequence[int], place: int) -> Mapping[str, int]:
    """Count the items of a set, and those with unreadable images."""
    if file is not None:
        return {"items": file.items.height, "unreadable": file.unreadable}
    is_mine = pl.col("target") == mixes.index(place) + 1
    unreadable = found.unreadable.filter(is_mine)["id"].n_unique()
    return {"items": found.rows.filter(is_mine).height, "unreadable": unreadable}


def _hits(
    matches: pl.DataFrame, rows: pl.DataFrame, items: pl.DataFrame, evaluation: Sequence[EvaluationSet]
) -> list[dict[str, Any]]:
    found = (
        matches.filter("leak")
        .sort("index", "set", "kind")
        .join(rows.select("index", "id"), on="index", maintain_order="left")
        .join(items.select(item="index", item_id="id"), on="item", maintain_order="left")
    )
    hits = found.select("id", "set", pl.col("item_id").alias("item"), "kind", "score", "transformation")
    return [{**hit, "set": evaluation[hit["set"]].name} for hit in hits.iter_rows(named=True)]


def _fingerprinted(path: Path, out: Path, workers: int) -> FingerprintedSet:
    if fingerprint_file.is_fingerprint_file(path):
        return fingerprint_file.read(path)
    external_sets.fingerprint_set(path, FileFilter(), "test", path.resolve().name, out, MAX_PIXELS, workers)
    found = fingerprint_file.read(out)
    return found if (path / manifest.NAME).is_file() else fingerprint_file.located(found, path)
