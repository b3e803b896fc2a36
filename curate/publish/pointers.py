"""Pointers: the records that are not published, in their order, without their content.

A pointer says where a record lies upstream, which shard holds it and what its parts digest to; `medmix rehydrate`
finds the record by it in a copy of the source. Of credentialed sources neither id nor place stands there in clear, and
all digests are keyed (`digests`). A credentialed record without images has nothing that a key could be made of, and so
gets no pointer.
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
        *[(name, pa.string()) for name in ("keyed_id", *digests.COLUMNS)],
    ]
)
"""`shard` is the file in the whole mix. `wording`, `article`, `article_read`: by what its licence was ruled.

Of credentialed records `keyed_id` stands for the columns from `id` to `image_sha256`, which are null or empty.
"""

IN_CLEAR = ("id", "file", "row", "wording", "article", "article_read")
"""Null in the pointer of a credentialed record."""


def write(mix: Path, source: str, plans: Sequence[ShardPlan]) -> str | None:
    """Write `pointers/<source>.parquet` for a source's restricted shards, which lie in `mix`; give its relative path.

    None where the source has no such shards.
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
    decided = plan.rows.select("id", "wording", "article", "article_read")
    place = 0
    for batch in pq.ParquetFile(mix / plan.path).iter_batches(batch_size=4096, columns=digests.READ):
        rows = batch.to_pylist()
        said = decided[place : place + len(rows)].iter_rows(named=True)
        made = (_pointer(plan.path, row, one) for row, one in zip(rows, said, strict=True))
        yield [pointer for pointer in made if pointer is not None]
        place += len(rows)


def _pointer(shard: str, row: dict[str, Any], said: dict[str, Any]) -> dict[str, Any] | None:
    open_ = {"shard": shard, **{name: row[name] for name in ("split", "license", "license_verdict")}}
    if row["license_verdict"] == "credentialed":
        key = digests.key_of(row["image_sha256"])
        if key is None:
            return None
        hidden = dict.fromkeys(IN_CLEAR, None)
        keyed = {"keyed_id": digests.keyed_id(row["id"], key), **digests.parts(row, key)}
        return {**open_, **hidden, "image_sha256": [], **keyed}
    place = {name: row["upstream"][name] for name in ("file", "row")}
    clear = {**said, **place, "image_sha256": row["image_sha256"], "keyed_id": None}
    return {**open_, **clear, **digests.parts(row)}


def read(mix: Path) -> pl.DataFrame:
    """Read all pointers of a mix into one table, with `source` beside the columns of `SCHEMA`, sources sorted."""
    files = sorted((mix / FOLDER).glob("*.parquet"))
    frames = [pl.read_parquet(file).with_columns(source=pl.lit(file.stem)) for file in files]
    empty = pl.DataFrame(SCHEMA.empty_table()).with_columns(source=pl.lit(None, pl.String))
    return pl.concat([empty, *frames])
