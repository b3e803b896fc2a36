"""Which local record a pointer points at, and whether it is still what it was."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from . import digests


def match(
    wanted: pl.DataFrame, rows: pl.DataFrame, scans: Sequence[Path]
) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """Find the record of each pointer, in the pointers' order; and say of which there is none."""
    keyed = _keyed(rows, scans, set(wanted.filter(pl.col("keyed_id").is_not_null())["source"]))
    here = rows.select("id", "scan", "scan_row", "reason", "evidence", said="wording")
    numbered = wanted.with_row_index("place")
    is_hidden = pl.col("keyed_id").is_not_null()
    open_ = numbered.filter(~is_hidden).join(here, on="id", how="left")
    hidden = numbered.filter(is_hidden).drop("id").join(keyed.join(here, on="id"), on="keyed_id", how="left")
    hidden = hidden.with_columns(wording="said", article=pl.lit(""), article_read=pl.lit(""))
    both = pl.concat([open_, hidden.select(open_.columns)]).sort("place")
    lost = both.filter(pl.col("scan").is_null() | (pl.col("reason") != ""))
    findings = [(_name(row), _why(row)) for row in lost.iter_rows(named=True)]
    return both.filter(pl.col("scan").is_not_null() & (pl.col("reason") == "")), findings


def _name(row: Mapping[str, Any]) -> str:
    if row["id"] is not None and row["keyed_id"] is None:
        return str(row["id"])
    return f"{row['source']}/#{row['keyed_id'][:16]}"


def _why(row: Mapping[str, Any]) -> str:
    if row["scan"] is not None:
        return f"cannot be used here: {row['reason']} ({row['evidence']})"
    if row["keyed_id"] is None:
        return "is not in the local copy"
    return f"is not in the local copy, or has other images there (pointer for {row['shard']})"


def _keyed(rows: pl.DataFrame, scans: Sequence[Path], sources: set[str]) -> pl.DataFrame:
    """Give `id` and `keyed_id` of the local records of credentialed sources."""
    found: dict[str, list[str]] = {"id": [], "keyed_id": []}
    mine = rows.filter(pl.col("source").is_in(sorted(sources)) & (pl.col("reason") == ""))
    for (scan,), part in mine.group_by("scan", maintain_order=True):
        images = pl.read_parquet(scans[int(str(scan))], columns=["image_sha256"])["image_sha256"]
        for id_, place_ in part.select("id", "scan_row").iter_rows():
            key = digests.key_of(images[place_].to_list())
            if key is not None:
                found["id"].append(id_)
                found["keyed_id"].append(digests.keyed_id(id_, key))
    return pl.DataFrame(found, schema={"id": pl.String, "keyed_id": pl.String})


def differences(shard: Path, wanted: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """Say of each record of a shard which of its parts are not those that its pointer digests."""
    by_id = {row["id"] or row["keyed_id"]: row for row in wanted.iter_rows(named=True)}
    for batch in pq.ParquetFile(shard).iter_batches(batch_size=1024, columns=digests.READ):
        for row in batch.to_pylist():
            key = None
            pointer = by_id.get(row["id"])
            if pointer is None:
                key = digests.key_of(row["image_sha256"])
                pointer = by_id[digests.keyed_id(row["id"], key or b"")]
            parts = digests.parts(row, key)
            differing = [name.removesuffix("_sha256") for name in digests.COLUMNS if parts[name] != pointer[name]]
            differing += [name for name in ("split", "license", "license_verdict") if row[name] != pointer[name]]
            if differing:
                yield _name(pointer), f"differs in its {', '.join(differing)}"
