"""Copies among the images of a build, found by fingerprints and confirmed by pixels, and how they group records."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ..copies.clusters import greedy_clusters
from ..copies.fingerprints import FINGERPRINT
from ..copies.neighbours import candidates
from .candidates import by_precedence
from .comparisons import CANDIDATE_PAIRS, COPIES, EXACT_COPY, RESULT, Image, SketchedImage, confirm_copies
from .scan_images import ScanImages

ALIKE_HASH = 16
"""Hash bits in which decodings of one image may differ."""


def find(
    images: ScanImages, external: Sequence[SketchedImage], max_pixels: int, folder: Path, workers: int
) -> pl.DataFrame:
    """Find the copies among `images`, and the copies of `external` images, whose numbers follow those of `images`.

    Copies among the external images are not searched. The other arguments are those of `confirm_copies`.
    """
    known, count = len(external), len(images.prints)
    prints = np.concatenate([np.array([image.print for image in external], FINGERPRINT), images.prints])
    first, second = candidates(prints, known, workers).T
    distance = np.bitwise_count(prints["hash"][first] ^ prints["hash"][second]).sum(1)
    number = np.concatenate([np.arange(known) + count, np.arange(count)])
    pairs = np.sort(np.stack([number[first], number[second]], 1), axis=1)
    alike = distance <= ALIKE_HASH
    to_compare = pl.DataFrame({"image": pairs[:, 0], "other": pairs[:, 1], "alike": alike}, CANDIDATE_PAIRS)
    by_number: dict[int, Image] = dict(images.locations(np.unique(pairs[pairs < count]).tolist()))
    by_number |= {count + place: image for place, image in enumerate(external)}
    confirmed = confirm_copies(to_compare, by_number, max_pixels, folder, workers)
    equal = _equal_by_digest(images, external)
    return pl.concat([equal, confirmed.join(equal, on=["image", "other"], how="anti")]).sort("image", "other")


def _equal_by_digest(images: ScanImages, external: Sequence[SketchedImage]) -> pl.DataFrame:
    """Give the pairs with external images that have equal digests, whatever their fingerprints."""
    if not external:
        return pl.DataFrame(schema=COPIES)
    numbers = range(len(images.prints), len(images.prints) + len(external))
    digests = [{image.sha256, image.pixel_sha256} for image in external]
    known = pl.DataFrame(
        {"other": list(numbers), "key": list(map(sorted, digests))},
        {"other": pl.UInt32, "key": pl.List(pl.String)},
    )
    pairs = images.keys().join(known.explode("key"), on="key").unique(["image", "other"])
    equal = pairs.with_columns(**{name: pl.lit(value) for name, value in zip(RESULT, EXACT_COPY, strict=True)})
    return equal.select(list(COPIES)).cast(COPIES)


def in_both_directions(copies: pl.DataFrame) -> pl.DataFrame:
    """Give each pair twice: `image`, its `original`, `exact`, `similarity` and `transformation`.

    `transformation` describes how the image was made of the original.
    """
    forward = copies.rename({"image": "original", "other": "image"})
    backward = copies.rename({"other": "original"}).with_columns(
        turn=pl.when("flipped").then("turn").otherwise((360 - pl.col("turn")) % 360), zoom=1 / pl.col("zoom")
    )
    both = pl.concat([forward, backward.select(forward.columns)]).with_columns(transformation=_transformation())
    return both.select("image", "original", "exact", "similarity", "transformation").sort("image", "original")


def _transformation() -> pl.Expr:
    """Describe how a copy was made; a zoom above 1 shows less than the original."""
    zoom = pl.col("zoom").round(2)
    parts = [
        pl.when("flipped").then(pl.lit("flipped")),
        pl.when(pl.col("turn") != 0).then(pl.format("rotated by {} degrees", "turn")),
        pl.when(zoom >= 1.02).then(pl.format("cropped and enlarged {} times", zoom)),
        pl.when(zoom <= 0.98).then(pl.format("a wider view, scaled {} times", zoom)),
    ]
    changed = pl.concat_str(parts, separator=", ", ignore_nulls=True)
    altered = pl.when(changed == "").then(pl.lit("re-encoded, resized or recoloured")).otherwise(changed)
    return (
        pl.when("exact")
        .then(pl.lit("equal pixels in another file"))
        .otherwise(pl.format("{}; similarity {}", altered, pl.col("similarity").round(3)))
    )


def add_clusters(rows: pl.DataFrame, copies: pl.DataFrame, is_eligible: pl.Expr) -> pl.DataFrame:
    """Add `representatives`, one image for each of a record's images, and `image_cluster`, equal for equal ones.

    The images of rows that are eligible are chosen first, in the order of `by_precedence`. An image represents only
    images that were confirmed as copies of it. So two of its copies that were never compared, or are no copies of
    each other (two crops of one image), share a cluster only through it.
    """
    order = by_precedence(rows.with_columns(first=is_eligible)).sort("first", descending=True, maintain_order=True)
    images = order["images"].explode().drop_nulls().unique(maintain_order=True)
    count = int(images.max() or 0) + 1 if images.len() else 0  # type: ignore[arg-type]
    inside = copies.filter(pl.col("image").is_in(images.implode()) & pl.col("other").is_in(images.implode()))
    absent = np.setdiff1d(np.arange(count), images.to_numpy())
    representative = greedy_clusters(
        inside.select("image", "other").to_numpy().astype(np.int64),
        np.concatenate([images.to_numpy().astype(np.int64), absent]),
    )
    each = rows.select("index", "images").explode("images").drop_nulls()
    chosen = pl.Series(representative[each["images"].to_numpy()], dtype=pl.UInt32)
    lists = each.select("index", representatives=chosen).group_by("index", maintain_order=True).agg("representatives")
    joined = rows.drop("representatives", "image_cluster", strict=False).join(
        lists, on="index", how="left", maintain_order="left"
    )
    joined = joined.with_columns(pl.col("representatives").fill_null(pl.lit([], pl.List(pl.UInt32))))
    cluster = pl.col("representatives").cast(pl.List(pl.String)).list.join("+").rank("dense")
    return joined.with_columns(image_cluster=cluster)


def add_transformations(hits: pl.DataFrame, rows: pl.DataFrame, copies: pl.DataFrame) -> pl.DataFrame:
    """Describe for pairs of records, `index` and the `survivor` of the same cluster, how their images differ.

    Adds `transformation`, "" for equal images, and `similarity`, the lowest of them, 1 for equal images.
    """
    differing = _differing_images(hits, rows).join(in_both_directions(copies), on=["image", "original"], how="left")
    owners = rows.select("id", representative="images").explode("representative")
    first = owners.unique("representative", keep="first", maintain_order=True)
    # images that were never compared share a cluster through their representative
    through = pl.format("like it a copy of an image of {}", "id")
    described = (
        differing.join(first, on="representative", how="left")
        .sort("index")
        .group_by("index", maintain_order=True)
        .agg(
            transformation=pl.coalesce("transformation", through).unique(maintain_order=True).str.join("; "),
            similarity=pl.col("similarity").min(),
        )
    )
    joined = hits.join(described, on="index", how="left", maintain_order="left")
    return joined.with_columns(pl.col("transformation").fill_null(""), pl.col("similarity").fill_null(1.0))


def _differing_images(hits: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Give `index`, `image`, `original` and `representative` of each image that the survivor does not have as it is."""
    images = hits.select("index", "survivor").join(rows.select("index", "images", "representatives"), on="index")
    images = images.join(rows.select(survivor="index", original="images"), on="survivor")
    each = images.rename({"images": "image", "representatives": "representative"})
    return each.explode("image", "original", "representative").filter(pl.col("image") != pl.col("original"))
