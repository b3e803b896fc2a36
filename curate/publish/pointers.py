"""Pointers: the records that are not published, in their order, without their content.

A pointer contains a record's place upstream, its shard and the digests of its parts; `medmix rehydrate` uses it to find
the record in a local copy of the source. A pointer to a credentialed record contains neither id nor place, and its
digests are keyed (`digests`). A credentialed record without images has no key and therefore no pointer.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from ..shards import replacing, table_writer
from ..write import digests, record_facts
from ..write.materialise import ShardPlan

FOLDER = "pointers"

SCHEMA = pa.schema(
    [
        *[(name, pa.string()) for name in ("shard", "split", "license", "license_verdict", "id", "file")],
        ("row", pa.int64()),
        *[(name, pa.string()) for name in ("wording", "article", "article_read")],
        ("image_sha256", pa.list_(pa.string())),
        *[(name, pa.string()) for name in ("keyed_id", *digests.DIGEST_COLUMNS)],
    ]
)
"""`shard` is the file in the full mix. `wording`, `article` and `article_read` are the basis of the licence ruling.

Pointers to credentialed records have a `keyed_id`; their columns from `id` to `image_sha256` are null or empty.
"""

CLEAR_COLUMNS = ("id", "file", "row", "wording", "article", "article_read")
"""Null in the pointer of a credentialed record."""


def write(mix: Path, source: str, plans: Sequence[ShardPlan], facts: Mapping[str, Path]) -> str | None:
    """Write `pointers/<source>.parquet` for the restricted shards of a source and give its relative path.

    None if the source has no such shards. `facts` has the tables of `record_facts` by the paths of their shards.
    """
    if not plans:
        return None
    path = f"{FOLDER}/{source}.parquet"
    with replacing(mix / path) as temporary, table_writer(temporary, SCHEMA) as writer:
        for plan in plans:
            table = _pointers(plan, record_facts.read(facts[plan.path])).to_arrow()
            writer.write_table(table.cast(SCHEMA))
    return path


def _pointers(plan: ShardPlan, facts: pl.DataFrame) -> pl.DataFrame:
    """Give the pointers of a shard: the facts of its records with the basis of each licence ruling."""
    rulings = plan.rows.select("wording", "article", "article_read")
    is_secret = pl.col("license_verdict") == "credentialed"
    return (
        pl.concat([facts, rulings], how="horizontal")
        .filter(~is_secret | pl.col("keyed_id").is_not_null())
        .with_columns(
            pl.when(~is_secret).then(pl.col(*CLEAR_COLUMNS)),
            shard=pl.lit(plan.path),
            image_sha256=pl.when(is_secret).then(pl.lit([], pl.List(pl.String))).otherwise("image_sha256"),
        )
        .select(SCHEMA.names)
    )


def scan(mix: Path) -> pl.LazyFrame:
    """Open all pointers of a mix as one table sorted by source, with a `source` column."""
    files = sorted((mix / FOLDER).glob("*.parquet"))
    tables = [pl.scan_parquet(file).with_columns(source=pl.lit(file.stem)) for file in files]
    empty = pl.DataFrame(SCHEMA.empty_table()).lazy().with_columns(source=pl.lit(None, pl.String))
    return pl.concat([empty, *tables])


def read(mix: Path) -> pl.DataFrame:
    """Read the table of `scan`."""
    return scan(mix).collect()
