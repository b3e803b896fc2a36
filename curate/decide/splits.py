"""Splits: the split of each record, so that no group is in two splits."""

import hashlib

import polars as pl

from ..mixture import Mixture
from .candidates import PROTECTION, dropped


def split_of(group: str, holdout: float, seed: int) -> str:
    """Give `validation` for a `holdout` share of all groups, else `train`.

    It depends on group and seed alone: adding or removing other records never moves a group.
    """
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    return "validation" if int.from_bytes(digest[:8], "big") < holdout * 2**64 else "train"


def assign(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Add `split`: upstream's, or one by the group's hash if upstream has none or the mixture trains on it."""
    by_hash = _splits_with_rule(mixture, "train") + [f"{source}/" for source in mixture.sources]
    is_hashed = pl.concat_str("source", "upstream_split", separator="/").is_in(by_hash)
    groups = rows.filter(is_hashed).select("source", "group").unique()
    own = groups.with_columns(
        own=pl.Series(
            [split_of(group, mixture.split_rule(source).holdout, mixture.seed) for source, group in groups.iter_rows()],
            dtype=pl.String,
        )
    )
    joined = rows.join(own, on=["source", "group"], how="left", maintain_order="left")
    return joined.with_columns(split=pl.when(is_hashed).then("own").otherwise("upstream_split")).drop("own")


def _splits_with_rule(mixture: Mixture, rule: str) -> list[str]:
    """List the upstream splits with this rule, as `source/split`."""
    return [
        f"{source}/{split}"
        for source in mixture.sources
        for split in PROTECTION
        if getattr(mixture.split_rule(source), split) == rule
    ]


def excluded(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Drop the rows of upstream splits that the mixture excludes."""
    split = pl.concat_str("source", "upstream_split", separator="/")
    return dropped(
        rows.filter(split.is_in(_splits_with_rule(mixture, "exclude"))), "split-excluded", pl.col("upstream_split")
    )


def conflicts(rows: pl.DataFrame, everything: pl.DataFrame) -> pl.DataFrame:
    """Drop `rows` whose group has a row in a more protected split.

    Rows of `everything` count even if they are dropped: upstream's users still score on them.
    """
    level = pl.col("split").replace_strict(PROTECTION, return_dtype=pl.Int8)
    protected = (
        everything.filter(pl.col("group") != "")
        .with_columns(level=level)
        .sort("level", "index", descending=[True, False])
        .group_by("group", maintain_order=True)
        .agg(highest=pl.col("level").first(), evidence_id=pl.col("id").first())
    )
    joined = rows.join(protected, on="group", how="left", maintain_order="left")
    return dropped(joined.filter(level < pl.col("highest")), "split-conflict", pl.col("evidence_id"))
