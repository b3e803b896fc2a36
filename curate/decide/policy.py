"""Licence policy: each record's licence and verdict, and whether the mixture's use allows it."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from ..facts import Facts
from ..licences import terms
from ..licences.rulings import member_statement, rule
from ..mixture import LicencePolicy
from .candidates import CATEGORY, dropped

MAX_NOTES = 20
"""Notes on the licences of one source; a licence text of its own for each row is more than anybody reads."""

OPENNESS = {"redistributable": 3, "research-only": 2, "unclear": 1, "credentialed": 0}
"""Of two equal records, the more open one survives."""


class LicenceFields(NamedTuple):
    """The columns that decide a record's licence."""

    source: str
    wording: str
    member: str
    third_party: str


def resolve(rows: pl.DataFrame, sources: Mapping[str, Facts]) -> pl.DataFrame:
    """Add `licence` (SPDX id or LicenseRef), `verdict` and `openness`, as `rulings.rule` finds them."""
    fields = rows.select(LicenceFields._fields).unique(maintain_order=True)
    rulings = [rule(sources[source].licence, *(text or "" for text in texts)) for source, *texts in fields.iter_rows()]
    table = fields.with_columns(
        licence=pl.Series([ruling.licence for ruling in rulings], dtype=pl.String).cast(CATEGORY),
        verdict=pl.Series([ruling.verdict for ruling in rulings], dtype=pl.String).cast(CATEGORY),
    ).with_columns(openness=pl.col("verdict").replace_strict(OPENNESS, return_dtype=pl.Int8))
    found = rows.select(LicenceFields._fields).join(
        table, on=LicenceFields._fields, how="left", nulls_equal=True, maintain_order="left"
    )
    return rows.with_columns(found.select("licence", "verdict", "openness"))


def excluded(rows: pl.DataFrame, policy: LicencePolicy) -> pl.DataFrame:
    """Drop records whose licence does not permit the mixture's use, and unclear ones if the policy excludes them."""
    pairs = rows.select("licence", "verdict").unique(maintain_order=True)
    refused = pairs.filter(
        pl.Series([not permits(policy, licence, verdict) for licence, verdict in pairs.iter_rows()], dtype=pl.Boolean)
    )
    drops = rows.join(refused, on=["licence", "verdict"], how="semi", maintain_order="left")
    return dropped(drops, "licence", pl.concat_str("licence", _reason()))


def _reason() -> pl.Expr:
    """Give the rest of a drop's evidence, after the licence: the text that made it unclear, if any."""
    credit = pl.format(": the caption says '{}'", "third_party")
    row_text = pl.format(": the row says '{}'", "wording")
    is_unclear = pl.col("licence") == terms.UNCLEAR
    return (
        pl.when(is_unclear & (pl.col("third_party") != ""))
        .then(credit)
        .when(is_unclear & (pl.col("wording") != ""))
        .then(row_text)
        .otherwise(pl.lit(""))
    )


def permits(policy: LicencePolicy, licence: str, verdict: str) -> bool:
    """Tell whether a policy allows a record of this licence and verdict in a mix.

    Raises:
        ValueError: the verdict is unknown.
    """
    if verdict == "unclear" and policy.use == "research":
        return policy.keeps_unclear
    return terms.is_allowed(licence, verdict, policy.use)


def count_licence_fields(rows: pl.DataFrame) -> Counter[LicenceFields]:
    """Count the records by the fields that decide their licence; rows that could not be parsed do not count."""
    names = LicenceFields._fields
    counted = rows.filter(pl.col("task") != "").group_by(names).len().sort(names)
    return Counter({LicenceFields(*fields): count for *fields, count in counted.iter_rows()})


def unknown_licence_notes(counts: Mapping[LicenceFields, int], sources: Mapping[str, Facts]) -> list[str]:
    """List unknown licence texts, and the collections and rows without any, with their numbers of rows.

    Of one source at most `MAX_NOTES` are listed, the others are summed up.
    """
    unknown: Counter[tuple[str, str]] = Counter()
    for fields, count in counts.items():
        unknown[fields.source, _unknown(sources[fields.source], fields.wording, fields.member)] += count
    notes: dict[str, list[str]] = {}
    more: Counter[str] = Counter()
    for (source, what), count in sorted(unknown.items()):
        if what and len(notes.setdefault(source, [])) < MAX_NOTES:
            notes[source].append(f"{source}: {what} ({count} rows)")
        elif what:
            more[source] += count
    rest = [f"{source}: more licence texts are unknown ({count} rows)" for source, count in more.items()]
    return [*(note for listed in notes.values() for note in listed), *rest]


def _unknown(source: Facts, wording: str, member: str) -> str:
    if wording:
        return "" if terms.is_known(wording) else f"the licence {wording!r} is unknown and counts as unclear"
    if member and source.licence.members:
        known = member_statement(source.licence, member) is not None
        return "" if known else f"the licence of {member!r} is unknown; {source.licence.id} applies"
    return f"single rows name no licence; {source.licence.id} applies" if source.licence.per_record else ""
