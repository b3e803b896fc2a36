"""Caps: limits on the training records of a source, and on those with the same report text."""

import hashlib

import polars as pl

from ..mixture import Mixture
from .candidates import dropped


def over_cap(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Drop the training records beyond each source's cap.

    Records with the smallest hash of seed and id stay, so a lower cap keeps a subset of the records of a higher one.
    """
    drops = [
        _over_source_cap(
            rows.filter((pl.col("source") == source) & (pl.col("split") == "train")), choice.cap, mixture.seed
        )
        for source, choice in mixture.sources.items()
        if choice.cap is not None
    ]
    return pl.concat(drops) if drops else dropped(rows.clear(), "capped", pl.lit(""))


def _over_source_cap(rows: pl.DataFrame, cap: int, seed: int) -> pl.DataFrame:
    ranked = _by_hash(rows, seed)
    return dropped(ranked[cap:], "capped", pl.lit(f"the mixture takes {cap} training records of this source"))


def _by_hash(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Sort rows by the hash of seed and id: a random order that does not depend on the other rows."""
    order = [hashlib.sha256(f"{seed}/{key}".encode()).digest() for key in rows["id"]]
    return rows.with_columns(order=pl.Series(order, dtype=pl.Binary)).sort("order")


def repeated_reports(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Drop the training reports that exceed the limit of reports with equal text; the evidence is one that stays."""
    limit = mixture.repeats.reports
    if limit is None:
        return dropped(rows.clear(), "repeated", pl.lit(""))
    reports = rows.filter((pl.col("task") == "report") & (pl.col("split") == "train"))
    ranked = _by_hash(reports.filter(pl.len().over("text_key") > limit), mixture.seed)
    numbered = ranked.with_columns(
        place=pl.int_range(pl.len()).over("text_key"), first=pl.col("id").first().over("text_key")
    )
    return dropped(numbered.filter(pl.col("place") >= limit), "repeated", pl.col("first"))


def count_repeated_reports(rows: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Count, by source, the repeated report texts, the reports with such texts, and those with the commonest one."""
    texts = rows.filter(pl.col("task") == "report").group_by("source", "text_key", maintain_order=True).len()
    counts: dict[str, dict[str, int]] = {}
    for (source,), mine in texts.filter(pl.col("len") > 1).group_by("source", maintain_order=True):
        counts[str(source)] = {"texts": mine.height, "reports": sum(mine["len"]), "most": max(mine["len"])}
    return counts
