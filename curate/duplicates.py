"""Duplicates: records that say the same of the same pixels, and which of them survives."""

import polars as pl

from .candidates import PROTECTION, dropped


def exact(rows: pl.DataFrame, spared: pl.Expr) -> pl.DataFrame:
    """Drop all but one of the records with equal pixels, in order, and equal text (options and context included).

    The survivor is the one in the more protected split; then by the mixture's order of sources, the more open
    licence, the larger image, the longer answer and the id. Rows that are `spared` (evaluation items, which
    others score on as they are) take no part.
    """
    key = [pl.col("pixels").list.join("+"), pl.col("text_key")]
    keyed = (
        rows.filter(~spared)
        .with_columns(level=pl.col("split").replace_strict(PROTECTION, return_dtype=pl.Int8))
        .sort(
            ["level", "rank", "openness", "area", "answer_chars", "id"],
            descending=[True, False, True, True, True, False],
        )
        .with_columns(survivor=pl.col("id").first().over(key))
    )
    return dropped(keyed.filter(pl.col("id") != pl.col("survivor")), "duplicate", pl.col("survivor"), pl.lit(1.0))
