"""What is known of the records of a shard besides their content, measured once, while the shard is written.

Statistics, pointers, digests and credits of a mix are made of these tables, so that no shard is read again for them.
The tables are kept in the work folder under the digest of their shard; the name of a table also has its own digest.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ..code_digest import code_digest
from ..hashed_parquet import HashedParquet
from ..record import QUESTION_TASKS
from ..shards import file_sha256, replacing
from . import digests

FOLDER = "facts"
"""The folder of the tables in a work folder."""

NEAR_EMPTY_CHARACTERS = 20
"""A caption or report with fewer characters is near-empty."""

CODE = ("write/record_facts.py", "write/digests.py")
"""The code that these tables depend on, beside their shards."""

BATCH_ROWS = 4096

_TEXT, _COUNT = pl.String(), pl.Int64()

COUNTED = {
    **dict.fromkeys(("task", "modality", "language", "answer_type", "license_verdict"), _TEXT),
    **dict.fromkeys(("images", "question_characters", "answer_characters"), _COUNT),
    **{"yes_no": _TEXT, "option": _TEXT, "near_empty": pl.Boolean(), "asked_answer": _TEXT},
}
"""The columns that statistics count; null where they do not apply."""

SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("id", "source", "split", "license", "attribution", "file"), _TEXT),
        "row": _COUNT,
        "image_sha256": pl.List(pl.String),
        **dict.fromkeys(("keyed_id", *digests.DIGEST_COLUMNS), _TEXT),
        **COUNTED,
    }
)
"""One row for each record, in the order of the shard.

`file` and `row` are its place upstream; `keyed_id` is null unless it is credentialed and has images, and then the
digests of its parts are keyed too (`digests`). `asked_answer` is the answer to a question. The others are columns of
the shard, or counts of them.
"""

COUNT_COLUMNS = (
    *("task", "modality", "language", "answer_type", "license_verdict", "question", "answer", "choices"),
    *("messages", "image_sha256"),
)
"""The columns of a shard that `count` needs."""

_SHARD_COLUMNS = list(dict.fromkeys((*digests.SHARD_COLUMNS, *COUNT_COLUMNS)))


def count(rows: pl.DataFrame) -> pl.DataFrame:
    """Give the columns `COUNTED` of records with the columns `COUNT_COLUMNS` of a shard."""
    has_question = pl.col("task").is_in(QUESTION_TASKS)
    reply = pl.col("messages").list.last().struct.field("content").list.first().struct.field("text")
    normalised = pl.col("answer").str.to_lowercase().str.strip_chars(" .")
    characters = pl.col("answer").str.len_chars()
    return rows.select(
        *("task", "modality", "language", "answer_type", "license_verdict"),
        images=pl.col("image_sha256").list.len(),
        question_characters=pl.when(has_question).then(pl.col("question").str.len_chars()),
        answer_characters=characters,
        yes_no=pl.when(normalised.is_in(["yes", "no"])).then(normalised),
        option=pl.when(pl.col("choices").list.len() > 0).then(reply.str.extract(r"^([A-Z])\. ")),
        near_empty=~has_question & (characters < NEAR_EMPTY_CHARACTERS),
        asked_answer=pl.when(has_question).then("answer"),
    ).cast(pl.Schema(COUNTED))


def measure(batch: pa.Table | pa.RecordBatch, records: Sequence[Mapping[str, Any]] | None = None) -> pl.DataFrame:
    """Give the table `SCHEMA` of the records of a shard, or of a part of one; images are not needed.

    `records` are the same as Python objects, where the caller has them.
    """
    rows = pl.DataFrame(batch.select(_SHARD_COLUMNS))
    digested = pl.DataFrame(
        list(map(_digests, batch.select(digests.SHARD_COLUMNS).to_pylist() if records is None else records)),
        schema=dict.fromkeys(("keyed_id", *digests.DIGEST_COLUMNS), pl.String),
    )
    place = pl.col("upstream").struct
    clear = rows.select("id", "source", "split", "license", "attribution", "image_sha256", place.field("file", "row"))
    return pl.concat([clear, digested, count(rows)], how="horizontal").select(SCHEMA.names()).cast(SCHEMA)


def _digests(row: Mapping[str, Any]) -> dict[str, str | None]:
    key = digests.credentialed_key(row)
    keyed_id = None if key is None else digests.keyed_id(str(row["id"]), key)
    return {"keyed_id": keyed_id, **digests.part_digests(row, key)}


def measure_file(shard: Path) -> tuple[pl.DataFrame, str]:
    """Give the table of a shard and its digest, from one pass over its bytes.

    Raises:
        pa.ArrowException, OSError: the shard is damaged.
    """
    with HashedParquet(shard) as file:
        tables = [measure(batch) for batch in file.batches(BATCH_ROWS, _SHARD_COLUMNS)]
        return concat(tables), file.sha256()


def concat(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Join the tables of the parts of a shard."""
    return pl.concat([pl.DataFrame(schema=SCHEMA), *tables])


def keep(folder: Path, sha256: str, table: pl.DataFrame) -> Path:
    """Keep the table of the shard with this digest, and give its path."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.to_arrow(), sink, compression="zstd")
    data = sink.getvalue()
    path = folder / f"{_prefix(sha256)}-{hashlib.sha256(data).hexdigest()}.parquet"
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return path


def find(folder: Path, sha256: str) -> Path | None:
    """Find the table of the shard with this digest; None where there is none, or what there is was changed."""
    for path in folder.glob(f"{_prefix(sha256)}-*.parquet"):
        if path.stem.rpartition("-")[2] == file_sha256(path):
            return path
        path.unlink(missing_ok=True)
    return None


def read(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a table, or some of its columns."""
    return pl.read_parquet(path, columns=None if columns is None else list(columns))


def discard_others(folder: Path, kept: Iterable[Path]) -> None:
    """Remove the tables that are not of the mix."""
    names = {path.name for path in kept}
    for path in folder.glob("*.parquet"):
        if path.name not in names:
            path.unlink()


def _prefix(sha256: str) -> str:
    return f"{sha256}-{code_digest(*CODE)[:16]}"
