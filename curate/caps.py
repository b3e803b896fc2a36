"""Caps: no more training records of a source than the mixture asks for."""

import hashlib

import polars as pl

from .candidates import dropped
from .mixture import Mixture


def over(rows: pl.DataFrame, mixture: Mixture) -> pl.DataFrame:
    """Drop the training records beyond each source's cap.

    Those with the smallest hash of seed and id stay, so a lower cap keeps a subset of what a higher one keeps.
    """
    drops = [
        _over_one(rows.filter((pl.col("source") == source) & (pl.col("split") == "train")), choice.cap, mixture.seed)
        for source, choice in mixture.sources.items()
        if choice.cap is not None
    ]
    return pl.concat(drops) if drops else dropped(rows.clear(), "capped", pl.lit(""))


def _over_one(rows: pl.DataFrame, cap: int, seed: int) -> pl.DataFrame:
    order = [hashlib.sha256(f"{seed}/{key}".encode()).digest() for key in rows["id"]]
    ranked = rows.with_columns(order=pl.Series(order, dtype=pl.Binary)).sort("order")
    return dropped(ranked[cap:], "capped", pl.lit(f"the mixture takes {cap} training records of this source"))
