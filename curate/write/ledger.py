"""The ledger: every record's fate, one row for each, and the sums that must hold."""

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
    }
)
"""The columns of the ledger, one row per record.

`outcome` is `kept` or `dropped`; `stage` the stage that decided; `reason` one of `record.REASONS`, "" for kept records;
`evidence` the record, item or text behind the decision; `score` the measurement behind it, null for exact decisions;
`transformation` how the record's image differs from that of `evidence`, or "".
"""

NOTHING: dict[str, object] = {"read": 0, "kept": 0, "dropped": 0, "kept_by_split": {}, "dropped_by_reason": {}}
"""The counts of a source whose files held no row."""


def write(path: Path, ledger: pl.DataFrame) -> None:
    """Write the ledger in the order in which upstream was read."""
    with replacing(path) as temporary:
        ledger.select(list(SCHEMA)).cast(SCHEMA).write_parquet(temporary, compression="zstd")


def problems(ledger: pl.DataFrame) -> list[str]:
    """List what is wrong with a ledger; empty when ids are unique and every row is kept or dropped for a reason."""
    found = []
    if ledger.height != ledger["id"].n_unique():
        repeated = ledger.filter(pl.col("id").is_duplicated())["id"][0]
        found.append(f"id {repeated!r} stands in more than one row")
    kept, dropped = pl.col("outcome") == "kept", pl.col("outcome") == "dropped"
    found += _named(ledger.filter(~kept & ~dropped), "is neither kept nor dropped")
    found += _named(ledger.filter(kept & (pl.col("reason") != "")), "is kept and yet has a reason to be dropped")
    found += _named(ledger.filter(dropped & ~pl.col("reason").is_in(list(REASONS))), "is dropped for no known reason")
    return found


def _named(rows: pl.DataFrame, problem: str) -> Iterable[str]:
    return [f"{rows['id'][0]!r} (and {rows.height - 1} more) {problem}"] if rows.height else []


def counts(ledger: pl.DataFrame) -> dict[str, dict[str, object]]:
    """Count per source: rows read, kept, kept by split, dropped by reason; sources in the ledger's order.

    Raises:
        MedmixError: rows read are not rows kept plus rows dropped, which would be a fault of medmix.
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
            "kept_by_split": by(kept, "split"),
            "dropped_by_reason": by(dropped, "reason"),
        }
    return table


def by(rows: pl.DataFrame, column: str) -> dict[str, int]:
    """Count rows by the values of a column, in the values' order."""
    return dict(rows.group_by(column).len().sort(column).iter_rows())
