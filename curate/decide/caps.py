"""Caps: limits on the training records of a source, and on those with the same report text."""

import hashlib

import polars as pl

from ..mixture import Mixture
from .candidates import dropped

COLUMNS = ("index", "id", "source", "split")
"""The columns of rows that `over_cap` needs."""


def over_cap(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Drop the training records beyond each source's cap.

    Records with the smallest hash of seed and id stay, so a lower cap keeps a subset of the records of a higher one.
    """
    caps = {source: choice.cap for source, choice in mixture.sources.items() if choice.cap is not None}
    cap = pl.col("source").replace_strict(caps or {"": 0}, default=None, return_dtype=pl.Int64)
    capped = rows.filter(pl.col("split") == "train").with_columns(cap=cap).drop_nulls("cap")
    over = _ranked(capped, "source", mixture.seed).filter(pl.col("place") >= pl.col("cap"))
    return dropped(over, "capped", pl.format("the mixture takes {} training records of this source", "cap"))


def repeated_reports(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Drop the training reports that exceed the limit of reports with equal text; the evidence is one that stays."""
    limit = pl.lit(mixture.repeats.reports, pl.Int64)  # null without a limit, which no count exceeds
    reports = rows.filter((pl.col("task") == "report") & (pl.col("split") == "train"))
    repeated = reports.filter(pl.len().over("text_key") > limit)
    over = _ranked(repeated, "text_key", mixture.seed).filter(pl.col("place") >= limit)
    return dropped(over, "repeated", pl.col("first"))


def _ranked(rows: pl.DataFrame, group: str, seed: int) -> pl.DataFrame:
    """Add `place` in the group, from 0, and the `first` id of the group, ordered by the hash of seed and id.

    The order is random and does not depend on the other rows.
    """
    order = [hashlib.sha256(f"{seed}/{key}".encode()).digest() for key in rows["id"]]
    ordered = rows.with_columns(order=pl.Series(order, dtype=pl.Binary)).sort("order")
    return ordered.with_columns(place=pl.int_range(pl.len()).over(group), first=pl.col("id").first().over(group))


def count_repeated_reports(rows: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Count, by source, the repeated report texts, the reports with such texts, and those with the commonest one."""
    texts = rows.filter(pl.col("task") == "report").group_by("source", "text_key", maintain_order=True).len()
    counts: dict[str, dict[str, int]] = {}
    for (source,), mine in texts.filter(pl.col("len") > 1).group_by("source", maintain_order=True):
        counts[str(source)] = {"texts": mine.height, "reports": sum(mine["len"]), "most": max(mine["len"])}
    return counts
