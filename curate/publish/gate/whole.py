"""Whether the tables of a mix and its shards have the same records: what is withheld is known from the shards alone.

Without this check a mix whose restricted shards were deleted, emptied, exchanged or changed would not know its withheld
records, and they could be published. The digests of a record's parts are computed again.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq

from ... import engine
from ...write import digests
from .. import pointers, record_digests, record_tables
from .table_bytes import LEDGER
from .withheld import credentialed_sources

_FOLDERS: Final = ("data", "restricted")
_ID: Final = {"id": pl.String}
_COMPARED: Final = dict.fromkeys(
    ("id", "keyed_id", "split", "license", "license_verdict", *digests.DIGEST_COLUMNS), pl.String()
)
_BATCH_ROWS: Final = 4096


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


def unlike_tables(mix: Path, workers: int) -> Iterator[str]:
    """Tell in which shards records differ from what pointers and digests say of them.

    Raises:
        pl.exceptions.PolarsError, pa.ArrowException, OSError: a table or shard is damaged.
    """
    shards = sorted(path for folder in _FOLDERS for path in (mix / folder).glob("*/*.parquet"))
    first, tasks = 0, []
    for shard in shards:
        tasks.append((mix, shard, first))
        first += pq.read_metadata(shard).num_rows if shard.parents[1].name == "data" else 0
    for shard, count in zip(shards, engine.run(_count_unlike, tasks, workers), strict=True):
        if count:
            name = shard.relative_to(mix).as_posix()
            yield f"{name}: {count:,} of its records differ from their digests in the mix; build the mix again"


def _count_unlike(task: tuple[Path, Path, int]) -> int:
    """Count the records of a shard that differ from the tables; those of `data` stand in `records.parquet` in order."""
    mix, shard, first = task
    found: list[dict[str, str | None]] = []
    for batch in pq.ParquetFile(shard).iter_batches(_BATCH_ROWS, columns=digests.SHARD_COLUMNS):
        found += map(_compared, batch.to_pylist())
    own = pl.DataFrame(found, schema=_COMPARED)
    if shard.parents[1].name == "data":
        table = record_tables.read_slice(mix / record_digests.NAME, first, own.height)
        stated = table.with_columns(keyed_id=pl.lit(None, pl.String))
    else:
        own = own.filter((pl.col("license_verdict") != "credentialed") | pl.col("keyed_id").is_not_null())
        stated = pointers.scan(mix).filter(shard=shard.relative_to(mix).as_posix()).collect()
    return own.join(stated.select(list(_COMPARED)), on=list(_COMPARED), how="anti", nulls_equal=True).height


def _compared(row: Mapping[str, Any]) -> dict[str, str | None]:
    key = digests.credentialed_key(row)
    known = {name: row[name] for name in ("id", "split", "license", "license_verdict")}
    keyed = {"id": None, "keyed_id": digests.keyed_id(str(row["id"]), key)} if key else {"keyed_id": None}
    return {**known, **keyed, **digests.part_digests(row, key)}


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
