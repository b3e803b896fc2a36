"""Check the records of one shard of a mix, from one pass over its bytes."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from .describe import attribution
from .hashed_parquet import HashedParquet
from .licences import terms
from .publish import record_digests, record_tables
from .record import TASKS, VERDICTS
from .shards import ROW_GROUP_ROWS
from .write import record_facts
from .write.features import mix_schema
from .write.image_encoding import original_sha256

MAX_FINDINGS = 20
"""Findings listed for one file."""

_BATCH_ROWS = ROW_GROUP_ROWS


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard to check.

    Attributes:
        mix: the folder.
        shard: POSIX, relative to the mix.
        credits_of: the credit of each source.
        places: name of a table of records -> the place of the shard's first row in it; the rows are compared.
    """

    mix: Path
    shard: str
    credits_of: Mapping[str, str]
    places: Mapping[str, int]


Listed = Sequence[tuple[int, str]]
"""Places of records in a shard, ascending, each with a finding."""


class ShardReport(NamedTuple):
    """What is known of a shard.

    Attributes:
        shard: as in `ShardTask`.
        sha256: of its bytes; "" if it is not there.
        problems: the place of a record in the shard and what is wrong with it, the first `MAX_FINDINGS`.
        total: how many problems there are.
        unreadable: why the shard, or its rest, cannot be read, or "".
        rows: how many records it has.
        keys: `id`, `group` and `split` of the records.
        counted: the columns `record_facts.COUNTED` of the records.
        differing: the tables in which the rows of the shard are others than its records give.
    """

    shard: str
    sha256: str
    problems: list[tuple[int, str]]
    total: int
    unreadable: str
    rows: int
    keys: pl.DataFrame
    counted: pl.DataFrame
    differing: list[str]

    def findings(self, split_groups: Listed, repeated_ids: Listed, count: int) -> list[str]:
        """List the first findings, in the order of the records, and the number of the others."""
        found = heapq.merge(self.problems, split_groups, repeated_ids, key=itemgetter(0))
        lines = [text for _, text in found]
        if self.unreadable:
            lines.append(self.unreadable)
        count += self.total + bool(self.unreadable)
        return limited(self.shard, lines, count)


def limited(file: str, found: Sequence[str], count: int) -> list[str]:
    """Give the first `MAX_FINDINGS` findings on a file, and the number of the others among `count`."""
    rest = count - MAX_FINDINGS
    shown = [f"{file}: {line}" for line in found[:MAX_FINDINGS]]
    return shown if rest <= 0 else [*shown, f"{file}: and {rest} more"]


def tasks_of(mix: Path, document: Mapping[str, Any], shards: Sequence[str], with_tables: bool) -> list[ShardTask]:
    """Give the tasks of all shards of a mix; their rows are compared with tables if `with_tables`."""
    public = [shard for shard in shards if shard.startswith("data/")]
    places = {
        record_digests.NAME: record_tables.places(document, public),
        attribution.NAME: record_tables.places(document, shards),
    }
    credits_of = record_tables.credits_of(document)
    return [
        ShardTask(
            mix,
            shard,
            credits_of,
            {table: first[shard] for table, first in places.items() if with_tables and shard in first},
        )
        for shard in shards
    ]


def same_tables(mix: Path, reports: Sequence[ShardReport]) -> dict[str, bool]:
    """Tell for each table of records whether its rows are exactly those of the shards."""
    rows = {record_digests.NAME: 0, attribution.NAME: 0}
    for report in reports:
        rows[attribution.NAME] += report.rows
        rows[record_digests.NAME] += report.rows if report.shard.startswith("data/") else 0
    differing = {table for report in reports for table in report.differing}
    return {table: table not in differing and _rows(mix / table) == count for table, count in rows.items()}


def _rows(table: Path) -> int:
    return int(pq.read_metadata(table).num_rows) if table.is_file() else -1


