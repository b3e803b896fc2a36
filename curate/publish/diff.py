"""What differs between two mixes, record by record, and why; each a build's folder or what was published of one.

Only digests and ledgers are compared: `records.parquet` and `pointers/` hold all that this needs. A credentialed record
goes by its keyed digest; if its images change it is another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ..errors import UsageError
from ..write import manifest
from . import digests, pointers, records

_COMPARED = ("split", "license", "license_verdict", *digests.COLUMNS)

_NAMES = {"license": "licence", "license_verdict": "licence"} | {f"{part}_sha256": part for part in digests.PARTS}

MEANS_THE_SAME = "provenance"
"""The part that may change without a change of what a record means."""

CHANGES = ("added", "removed", "changed")


@dataclass(frozen=True, slots=True)
class Diff:
    """The difference of two mixes.

    Attributes:
        before, after: mixture and version of each.
        records: one row for each that is `added`, `removed` or `changed`: `source`, `id`, `change`, `reason`; sorted.
        same: records that are alike in both.
    """

    before: str
    after: str
    records: pl.DataFrame
    same: int

    @property
    def level(self) -> str:
        """What a version has to tell of it: `major`, `minor`, or `patch` where at most the cards differ."""
        meaning = (pl.col("change") == "removed") | (
            (pl.col("change") == "changed") & (pl.col("reason") != MEANS_THE_SAME)
        )
        if self.records.filter(meaning).height:
            return "major"
        return "minor" if self.records.filter(pl.col("change") == "added").height else "patch"

    def summary(self) -> dict[str, Any]:
        """Give the difference in numbers, as plain data."""
        totals = {change: self.records.filter(change=change).height for change in CHANGES}
        named = {"before": self.before, "after": self.after, "level": self.level}
        return {**named, **totals, "same": self.same, "by_reason": self.counts()}

    def counts(self) -> list[dict[str, Any]]:
        """Count the records by source, change and reason, as plain data."""
        grouped = self.records.with_columns(reason=pl.col("reason").str.replace(r": .*", ""))
        counted = grouped.group_by("source", "change", "reason").len("records")
        return counted.sort("source", "change", "reason").to_dicts()


def compare(before: Path, after: Path) -> Diff:
    """Compare two mixes.

    Raises:
        UsageError: one of them is no mix, or of an older format.
    """
    one, other = manifest.read(before), manifest.read(after)
    left, right = _index(before, one), _index(after, other)
    added = right.join(left, on="id", how="anti").with_columns(change=pl.lit("added"))
    removed = left.join(right, on="id", how="anti").with_columns(change=pl.lit("removed"))
    both = left.join(right, on="id", how="inner", suffix="_after")
    differs = {name: pl.col(name) != pl.col(f"{name}_after") for name in _COMPARED}
    changed = both.filter(pl.any_horizontal(differs.values())).with_columns(change=pl.lit("changed"))
    told = [
        _reasons(added, _fates(before), one, "was "),
        _reasons(removed, _fates(after), other, ""),
        changed.with_columns(reason=_what(differs)).select("source", "id", "change", "reason"),
    ]
    found = pl.concat(told).sort("source", "change", "id")
    return Diff(_named(one), _named(other), found, both.height - changed.height)


def _named(document: Mapping[str, Any]) -> str:
    return f"{document['mixture']['name']} {document['mixture']['version']}"


def _index(mix: Path, document: Mapping[str, Any]) -> pl.DataFrame:
    """Give all records of a mix, the withheld ones too, with what is compared of them."""
    shards = [file for file in manifest.shards_of(document) if file.startswith("data/")]
    columns = ["id", "source", *_COMPARED]
    try:
        published = records.read(mix, shards).select(columns)
        pointing = pointers.read(mix)
        hidden = pl.format("{}/#{}", "source", "keyed_id")
        withheld = pointing.with_columns(id=pl.coalesce("id", hidden)).select(columns)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        problem = str(error).splitlines()[0]
        raise UsageError(f"{mix}: its records cannot be read ({problem}); build it with this version") from None
    return pl.concat([published, withheld])


def _fates(mix: Path) -> pl.DataFrame:
    ledger = pl.read_parquet(mix / "ledger.parquet", columns=["id", "outcome", "reason", "evidence"])
    return ledger.filter(pl.col("outcome") == "dropped").select("id", "evidence", fate="reason")


def _reasons(rows: pl.DataFrame, fates: pl.DataFrame, document: Mapping[str, Any], was: str) -> pl.DataFrame:
    """Say why records are not in the other mix, whose ledger and manifest are given."""
    sources = [*document["sources"], *(entry["source"] for entry in document.get("withheld", []))]
    evidence = pl.when(pl.col("evidence") == "").then(pl.lit("")).otherwise(pl.format(": {}", "evidence"))
    reason = (
        pl.when(~pl.col("source").is_in(sources))
        .then(pl.lit(f"source {was or 'is '}not in the mix"))
        .when(pl.col("id").str.contains("/#", literal=True))
        .then(pl.lit("credentialed, so that nothing can be told"))
        .when(pl.col("fate").is_null())
        .then(pl.lit(f"{was or 'is '}not read"))
        .otherwise(pl.format("{}dropped as {}{}", pl.lit(was or "is "), "fate", evidence))
    )
    return rows.join(fates, on="id", how="left").select("source", "id", "change", reason=reason)


def _what(differs: Mapping[str, pl.Expr]) -> pl.Expr:
    """Name the parts that differ, split with both of its values."""
    names: dict[str, list[pl.Expr]] = {}
    for column, differing in differs.items():
        names.setdefault(_NAMES.get(column, column), []).append(differing)
    told = [
        pl.when(pl.any_horizontal(parts)).then(
            pl.format("split {} -> {}", "split", "split_after") if name == "split" else pl.lit(name)
        )
        for name, parts in names.items()
    ]
    return pl.concat_list(told).list.drop_nulls().list.join(", ")
