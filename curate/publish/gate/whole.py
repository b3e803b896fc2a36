"""Whether the tables of a mix and its shards have the same records: what is withheld is known from the shards alone.

Without this check a mix whose restricted shards were deleted, emptied or exchanged would know of no withheld record,
and anything could be published.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from .. import pointers, record_digests
from .table_bytes import LEDGER
from .withheld import credentialed_sources

_FOLDERS: Final = ("data", "restricted")
_ID: Final = {"id": pl.String}


def findings(mix: Path) -> Iterator[str]:
    """Tell which records stand in the tables of a mix only, or in its shards only.

    Raises:
        pl.exceptions.PolarsError, OSError: a table or shard is damaged.
    """
    public, restricted = (_ids(sorted((mix / folder).glob("*/*.parquet"))) for folder in _FOLDERS)
    kept = pl.scan_parquet(mix / LEDGER).filter(outcome="kept").select("id")
    yield from _differences(LEDGER, kept, pl.concat([public, restricted]))
    yield from _differences(record_digests.NAME, pl.scan_parquet(mix / record_digests.NAME).select("id"), public)
    open_pointers = pointers.scan(mix).filter(pl.col("id").is_not_null()).select("id")
    yield from _differences(pointers.FOLDER, open_pointers, _without_credentialed(restricted))


def _ids(shards: list[Path]) -> pl.LazyFrame:
    """Give the ids of shards, in their order, those of credentialed records too."""
    return pl.concat([pl.LazyFrame(schema=_ID), *(pl.scan_parquet(shard).select("id") for shard in shards)])


def _without_credentialed(ids: pl.LazyFrame) -> pl.LazyFrame:
    source = pl.col("id").str.split("/").list.first()
    return ids.filter(~source.is_in(sorted(credentialed_sources())))


def _differences(table: str, rows: pl.LazyFrame, records: pl.LazyFrame) -> Iterator[str]:
    stated, found = (frame.collect()["id"] for frame in (rows, records))
    if stated.n_unique() != len(stated):
        yield f"{table}: has records more than once; build the mix again"
    for words, more, fewer in (("that no shard has", stated, found), ("too few", found, stated)):
        if count := len(more.unique()) - more.unique().is_in(fewer.unique().implode()).sum():
            yield f"{table}: has {count:,} records {words}, so what is withheld is not known; build the mix again"