def check_shard(task: ShardTask) -> ShardReport:
    """Check each record of a shard; memory holds one row group and some columns of the rest."""
    path = task.mix / task.shard
    folder, source, name = task.shard.split("/")
    problems: list[tuple[int, str]] = []
    keys, facts = [EMPTY_KEYS], []
    count = rows = 0
    unreadable = ""
    if not path.is_file():
        return ShardReport(task.shard, "", [], 0, "", 0, EMPTY_KEYS, _counted([]), [])
    with HashedParquet(path) as file:
        try:
            if not file.schema().equals(mix_schema()):
                unreadable = "its columns are not those of a mix"
            else:
                for batch in file.batches(_BATCH_ROWS):
                    records = batch.to_pylist()
                    for place, row in enumerate(records, rows):
                        for problem in _record(row, folder, source, name):
                            count += 1
                            if count <= MAX_FINDINGS:
                                problems.append((place, f"{row['id']}: {problem}"))
                    rows += batch.num_rows
                    keys.append(pl.DataFrame(batch.select(EMPTY_KEYS.columns)))
                    facts.append(record_facts.measure(batch, records))
        except (pa.ArrowException, OSError) as error:
            unreadable = f"cannot be read as parquet ({str(error).splitlines()[0]})"
        sha256 = file.sha256()
    differing = [] if unreadable else list(_differing(task, record_facts.concat(facts)))
    return ShardReport(
        task.shard, sha256, problems, count, unreadable, rows, pl.concat(keys), _counted(facts), differing
    )


EMPTY_KEYS = pl.DataFrame(schema=dict.fromkeys(("id", "group", "split"), pl.String))


def _counted(facts: list[pl.DataFrame]) -> pl.DataFrame:
    return record_facts.concat(facts).select(list(record_facts.COUNTED))


def _differing(task: ShardTask, facts: pl.DataFrame) -> Iterator[str]:
    """Name the tables whose rows of this shard are not those of its facts; unreadable ones are not compared."""
    expected = {
        record_digests.NAME: record_digests.rows_of(facts),
        attribution.NAME: attribution.rows_of(facts, task.credits_of),
    }
    for table, first in task.places.items():
        try:
            found = record_tables.read_slice(task.mix / table, first, facts.height)
        except (pl.exceptions.PolarsError, OSError):
            continue  # its digest shows that it is damaged
        if not found.equals(expected[table]):
            yield table


def _record(row: Mapping[str, Any], folder: str, source: str, name: str) -> Iterator[str]:
    absent = [column for column, value in row.items() if value is None]
    if absent or any(image["bytes"] is None for image in row["images"]):
        yield f"has no {', '.join(absent) or 'bytes in an image'}"
        return
    if row["source"] != source or name.split("-")[0] != row["split"]:
        yield f"is of {row['source']} {row['split']}, but stored in {source}/{name}"
    if row["task"] not in TASKS:
        yield f"has the unknown task {row['task']!r}"
    yield from _licence(row, folder)
    digests = [original_sha256(image["bytes"]) for image in row["images"]]
    if digests != row["image_sha256"] or len(digests) != len(row["image_phash"]):
        yield "its image bytes do not match their digests"
    roles = [turn["role"] for turn in row["messages"]]
    parts = [part["type"] for turn in row["messages"][:1] for part in turn["content"]]
    if roles != ["user", "assistant"] or parts.count("image") != len(row["images"]):
        yield "its messages do not match its images"
    if not row["answer"]:
        yield "has no answer"


def _licence(row: Mapping[str, Any], folder: str) -> Iterator[str]:
    licence, verdict, evidence = row["license"], row["license_verdict"], row["license_evidence"]
    if licence not in terms.TERMS or verdict not in VERDICTS:
        yield f"has licence {licence!r} with verdict {verdict!r}"
    elif verdict not in (terms.verdict(licence), "unclear"):
        yield f"is {verdict}, but {licence} is {terms.verdict(licence)}"
    if not evidence["evidence"] or not evidence["read"]:
        yield f"does not say where and when its licence {licence!r} was read"
    if (folder == "data") != (verdict == "redistributable"):
        yield f"is {verdict}, but stored in {folder}/"
