"""records.parquet: the records in `data`, each with the digests of its parts; they may be published.

Together with the pointers it allows a comparison of two versions without their data.
"""

from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pyarrow as pa

from ..shards import replacing, table_writer
from ..write import digests

NAME = "records.parquet"

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "split", "license", "license_verdict", *digests.DIGEST_COLUMNS)]
)


def write(mix: Path, facts: Iterable[pl.DataFrame]) -> str:
    """Write the table from those of `record_facts`, one for each shard in `data`, and give its name."""
    with replacing(mix / NAME) as temporary, table_writer(temporary, SCHEMA) as writer:
        for table in facts:
            writer.write_table(rows_of(table).to_arrow().cast(SCHEMA))
    return NAME


def rows_of(facts: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of a shard from its table of `record_facts`."""
    return facts.select(SCHEMA.names)
