"""Compare two mixes record by record, with reasons; each is the folder of a build or a published copy.

Only digests and ledgers are read: `records.parquet` and `pointers/` are sufficient. A credentialed record is identified
by its keyed digest, so that a record with changed images counts as another record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ..errors import UsageError
from ..write import manifest
from . import digests, pointers, record_digests

_COMPARED = ("split", "license", "license_verdict", *digests.DIGEST_COLUMNS)

_NAMES = {"license": "licence", "license_verdict": "licence"} | {f"{part}_sha256": part for part in digests.PARTS}

PROVENANCE = "provenance"
"""The part whose change does not change the meaning of a record."""

CHANGES = ("added", "removed", "changed")


@dataclass(frozen=True, slots=True)
class Diff:
    """The difference of two mixes.

    Attributes:
        before, after: mixture and version of each.
        records: the `added`, `removed` and `changed` records: `source`, `id`, `change`, `reason`; sorted.
        same: number of records that are equal in both.
    """

    before: str
    after: str
    records: pl.DataFrame
    same: int

    @property
    def level(self) -> str:
        """The level of the next version: `major`, `minor`, or `patch` if only cards and provenance differ."""
        meaning = (pl.col("change") == "removed") | ((pl.col("change") == "changed") & (pl.col("reason") != PROVENANCE))
        if self.records.filter(meaning).height:
            return "major"
        return "minor" if self.records.filter(pl.col("change") == "added").height else "patch"

    def summary(self) -> dict[str, Any]:
        """Give the numbers of records as JSON types."""
        totals = {change: self.records.filter(change=change).height for change in CHANGES}
        named = {"before": self.before, "after": self.after, "level": self.level}
        return {**named, **totals, "same": self.same, "by_reason": self.counts()}

    def counts(self) -> list[dict[str, Any]]:
        """Count the records by source, change and reason, as JSON types."""
        grouped = self.records.with_columns(reason=pl.col("reason").str.replace(r": .*", ""))
        counted = grouped.group_by("source", "change", "reason").len("records")
        return counted.sort("source", "change", "reason").to_dicts()


def compare(before: Path, after: Path) -> Diff:
    """Compare two mixes.

    Raises:
        UsageError: one of them is no mix, or has an older format.
    """
    old, new = manifest.read(before), manifest.read(after)
    left, right = _record_table(before, old), _record_table(after, new)
    added = right.join(left, on="id", how="anti").with_columns(change=pl.lit("added"))
    removed = left.join(right, on="id", how="anti").with_columns(change=pl.lit("removed"))
    both = left.join(right, on="id", how="inner", suffix="_after")
    differs = {name: pl.col(name) != pl.col(f"{name}_after") for name in _COMPARED}
    changed = both.filter(pl.any_horizontal(differs.values())).with_columns(change=pl.lit("changed"))
    parts = [
        _absence_reasons(added, _dropped(before), old, "was "),
        _absence_reasons(removed, _dropped(after), new, "is "),
        changed.with_columns(reason=_changed_parts(differs)).select("source", "id", "change", "reason"),
    ]
    records = pl.concat(parts).sort("source", "change", "id")
    return Diff(_name_and_version(old), _name_and_version(new), records, both.height - changed.height)


def _name_and_version(document: Mapping[str, Any]) -> str:
    return f"{document['mixture']['name']} {document['mixture']['version']}"


def _record_table(mix: Path, document: Mapping[str, Any]) -> pl.DataFrame:
    """Give the compared columns of all records of a mix, withheld records included."""
    shards = [file for file in manifest.shards_of(document) if file.startswith("data/")]
    columns = ["id", "source", *_COMPARED]
    try:
        published = record_digests.read(mix, shards).select(columns)
        table = pointers.read(mix)
        hidden = pl.format("{}/#{}", "source", "keyed_id")
        withheld = table.with_columns(id=pl.coalesce("id", hidden)).select(columns)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        problem = str(error).splitlines()[0]
        raise UsageError(f"{mix}: its records cannot be read ({problem}); build it with this version") from None
    return pl.concat([published, withheld])


def _dropped(mix: Path) -> pl.DataFrame:
    ledger = pl.read_parquet(mix / "ledger.parquet", columns=["id", "outcome", "reason", "evidence"])
    return ledger.filter(pl.col("outcome") == "dropped").select("id", "evidence", drop_reason="reason")


def _absence_reasons(rows: pl.DataFrame, dropped: pl.DataFrame, document: Mapping[str, Any], was: str) -> pl.DataFrame:
    """Give the reason why each record is not in the other mix, from the ledger and manifest of that mix."""
    sources = [*document["sources"], *(entry["source"] for entry in document.get("withheld", []))]
    evidence = pl.when(pl.col("evidence") == "").then(pl.lit("")).otherwise(pl.format(": {}", "evidence"))
    reason = (
        pl.when(~pl.col("source").is_in(sources))
        .then(pl.lit(f"source {was}not in the mix"))
        .when(pl.col("id").str.contains("/#", literal=True))
        .then(pl.lit("unknown, since the record is credentialed"))
        .when(pl.col("drop_reason").is_null())
        .then(pl.lit(f"{was}not read"))
        .otherwise(pl.format("{}dropped as {}{}", pl.lit(was), "drop_reason", evidence))
    )
    return rows.join(dropped, on="id", how="left").select("source", "id", "change", reason=reason)


def _changed_parts(differs: Mapping[str, pl.Expr]) -> pl.Expr:
    """Name the parts that differ; the split with both values."""
    names: dict[str, list[pl.Expr]] = {}
    for column, differing in differs.items():
        names.setdefault(_NAMES.get(column, column), []).append(differing)
    parts = [
        pl.when(pl.any_horizontal(differing)).then(
            pl.format("split {} -> {}", "split", "split_after") if name == "split" else pl.lit(name)
        )
        for name, differing in names.items()
    ]
    return pl.concat_list(parts).list.drop_nulls().list.join(", ")
