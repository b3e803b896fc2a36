"""Copies among the images of a build: fingerprints propose, comparisons decide; and what follows for its records."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ..copies.clusters import greedy_clusters
from ..copies.fingerprints import FINGERPRINT
from ..copies.neighbours import candidates
from .candidates import by_precedence
from .comparisons import COPIES, PROPOSED, Side, Sketched, confirmed
from .pictures import Pictures

ALIKE_HASH = 16
"""Bits of a hash in which decoders of one picture may differ."""

_EQUAL = {"exact": True, "likeness": 1.0, "flipped": False, "turn": 0, "zoom": 1.0}


def find(pictures: Pictures, others: Sequence[Sketched], max_pixels: int, folder: Path, workers: int) -> pl.DataFrame:
    """Find the copies among pictures, and those of `others`, which count on from their number.

    Copies among the others are not sought. The arguments that are left are those of `confirmed`.
    """
    known, count = len(others), len(pictures.prints)
    prints = np.concatenate([np.array([other.print for other in others], FINGERPRINT), pictures.prints])
    first, second = candidates(prints, known, workers).T
    distance = np.bitwise_count(prints["hash"][first] ^ prints["hash"][second]).sum(1)
    number = np.concatenate([np.arange(known) + count, np.arange(count)])
    pairs = np.sort(np.stack([number[first], number[second]], 1), axis=1)
    proposed = pl.DataFrame({"image": pairs[:, 0], "other": pairs[:, 1], "alike": distance <= ALIKE_HASH}, PROPOSED)
    sides: dict[int, Side] = dict(pictures.held(np.unique(pairs[pairs < count]).tolist()))
    sides |= {count + place: other for place, other in enumerate(others)}
    found = confirmed(proposed, sides, max_pixels, folder, workers)
    equal = _equal(pictures, others)
    return pl.concat([equal, found.join(equal, on=["image", "other"], how="anti")]).sort("image", "other")


def _equal(pictures: Pictures, others: Sequence[Sketched]) -> pl.DataFrame:
    """Give the pairs with others that are equal by their digests, whatever their fingerprints say."""
    if not others:
        return pl.DataFrame(schema=COPIES)
    numbers = range(len(pictures.prints), len(pictures.prints) + len(others))
    digests = [{other.sha256, other.pixel_sha256} for other in others]
    known = pl.DataFrame(
        {"other": list(numbers), "key": list(map(sorted, digests))},
        {"other": pl.UInt32, "key": pl.List(pl.String)},
    )
    pairs = pictures.keys().join(known.explode("key"), on="key").unique(["image", "other"])
    equal = pairs.with_columns(**{name: pl.lit(value) for name, value in _EQUAL.items()})
    return equal.select(list(COPIES)).cast(COPIES)


def both_ways(copies: pl.DataFrame) -> pl.DataFrame:
    """Give each pair from either side: `image`, the `original` it is held against, `exact`, `likeness`, `how`.

    `how` says in words how the image was made of the original.
    """
    there = copies.rename({"image": "original", "other": "image"})
    back = copies.rename({"other": "original"}).with_columns(
        turn=pl.when("flipped").then("turn").otherwise((360 - pl.col("turn")) % 360), zoom=1 / pl.col("zoom")
    )
    told = pl.concat([there, back.select(there.columns)]).with_columns(how=_how())
    return told.select("image", "original", "exact", "likeness", "how").sort("image", "original")


def _how() -> pl.Expr:
    """Say how a copy was made: the zoom is above 1 where it shows less than the original."""
    zoom = pl.col("zoom").round(2)
    parts = [
        pl.when("flipped").then(pl.lit("mirrored")),
        pl.when(pl.col("turn") != 0).then(pl.format("turned by {} degrees", "turn")),
        pl.when(zoom >= 1.02).then(pl.format("cut out and enlarged {} times", zoom)),
        pl.when(zoom <= 0.98).then(pl.format("shown with more around it, {} times the size", zoom)),
    ]
    changed = pl.concat_str(parts, separator=", ", ignore_nulls=True)
    words = pl.when(changed == "").then(pl.lit("of other coding, size or tone")).otherwise(changed)
    same = pl.lit("of equal pixels in another file")
    return pl.when("exact").then(same).otherwise(pl.format("{}; likeness {}", words, pl.col("likeness").round(3)))


def clustered(rows: pl.DataFrame, copies: pl.DataFrame, taking_part: pl.Expr) -> pl.DataFrame:
    """Add `shown`, the image that stands for each of a record's images, and `image_cluster`, equal for equal `shown`.

    The images of the rows that are `taking_part` are chosen first, in the order of `by_precedence`. An image stands
    only for those that were confirmed against it, so two copies of it that were not held against each other, or are
    no copies of one another (two cuts of one picture), come together through it alone.
    """
    order = by_precedence(rows.with_columns(first=taking_part)).sort("first", descending=True, maintain_order=True)
    images = order["images"].explode().drop_nulls().unique(maintain_order=True)
    count = int(images.max() or 0) + 1 if images.len() else 0  # type: ignore[arg-type]
    inside = copies.filter(pl.col("image").is_in(images.implode()) & pl.col("other").is_in(images.implode()))
    absent = np.setdiff1d(np.arange(count), images.to_numpy())
    centre = greedy_clusters(
        inside.select("image", "other").to_numpy().astype(np.int64),
        np.concatenate([images.to_numpy().astype(np.int64), absent]),
    )
    each = rows.select("index", "images").explode("images").drop_nulls()
    shown = each.select("index", shown=pl.Series(centre[each["images"].to_numpy()], dtype=pl.UInt32))
    lists = shown.group_by("index", maintain_order=True).agg("shown")
    joined = rows.drop("shown", "image_cluster", strict=False).join(
        lists, on="index", how="left", maintain_order="left"
    )
    joined = joined.with_columns(pl.col("shown").fill_null(pl.lit([], pl.List(pl.UInt32))))
    return joined.with_columns(image_cluster=pl.col("shown").cast(pl.List(pl.String)).list.join("+").rank("dense"))


def told(hits: pl.DataFrame, rows: pl.DataFrame, copies: pl.DataFrame) -> pl.DataFrame:
    """Say of pairs of records, `index` and the `survivor` of the same cluster, how their images differ.

    Adds `transformation`, "" where the images are the same, and `likeness`, the least of them, 1 there. Images that
    were never confirmed against each other are said to come together through the one that stands for both.
    """
    images = hits.select("index", "survivor").join(rows.select("index", "images", "shown"), on="index")
    images = images.join(rows.select(survivor="index", original="images"), on="survivor")
    each = images.explode("images", "original", "shown").filter(pl.col("images") != pl.col("original"))
    first = rows.select("id", shown="images").explode("shown").unique("shown", keep="first", maintain_order=True)
    differing = each.join(both_ways(copies), left_on=["images", "original"], right_on=["image", "original"], how="left")
    through = pl.format("like it a copy of an image of {}", "id")
    said = (
        differing.join(first, on="shown", how="left")
        .sort("index")
        .group_by("index", maintain_order=True)
        .agg(
            transformation=pl.coalesce("how", through).unique(maintain_order=True).str.join("; "),
            likeness=pl.col("likeness").min(),
        )
    )
    joined = hits.join(said, on="index", how="left", maintain_order="left")
    return joined.with_columns(pl.col("transformation").fill_null(""), pl.col("likeness").fill_null(1.0))
