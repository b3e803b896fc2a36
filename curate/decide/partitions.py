"""Parts of a table, so that a stage's working memory depends on the size of a part and not of the table."""

from collections.abc import Callable

import polars as pl

ROWS_PER_PART = 1_000_000
"""Rows of a table that are worked on at once, nearly."""

Find = Callable[[pl.DataFrame], pl.DataFrame]
"""Finds something in some rows; the result has the same columns whatever the rows."""


def by_rows(table: pl.DataFrame, find: Find) -> pl.DataFrame:
    """Find something that depends on single rows, in runs of rows, and concatenate the results."""
    if table.height <= ROWS_PER_PART:
        return find(table)
    return pl.concat([find(part) for part in table.iter_slices(ROWS_PER_PART)])


def by_key(table: pl.DataFrame, key: str, is_wanted: pl.Expr, find: Find) -> pl.DataFrame:
    """Find something that depends on rows with an equal key alone, in parts of the wanted rows.

    Each part has all rows of its keys, in the order of the table; the order of the result is that of the parts.
    """
    wanted = table.select(is_wanted.alias("is_wanted"))["is_wanted"]
    parts = -(-int(wanted.sum() or 0) // ROWS_PER_PART)
    if parts <= 1:
        return find(table.filter(wanted))
    number = (table[key].hash() % parts).cast(pl.UInt16)
    return pl.concat([find(table.filter(wanted & (number == part))) for part in range(parts)])
