"""How copies of images group records, and in words how one image was made of another or is related to it."""

import numpy as np
import polars as pl

from ..copies.clusters import greedy_clusters
from .candidates import PRECEDENCE, by_precedence
from .comparisons import KIND
from .copy_search import Copies

RELATION = pl.Enum(["equal", *KIND.categories])
"""How an image is related to another, the closest relation first."""


def in_both_directions(copies: Copies) -> pl.DataFrame:
    """Give each pair of leaders twice: `image`, `original`, `kind`, `similarity`, `share` and `transformation`.

    `transformation` describes how the image was made of the original.
    """
    forward = copies.altered.rename({"image": "original", "other": "image"})
    backward = copies.altered.rename({"other": "original"}).with_columns(
        turn=pl.when("flipped").then("turn").otherwise((360 - pl.col("turn")) % 360), zoom=1 / pl.col("zoom")
    )
    both = pl.concat([forward, backward.select(forward.columns)]).with_columns(transformation=_transformation())
    columns = ("image", "original", "kind", "similarity", "share", "transformation")
    return both.select(columns).sort("image", "original")


def _transformation() -> pl.Expr:
    """Describe how an image was made of another; a zoom above 1 shows less than the original."""
    zoom, is_copy = pl.col("zoom").round(2), pl.col("kind") == "copy"
    parts = [
        _partial_relation(),
        pl.when("flipped").then(pl.lit("flipped")),
        pl.when(pl.col("turn") != 0).then(pl.format("rotated by {} degrees", "turn")),
        pl.when(is_copy & (zoom >= 1.02)).then(pl.format("cropped and enlarged {} times", zoom)),
        pl.when(is_copy & (zoom <= 0.98)).then(pl.format("a wider view, scaled {} times", zoom)),
    ]
    changed = pl.concat_str(parts, separator=", ", ignore_nulls=True)
    altered = pl.when(changed == "").then(pl.lit("re-encoded, resized or recoloured")).otherwise(changed)
    return pl.format("{}; similarity {}", altered, pl.col("similarity").round(3))


def _partial_relation() -> pl.Expr:
    """Describe how images are related that are no copies, null for copies."""
    kind, box = pl.col("kind"), pl.format("{} {} {} {}", *map(_two_decimals, ("left", "top", "right", "bottom")))
    return (
        pl.when((kind == "panel") & (pl.col("zoom") > 1))
        .then(pl.format("a panel, at {} of the other", box))
        .when(kind == "panel")
        .then(pl.format("shows the other as a panel, at {}", box))
        .when(kind == "overlap")
        .then(pl.format("overlaps by {}", _two_decimals("share")))
        .when(kind == "sequence")
        .then(pl.lit("a neighbouring slice or frame"))
    )


def _two_decimals(column: str) -> pl.Expr:
    hundredths = (pl.col(column) * 100).round().cast(pl.Int64).cast(pl.String)
    return hundredths.str.zfill(3).str.replace(r"(..)$", ".$1")


def add_clusters(rows: pl.DataFrame, copies: Copies, is_eligible: pl.Expr) -> pl.DataFrame:
    """Add `representatives`, one leader for each of a record's images, and `image_cluster`, equal for equal ones.

    The images of rows that are eligible are chosen first, in the order of `by_precedence`. An image represents only
    images with its pixels, and images that are related to one of these in `copies`. So two of its copies that were
    never compared, or are no copies of each other (two crops of one image), share a cluster only through it.
    """
    ranked = rows.lazy().select(*PRECEDENCE, image="images", first=is_eligible).filter(pl.col("image").list.len() > 0)
    order = by_precedence(ranked.collect()).select("image", "first").sort("first", descending=True, maintain_order=True)
    led = order.select("image").explode("image").drop_nulls().select(copies.leader(pl.col("image")))
    images = led["image"].unique(maintain_order=True)
    del order, led
    count = int(images.max() or 0) + 1 if images.len() else 0  # type: ignore[arg-type]
    inside = copies.altered.filter(pl.col("image").is_in(images.implode()) & pl.col("other").is_in(images.implode()))
    absent = np.setdiff1d(np.arange(count), images.to_numpy())
    representative = greedy_clusters(
        inside.select("image", "other").to_numpy().astype(np.int64),
        np.concatenate([images.to_numpy().astype(np.int64), absent]),
    ).astype(np.uint32)
    each = rows.select("index", image="images").explode("image").drop_nulls()
    each = each.with_columns(copies.leader(pl.col("image")))
    chosen = pl.Series(representative[each["image"].to_numpy()], dtype=pl.UInt32)
    lists = each.select("index", representatives=chosen).group_by("index", maintain_order=True).agg("representatives")
    joined = rows.select("index").join(lists, on="index", how="left", maintain_order="left")
    found = joined["representatives"].fill_null(pl.Series([[]], dtype=pl.List(pl.UInt32)))
    return rows.with_columns(representatives=found, image_cluster=_numbered(found))


