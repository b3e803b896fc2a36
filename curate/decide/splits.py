"""Splits: which split a record lies in, so that no group stands in two."""

import hashlib

import polars as pl

from ..mixture import Mixture
from .candidates import PROTECTION, dropped


def split_of(group: str, holdout: float, seed: int) -> str:
    """Give `validation` for a `holdout` share of all groups, else `train`.

    A function of group and seed alone: other records coming or going never move a group.
    """
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    return "validation" if int.from_bytes(digest[:8], "big") < holdout * 2**64 else "train"


def assign(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Add `split`: upstream's, or that of the group's hash where upstream has none or the mixture trains on it."""
    freed = _places(mixture, "train") + [f"{source}/" for source in mixture.sources]
    is_free = pl.concat_str("source", "upstream_split", separator="/").is_in(freed)
    groups = rows.filter(is_free).select("source", "group").unique()
    own = groups.with_columns(
        own=pl.Series(
            [split_of(group, mixture.split_rule(source).holdout, mixture.seed) for source, group in groups.iter_rows()],
            dtype=pl.String,
        )
    )
    joined = rows.join(own, on=["source", "group"], how="left", maintain_order="left")
    return joined.with_columns(split=pl.when(is_free).then("own").otherwise("upstream_split")).drop("own")


def _places(mixture: Mixture, rule: str) -> list[str]:
    """List the `source/split` of the upstream splits for which the mixture has this rule."""
    return [
        f"{source}/{split}"
        for source in mixture.sources
        for split in PROTECTION
        if getattr(mixture.split_rule(source), split) == rule
    ]


def held_out(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Drop the rows of splits that the mixture leaves out."""
    place = pl.concat_str("source", "upstream_split", separator="/")
    return dropped(rows.filter(place.is_in(_places(mixture, "exclude"))), "held-out", pl.col("upstream_split"))


def conflicts(rows: pl.DataFrame, everything: pl.DataFrame) -> pl.DataFrame:
    """Drop `rows` whose group has a row in a more protected split.

    Rows of `everything` protect whether or not they are kept: upstream's users score on them all the same.
    """
    level = pl.col("split").replace_strict(PROTECTION, return_dtype=pl.Int8)
    most = (
        everything.filter(pl.col("group") != "")
        .with_columns(level=level)
        .sort("level", "index", descending=[True, False])
        .group_by("group", maintain_order=True)
        .agg(most=pl.col("level").first(), guard=pl.col("id").first())
    )
    joined = rows.join(most, on="group", how="left", maintain_order="left")
    return dropped(joined.filter(level < pl.col("most")), "split-conflict", pl.col("guard"))
