"""Match pointers with local records, and compare each record with its pointer."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from ..write import digests


class Finding(NamedTuple):
    """A record that differs from its pointer: its name, and how it differs."""

    record: str
    problem: str


def match_pointers(
    wanted: pl.DataFrame, rows: pl.DataFrame, scans: Sequence[Path]
) -> tuple[pl.DataFrame, list[Finding]]:
    """Find the local record of each pointer, in the order of the pointers, and list the pointers without a record."""
    is_keyed = pl.col("keyed_id").is_not_null()
    keyed = _keyed_ids(rows, scans, set(wanted.filter(is_keyed)["source"]))
    wording = pl.col("wording").cast(pl.String)
    here = rows.select("id", "scan", "scan_row", "reason", "evidence", local_wording=wording)
    numbered = wanted.with_row_index("place")
    clear = numbered.filter(~is_keyed).join(here, on="id", how="left")
    hidden = numbered.filter(is_keyed).drop("id").join(keyed.join(here, on="id"), on="keyed_id", how="left")
    hidden = hidden.with_columns(wording="local_wording", article=pl.lit(""), article_read=pl.lit(""))
    both = pl.concat([clear, hidden.select(clear.columns)]).sort("place")
    is_usable = pl.col("scan").is_not_null() & (pl.col("reason") == "")
    unusable = both.filter(pl.col("scan").is_null() | (pl.col("reason") != ""))
    findings = [Finding(_record_name(row), _missing_reason(row)) for row in unusable.iter_rows(named=True)]
    return both.filter(is_usable), findings


def _record_name(row: Mapping[str, Any]) -> str:
    if row["id"] is not None and row["keyed_id"] is None:
        return str(row["id"])
    return f"{row['source']}/#{row['keyed_id'][:16]}"


def _missing_reason(row: Mapping[str, Any]) -> str:
    if row["scan"] is not None:
        return f"is unusable here: {row['reason']} ({row['evidence']})"
    if row["keyed_id"] is None:
        return "is missing from the local copy"
    return f"is missing from the local copy, or has other images there (pointer for {row['shard']})"


def _keyed_ids(rows: pl.DataFrame, scans: Sequence[Path], sources: set[str]) -> pl.DataFrame:
    """Give `id` and `keyed_id` of the local records of these sources."""
    found: list[tuple[str, str]] = []
    usable = rows.filter(pl.col("source").is_in(sorted(sources)) & (pl.col("reason") == ""))
    for (scan,), part in usable.group_by("scan", maintain_order=True):
        images = pl.read_parquet(scans[int(str(scan))], columns=["image_sha256"])["image_sha256"]
        for id_, place in part.select("id", "scan_row").iter_rows():
            key = digests.record_key(images[place].to_list())
            if key is not None:
                found.append((id_, digests.keyed_id(id_, key)))
    return pl.DataFrame(found, schema={"id": pl.String, "keyed_id": pl.String}, orient="row")


def find_differences(shard: Path, wanted: pl.DataFrame) -> Iterator[Finding]:
    """List the records of a shard that differ from their pointers."""
    by_id = {row["id"] or row["keyed_id"]: row for row in wanted.iter_rows(named=True)}
    for batch in pq.ParquetFile(shard).iter_batches(batch_size=1024, columns=digests.SHARD_COLUMNS):
        for row in batch.to_pylist():
            key = None
            pointer = by_id.get(row["id"])
            if pointer is None:
                key = digests.record_key(row["image_sha256"])
                pointer = by_id[digests.keyed_id(row["id"], key or b"")]
            parts = digests.part_digests(row, key)
            columns = ("split", "license", "license_verdict")
            differing = [part for part in digests.PARTS if parts[f"{part}_sha256"] != pointer[f"{part}_sha256"]]
            differing += [name for name in columns if row[name] != pointer[name]]
            if differing:
                yield Finding(_record_name(pointer), f"differs in its {', '.join(differing)}")