def _numbered(lists: pl.Series) -> pl.Series:
    """Give equal numbers to equal lists; a list of one number has that number."""
    size = lists.list.len()
    numbers = lists.list.first().cast(pl.UInt32)
    several = size != 1
    keys = lists.filter(several).cast(pl.List(pl.String)).list.join("+")
    above = keys.rank("dense") + int(numbers.max() or 0)  # type: ignore[arg-type]
    return numbers.scatter(several.arg_true(), above.cast(pl.UInt32))


def first_owners(rows: pl.LazyFrame, copies: Copies) -> pl.DataFrame:
    """Give for each image that is related to another, as its leader, the `owner`: the id of the first row that has it.

    Columns: `owner` and `representative`.
    """
    related = pl.concat([copies.altered["image"], copies.altered["other"]]).unique()
    owners = rows.select(owner="id", representative="images").explode("representative").drop_nulls()
    led = owners.with_columns(copies.leader(pl.col("representative")))
    found = led.filter(pl.col("representative").is_in(related.implode())).collect()
    return found.unique("representative", keep="first", maintain_order=True)


def add_transformations(
    hits: pl.DataFrame, rows: pl.DataFrame, copies: Copies, owners: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Describe for pairs of records, `index` and the `survivor` of the same cluster, how their images differ.

    Adds `transformation`, "" for equal images; `similarity`, the lowest of them, 1 for equal pixels; and `relation`,
    the least close of `equal`, `copy` and the other kinds, "" for records without images. `rows` has the records of
    all pairs; `owners` is `first_owners` of all rows that are left, by default of `rows`.
    """
    owners = first_owners(rows.lazy(), copies) if owners is None else owners
    described = (
        _compared_images(hits, rows, copies, owners)
        .sort("index", maintain_order=True)
        .group_by("index", maintain_order=True)
        .agg(
            transformation=pl.col("transformation").drop_nulls().unique(maintain_order=True).str.join("; "),
            similarity=pl.col("similarity").min(),
            relation=pl.col("relation").max(),
        )
    )
    joined = hits.join(described, on="index", how="left", maintain_order="left")
    return joined.with_columns(
        pl.col("transformation", "relation").cast(pl.String).fill_null(""), pl.col("similarity").fill_null(1.0)
    )


def _compared_images(hits: pl.DataFrame, rows: pl.DataFrame, copies: Copies, owners: pl.DataFrame) -> pl.DataFrame:
    """Compare each image of a record with the survivor's at its place.

    Columns: `index`, `relation` (`RELATION`), `similarity`, and `transformation`, null where both are one image.
    Images that were never compared are related through their representative.
    """
    images = hits.select("index", "survivor").join(rows.select("index", "images", "representatives"), on="index")
    images = images.join(rows.select(survivor="index", original="images"), on="survivor")
    each = images.rename({"images": "image", "representatives": "representative"})
    each = each.explode("image", "original", "representative").drop_nulls("image")
    is_same = pl.col("image") == pl.col("original")
    led = each.with_columns(copies.leader(pl.col("image")), copies.leader(pl.col("original")), is_same=is_same)
    both = in_both_directions(copies)
    to_representative = both.select("image", representative="original", through="kind")
    compared = (
        led.join(both, on=["image", "original"], how="left", maintain_order="left")
        .join(to_representative, on=["image", "representative"], how="left", maintain_order="left")
        .join(
            to_representative.rename({"image": "original", "through": "through_other"}),
            on=["original", "representative"],
            how="left",
            maintain_order="left",
        )
        .join(owners, on="representative", how="left")
    )
    is_equal, through = pl.col("image") == pl.col("original"), pl.max_horizontal("through", "through_other")
    indirect = (
        pl.when(through == "copy")
        .then(pl.format("like it a copy of an image of {}", "owner"))
        .otherwise(pl.format("like it related to an image of {}", "owner"))
    )
    return compared.select(
        "index",
        relation=pl.when(is_equal)
        .then(pl.lit("equal", RELATION))
        .otherwise(pl.coalesce("kind", through).cast(RELATION)),
        similarity=pl.when(is_equal).then(1.0).otherwise("similarity"),
        transformation=pl.when(~pl.col("is_same")).then(
            pl.when(is_equal)
            .then(pl.lit("equal pixels in another file"))
            .otherwise(pl.coalesce("transformation", indirect))
        ),
    )
