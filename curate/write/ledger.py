"""The ledger: one row per record, with its outcome and reason, and the counts derived from it."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from ..errors import MedmixError
from ..record import REASONS
from ..shards import replacing

SCHEMA = pl.Schema(
    {
        "id": pl.String,
        "source": pl.String,
        "split": pl.String,
        "outcome": pl.String,
        "stage": pl.String,
        "reason": pl.String,
        "evidence": pl.String,
        "score": pl.Float64,
        "transformation": pl.String,
        "relation": pl.String,
        "flag": pl.String,
    }
)
"""The columns of the ledger, one row per record.

`outcome` is `kept` or `dropped`; `stage` the stage that decided; `reason` one of `record.REASONS`, "" for kept records;
`evidence` the record, item or text behind the decision; `score` the measurement behind it, null for exact decisions;
`transformation` how the record's image differs from that of `evidence`, or ""; `relation` how the two are related where
that decided: `equal` in their pixels, `copy`, `panel`, `overlap`, `sequence`, or ""; `flag` what is odd about a record,
kept or dropped: `black image`, `white image`, `grey image` for images of one brightness, or "".
"""

ROW_GROUP = 131_072
"""Rows that the file holds together."""

ZERO_COUNTS: dict[str, object] = {"read": 0, "kept": 0, "dropped": 0, "kept_by_split": {}, "dropped_by_reason": {}}
"""The counts of a source without rows."""


def write(path: Path, ledger: pl.DataFrame) -> None:
    """Write the ledger in the order in which the upstream rows were read."""
    rows = ledger.lazy()
    if "flag" not in ledger.columns:
        flag = pl.when(pl.col("uniform") != "").then(pl.format("{} image", "uniform")).otherwise(pl.lit(""))
        rows = rows.with_columns(flag=flag)
    with replacing(path) as temporary:
        # streamed: as strings, all columns at once would be larger than the table itself
        written = rows.select(list(SCHEMA)).cast(SCHEMA)
        written.sink_parquet(temporary, compression="zstd", row_group_size=ROW_GROUP)


def problems(ledger: pl.DataFrame) -> list[str]:
    """List the problems of a ledger; ids must be unique and each row kept, or dropped for a known reason."""
    found = []
    if ledger.height != ledger["id"].n_unique():
        repeated = ledger.filter(pl.col("id").is_duplicated())["id"][0]
        found.append(f"id {repeated!r} is in more than one row")
    kept, dropped = pl.col("outcome") == "kept", pl.col("outcome") == "dropped"
    found += _problem(ledger.filter(~kept & ~dropped), "is neither kept nor dropped")
    found += _problem(ledger.filter(kept & (pl.col("reason") != "")), "is kept but has a drop reason")
    found += _problem(ledger.filter(dropped & ~pl.col("reason").is_in(list(REASONS))), "has an unknown reason")
    return found


def _problem(rows: pl.DataFrame, problem: str) -> Iterable[str]:
    """Name the first row and the number of others; nothing if there are no rows."""
    return [f"{rows['id'][0]!r} (and {rows.height - 1} more) {problem}"] if rows.height else []


def counts(ledger: pl.DataFrame) -> dict[str, dict[str, object]]:
    """Count rows read, kept, kept by split and dropped by reason, per source, in the ledger's order.

    Raises:
        MedmixError: rows read are not the sum of rows kept and dropped, which is a bug of medmix.
    """
    table: dict[str, dict[str, object]] = {}
    for (source,), rows in ledger.group_by("source", maintain_order=True):
        kept = rows.filter(pl.col("outcome") == "kept")
        dropped = rows.filter(pl.col("outcome") == "dropped")
        if kept.height + dropped.height != rows.height:
            raise MedmixError(f"{source}: {rows.height} rows read, but {kept.height} kept and {dropped.height} dropped")
        table[str(source)] = {
            "read": rows.height,
            "kept": kept.height,
            "dropped": dropped.height,
            "kept_by_split": count_by(kept, "split"),
            "dropped_by_reason": count_by(dropped, "reason"),
        }
    return table


def count_by(rows: pl.DataFrame, column: str) -> dict[str, int]:
    """Count rows per value of a column, sorted by value."""
    return dict(rows.group_by(column).len().sort(column).iter_rows())
