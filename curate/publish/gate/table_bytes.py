"""Tables that hold nothing but their rows, proved by writing them again: equal rows give equal bytes.

A parquet file can carry more than its rows: bytes between row groups, metadata of files and columns, entries of a
dictionary that no row uses, statistics of other rows. None of it is read with the rows, and all of it would go out.
"""

import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ...describe import attribution
from ...evaluationsets import item_keys
from ...shards import HashedFile, file_sha256, shard_writer, table_writer
from ...write import ledger
from ...write.features import mix_schema
from .. import pointers, record_digests

LEDGER = "ledger.parquet"

_LINKED = {
    "data": mix_schema,
    pointers.FOLDER: lambda: pointers.SCHEMA,
    record_digests.NAME: lambda: record_digests.SCHEMA,
    attribution.NAME: lambda: attribution.SCHEMA,
}
"""First part of a file's name -> its schema, for tables that pyarrow writes."""


def schema(name: str) -> pa.Schema | None:
    """Give the schema of a published table by its name in the repository; None for other names."""
    first = name.split("/")[0]
    if not name.endswith(".parquet") or (first in ("data", pointers.FOLDER)) != ("/" in name):
        return None
    if first in _LINKED:
        return _LINKED[first]()
    table = {LEDGER: ledger.SCHEMA, item_keys.NAME: item_keys.SCHEMA}.get(first)
    return None if table is None else pl.DataFrame(schema=table).to_arrow().schema


def is_only_its_rows(name: str, path: Path, work: Path) -> bool:
    """Whether a table has exactly the bytes with which its rows are written here.

    Args:
        name: in the repository.
        path: of the file.
        work: a folder for a temporary file.

    Raises:
        pa.ArrowException, pl.exceptions.PolarsError, OSError: the file is damaged.
    """
    return file_sha256(path) == _sha256_again(name, path, work)


def _sha256_again(name: str, path: Path, work: Path) -> str:
    first = name.split("/")[0]
    if first in _LINKED:
        return _sha256_of_row_groups(path, _LINKED[first](), is_shard=first == "data")
    again = work / f"again-{os.getpid()}.parquet"
    try:
        rows = pl.read_parquet(path)
        if first == LEDGER:
            ledger.write(again, rows)
        else:
            item_keys.write(again, {str(name): part["key"].to_list() for (name,), part in rows.group_by("set")})
        return file_sha256(again)
    finally:
        again.unlink(missing_ok=True)


def _sha256_of_row_groups(path: Path, schema: pa.Schema, is_shard: bool) -> str:
    file, again = pq.ParquetFile(path), HashedFile()
    with shard_writer(again, schema) if is_shard else table_writer(again, schema) as writer:
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number).cast(schema)
            writer.write_table(rows, row_group_size=max(1, rows.num_rows))
    return again.digest.hexdigest()
