"""Pointers: the records that are not published, in their order, without their content.

A pointer contains a record's place upstream, its shard and the digests of its parts; `medmix rehydrate` uses it to find
the record in a local copy of the source. A pointer to a credentialed record contains neither id nor place, and its
digests are keyed (`digests`). A credentialed record without images has no key and therefore no pointer.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ..shards import replacing
from ..write.materialise import ShardPlan
from . import digests

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


def write(mix: Path, source: str, plans: Sequence[ShardPlan]) -> str | None:
    """Write `pointers/<source>.parquet` for the restricted shards of a source and give its relative path.

    None if the source has no such shards.
    """
    if not plans:
        return None
    path = f"{FOLDER}/{source}.parquet"
    with replacing(mix / path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for plan in plans:
            for rows in _pointers(mix, plan):
                writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    return path


def _pointers(mix: Path, plan: ShardPlan) -> Iterator[list[dict[str, Any]]]:
    rulings = plan.rows.select("id", "wording", "article", "article_read").iter_rows(named=True)
    for batch in pq.ParquetFile(mix / plan.path).iter_batches(batch_size=4096, columns=digests.SHARD_COLUMNS):
        pointers = [_pointer(plan.path, row, next(rulings)) for row in batch.to_pylist()]
        yield [pointer for pointer in pointers if pointer is not None]


def _pointer(shard: str, row: dict[str, Any], ruling: dict[str, Any]) -> dict[str, Any] | None:
    always = {"shard": shard, **{name: row[name] for name in ("split", "license", "license_verdict")}}
    if row["license_verdict"] == "credentialed":
        key = digests.record_key(row["image_sha256"])
        if key is None:
            return None
        hidden = dict.fromkeys(CLEAR_COLUMNS, None)
        keyed = {"keyed_id": digests.keyed_id(row["id"], key), **digests.part_digests(row, key)}
        return {**always, **hidden, "image_sha256": [], **keyed}
    place = {name: row["upstream"][name] for name in ("file", "row")}
    clear = {**ruling, **place, "image_sha256": row["image_sha256"], "keyed_id": None}
    return {**always, **clear, **digests.part_digests(row)}


def read(mix: Path) -> pl.DataFrame:
    """Read all pointers of a mix into one table sorted by source, with a `source` column."""
    files = sorted((mix / FOLDER).glob("*.parquet"))
    frames = [pl.read_parquet(file).with_columns(source=pl.lit(file.stem)) for file in files]
    empty = pl.DataFrame(SCHEMA.empty_table()).with_columns(source=pl.lit(None, pl.String))
    return pl.concat([empty, *frames])
