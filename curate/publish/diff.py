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
from ..write import digests, manifest
from . import pointers, record_digests

_COMPARED = ("split", "license", "license_verdict", *digests.DIGEST_COLUMNS)

_NAMES = {"license": "licence", "license_verdict": "licence"} | {f"{part}_sha256": part for part in digests.PARTS}

PROVENANCE = "provenance"
"""The part whose change does not change the meaning of a record."""

CHANGES = ("added", "removed", "changed")

PART_RECORDS = 500_000
"""Records of one source that are compared at once."""

_DIGITS = 15
"""Hex digits of a digest that are compared: two different records look equal once in 10^18."""

_FOUND = pl.Schema(dict.fromkeys(("source", "id", "change", "reason"), pl.String))


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
    """Compare two mixes, with a few columns of at most about `PART_RECORDS` records of each in memory.

    Raises:
        UsageError: one of them is no mix, or has an older format.
    """
    old, new = manifest.read(before), manifest.read(after)
    left, right = _Records(before), _Records(after)
    counts = left.counts(), right.counts()
    found, same = [pl.DataFrame(schema=_FOUND)], 0
    for source in sorted(set().union(*counts)):
        parts = max(-(-count.get(source, 0) // PART_RECORDS) for count in counts)
        for part in range(parts):
            differing, equal = _compare(left.read(source, part, parts), right.read(source, part, parts))
            found.append(differing)
            same += equal
    differing = pl.concat(found)
    records = [
        _absence_reasons(differing.filter(change="added"), before, old, "was "),
        _absence_reasons(differing.filter(change="removed"), after, new, "is "),
        differing.filter(change="changed"),
    ]
    return Diff(_name_and_version(old), _name_and_version(new), pl.concat(records).sort("source", "change", "id"), same)


class _Records:
    """The compared columns of all records of a mix, withheld records included, part by part.

    Raises:
        UsageError: by all methods: the records cannot be read.
    """

    def __init__(self, mix: Path) -> None:
        self._mix = mix
        hidden = pl.format("{}/#{}", "source", "keyed_id")
        published = pl.scan_parquet(mix / record_digests.NAME).select("id", "source", *_COMPARED)
        withheld = pointers.scan(mix).with_columns(id=pl.coalesce("id", hidden)).select("id", "source", *_COMPARED)
        self._rows = pl.concat([published, withheld])

    def counts(self) -> dict[str, int]:
        """Count the records by source."""
        return dict(self._collect(self._rows.group_by("source").len()).iter_rows())

    def read(self, source: str, part: int, parts: int) -> pl.DataFrame:
        """Read the records of one part of a source; a digest is a number of its first 60 bits."""
        is_mine = (pl.col("source") == source) & (pl.col("id").hash() % parts == part)
        short = pl.col(digests.DIGEST_COLUMNS).str.head(_DIGITS).str.to_integer(base=16, dtype=pl.Int64)
        return self._collect(self._rows.filter(is_mine).with_columns(short))

    def _collect(self, rows: pl.LazyFrame) -> pl.DataFrame:
        try:
            return rows.collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            problem = str(error).splitlines()[0]
            raise UsageError(
                f"{self._mix}: its records cannot be read ({problem}); build it with this version"
            ) from None


def _compare(left: pl.DataFrame, right: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Give the records `_FOUND` in which two parts differ, and the number of those that are equal."""
    added = right.join(left, on="id", how="anti").with_columns(change=pl.lit("added"), reason=pl.lit(""))
    removed = left.join(right, on="id", how="anti").with_columns(change=pl.lit("removed"), reason=pl.lit(""))
    both = left.join(right, on="id", how="inner", suffix="_after")
    differs = {name: pl.col(name) != pl.col(f"{name}_after") for name in _COMPARED}
    changed = both.filter(pl.any_horizontal(differs.values()))
    changed = changed.with_columns(change=pl.lit("changed"), reason=_changed_parts(differs))
    found = pl.concat([part.select(_FOUND.names()) for part in (added, removed, changed)])
    return found, both.height - changed.height


def _name_and_version(document: Mapping[str, Any]) -> str:
    return f"{document['mixture']['name']} {document['mixture']['version']}"


def _absence_reasons(rows: pl.DataFrame, mix: Path, document: Mapping[str, Any], was: str) -> pl.DataFrame:
    """Give the reason why each record is not in the other mix, from the ledger and manifest of that mix."""
    sources = [*document["sources"], *(entry["source"] for entry in document.get("withheld", []))]
    ledger = pl.scan_parquet(mix / "ledger.parquet").filter(pl.col("outcome") == "dropped")
    mine = ledger.join(rows.lazy().select("id"), on="id", how="semi")
    dropped = mine.select("id", "evidence", drop_reason="reason").collect(engine="streaming")
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
