"""Splits: the split of each record, so that no group is in two splits."""

import hashlib

import numpy as np
import polars as pl

from ..copies.clusters import components
from ..mixture import Mixture
from .candidates import CATEGORY, PROTECTION, dropped, is_one_of
from .copy_search import Copies

CONFLICT_COLUMNS = ("index", "group", "split")
"""The columns of rows that `conflicts` needs."""


def split_of(group: str, holdout: float, seed: int) -> str:
    """Give `validation` for a `holdout` share of all groups, else `train`.

    It depends on group and seed alone: adding or removing other records never moves a group.
    """
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    return "validation" if int.from_bytes(digest[:8], "big") < holdout * 2**64 else "train"


def assign(rows: pl.DataFrame, mixture: Mixture, copies: Copies) -> pl.DataFrame:
    """Add `split`: upstream's, or one by the group's hash if upstream has none or the mixture trains on it.

    Groups that share an image, or have images that count as copies for leaks, are joined first and get one split:
    upstream's, if it gave one of them a split for training or validation (training first); else that of the hash of
    their first name, by the smallest holdout of their sources.
    """
    by_hash = [*_splits_with_rule(mixture, "train"), *((source, "") for source in mixture.sources)]
    is_hashed = is_one_of(by_hash)
    holdouts = {source: mixture.split_rule(source).holdout for source in mixture.sources}
    holdout = pl.col("source").replace_strict(holdouts, return_dtype=pl.Float64)
    joined = rows.select("group", "source", "upstream_split").join(
        _joined_groups(rows, copies.under(mixture.copies.leaks)), on="group", how="left", maintain_order="left"
    )
    joined = joined.with_columns(pl.coalesce("joined", "group").alias("joined"), is_hashed=is_hashed)
    given = [
        (~pl.col("is_hashed") & (pl.col("group") != "") & (pl.col("upstream_split") == split)).any().alias(split)
        for split in ("train", "validation")
    ]
    sets = joined.group_by("joined").agg(*given, holdout=holdout.filter("is_hashed").min()).drop_nulls("holdout")
    hashed = [split_of(name, share, mixture.seed) for name, share in sets.select("joined", "holdout").iter_rows()]
    own = pl.when("train").then(pl.lit("train")).when("validation").then(pl.lit("validation"))
    splits = sets.select("joined", own=own.otherwise(pl.Series(hashed, dtype=pl.String)))
    split = pl.when("is_hashed").then("own").otherwise("upstream_split")
    chosen = joined.join(splits, on="joined", how="left", maintain_order="left").select(split=split.cast(CATEGORY))
    return rows.with_columns(chosen["split"])


def _joined_groups(rows: pl.DataFrame, copies: Copies) -> pl.DataFrame:
    """Give `group` and `joined`, the first name of those that related images connect, where it is another one."""
    names = rows.select(group=pl.col("group").unique().sort())["group"]
    number = pl.col("group").replace_strict(names, pl.Series(range(len(names)), dtype=pl.Int64))
    images = rows.select("group", image="images").explode("image").drop_nulls().unique()
    # images are numbered behind the groups, so that the lowest number of a set is that of a group
    image = copies.leader(pl.col("image")).cast(pl.Int64) + len(names)
    of_groups = images.select(number, image).to_numpy()
    found = components(np.concatenate([of_groups, copies.altered.select("image", "other").to_numpy() + len(names)]))
    found = found[(found < len(names)).all(1)]
    return pl.DataFrame({"group": names[found[:, 0]], "joined": names[found[:, 1]]})


def _splits_with_rule(mixture: Mixture, rule: str) -> list[tuple[str, str]]:
    """List the upstream splits with this rule: source and split."""
    return [
        (source, split)
        for source in mixture.sources
        for split in PROTECTION
        if getattr(mixture.split_rule(source), split) == rule
    ]


def excluded(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Drop the rows of upstream splits that the mixture excludes."""
    is_excluded = is_one_of(_splits_with_rule(mixture, "exclude"))
    return dropped(rows.filter(is_excluded), "split-excluded", pl.col("upstream_split"))


def conflicts(rows: pl.DataFrame, everything: pl.DataFrame) -> pl.DataFrame:
    """Drop `rows` whose group has a row in a more protected split.

    Rows of `everything` count even if they are dropped: upstream's users still score on them.
    """
    level = pl.col("split").replace_strict(PROTECTION, return_dtype=pl.Int8)
    # a group that is only in the least protected split has no conflict
    protected = everything.lazy().with_columns(level=level).filter((pl.col("level") > 0) & (pl.col("group") != ""))
    highest = pl.col("level").max()
    firsts = protected.group_by("group").agg(
        highest=highest, first=pl.col("index").filter(pl.col("level") == highest).min()
    )
    names = protected.select(first="index", evidence_id="id")
    joined = rows.join(firsts.join(names, on="first").collect(), on="group", maintain_order="left")
    return dropped(joined.filter(level < pl.col("highest")), "split-conflict", pl.col("evidence_id"))
