"""How copies of images group records, and in words how one image was made of another."""

import numpy as np
import polars as pl

from ..copies.clusters import greedy_clusters
from .candidates import by_precedence
from .copy_search import Copies


def in_both_directions(copies: Copies) -> pl.DataFrame:
    """Give each pair of leaders twice: `image`, its `original`, `similarity` and `transformation`.

    `transformation` describes how the image was made of the original.
    """
    forward = copies.altered.rename({"image": "original", "other": "image"})
    backward = copies.altered.rename({"other": "original"}).with_columns(
        turn=pl.when("flipped").then("turn").otherwise((360 - pl.col("turn")) % 360), zoom=1 / pl.col("zoom")
    )
    both = pl.concat([forward, backward.select(forward.columns)]).with_columns(transformation=_transformation())
    return both.select("image", "original", "similarity", "transformation").sort("image", "original")


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
    return pl.format("{}; similarity {}", altered, pl.col("similarity").round(3))


def add_clusters(rows: pl.DataFrame, copies: Copies, is_eligible: pl.Expr) -> pl.DataFrame:
    """Add `representatives`, one leader for each of a record's images, and `image_cluster`, equal for equal ones.

    The images of rows that are eligible are chosen first, in the order of `by_precedence`. An image represents only
    images with its pixels, and images that were confirmed as copies of one of these. So two of its copies that were
    never compared, or are no copies of each other (two crops of one image), share a cluster only through it.
    """
    order = by_precedence(rows.with_columns(first=is_eligible)).sort("first", descending=True, maintain_order=True)
    led = order.select(image="images").explode("image").drop_nulls().select(copies.leader(pl.col("image")))
    images = led["image"].unique(maintain_order=True)
    count = int(images.max() or 0) + 1 if images.len() else 0  # type: ignore[arg-type]
    inside = copies.altered.filter(pl.col("image").is_in(images.implode()) & pl.col("other").is_in(images.implode()))
    absent = np.setdiff1d(np.arange(count), images.to_numpy())
    representative = greedy_clusters(
        inside.select("image", "other").to_numpy().astype(np.int64),
        np.concatenate([images.to_numpy().astype(np.int64), absent]),
    )
    each = rows.select("index", image="images").explode("image").drop_nulls()
    each = each.with_columns(copies.leader(pl.col("image")))
    chosen = pl.Series(representative[each["image"].to_numpy()], dtype=pl.UInt32)
    lists = each.select("index", representatives=chosen).group_by("index", maintain_order=True).agg("representatives")
    joined = rows.drop("representatives", "image_cluster", strict=False).join(
        lists, on="index", how="left", maintain_order="left"
    )
    joined = joined.with_columns(pl.col("representatives").fill_null(pl.lit([], pl.List(pl.UInt32))))
    cluster = pl.col("representatives").cast(pl.List(pl.String)).list.join("+").rank("dense")
    return joined.with_columns(image_cluster=cluster)


def add_transformations(hits: pl.DataFrame, rows: pl.DataFrame, copies: Copies) -> pl.DataFrame:
    """Describe for pairs of records, `index` and the `survivor` of the same cluster, how their images differ.

    Adds `transformation`, "" for equal images, and `similarity`, the lowest of them, 1 for equal pixels.
    """
    differing = _differing_images(hits, rows, copies)
    owners = rows.select("id", representative="images").explode("representative")
    owners = owners.with_columns(copies.leader(pl.col("representative")))
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


def _differing_images(hits: pl.DataFrame, rows: pl.DataFrame, copies: Copies) -> pl.DataFrame:
    """Give each image of a record that the survivor does not have as it is.

    Columns: `index`, `representative`, and `similarity` and `transformation`, null if the two were never compared.
    """
    images = hits.select("index", "survivor").join(rows.select("index", "images", "representatives"), on="index")
    images = images.join(rows.select(survivor="index", original="images"), on="survivor")
    each = images.rename({"images": "image", "representatives": "representative"})
    differing = each.explode("image", "original", "representative").filter(pl.col("image") != pl.col("original"))
    led = differing.with_columns(copies.leader(pl.col("image")), copies.leader(pl.col("original")))
    compared = led.join(in_both_directions(copies), on=["image", "original"], how="left", maintain_order="left")
    is_equal = pl.col("image") == pl.col("original")
    return compared.with_columns(
        transformation=pl.when(is_equal).then(pl.lit("equal pixels in another file")).otherwise("transformation"),
        similarity=pl.when(is_equal).then(1.0).otherwise("similarity"),
    )
