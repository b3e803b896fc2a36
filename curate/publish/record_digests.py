"""records.parquet: the published records, each with the digests of its parts.

Together with the pointers it allows a comparison of two versions without their data.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ..shards import replacing
from . import digests

NAME = "records.parquet"

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "split", "license", "license_verdict", *digests.DIGEST_COLUMNS)]
)


def write(out: Path, mix: Path, shards: list[str]) -> None:
    """Write the table of the records in these shards of a mix to `out`."""
    with replacing(out) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for rows in _rows(mix, shards):
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))


def read(mix: Path, shards: list[str]) -> pl.DataFrame:
    """Read the table of a mix, or compute it from these shards if the mix has none."""
    if (mix / NAME).is_file():
        return pl.read_parquet(mix / NAME)
    tables = [pa.Table.from_pylist(rows, schema=SCHEMA) for rows in _rows(mix, shards)]
    return pl.DataFrame(pa.concat_tables([SCHEMA.empty_table(), *tables]))


def _rows(mix: Path, shards: list[str]) -> Iterator[list[dict[str, Any]]]:
    for shard in shards:
        for batch in pq.ParquetFile(mix / shard).iter_batches(batch_size=4096, columns=digests.SHARD_COLUMNS):
            yield [{**row, **digests.part_digests(row)} for row in batch.to_pylist()]
