"""Licence policy: each record's licence and verdict, and whether the mixture's use allows it."""

from collections import Counter
from collections.abc import Mapping

import polars as pl

from ..facts import Facts
from ..licences import terms
from ..licences.rulings import member_statement, rule
from ..mixture import LicencePolicy
from .candidates import dropped

OPENNESS = {"redistributable": 3, "research-only": 2, "unclear": 1, "credentialed": 0}
"""Of two equal records the more open one survives."""

_SAID = ("source", "wording", "member", "third_party")
"""The columns that decide on a record's licence."""

Said = tuple[str, str, str, str]
"""The values of those columns."""


def resolve(rows: pl.DataFrame, sources: Mapping[str, Facts]) -> pl.DataFrame:
    """Add `licence` (SPDX id or LicenseRef), `verdict` and `openness`, as `rulings.rule` finds them."""
    said = rows.select(_SAID).unique(maintain_order=True)
    rulings = [rule(sources[source].licence, *(text or "" for text in texts)) for source, *texts in said.iter_rows()]
    table = said.with_columns(
        licence=pl.Series([ruling.licence for ruling in rulings], dtype=pl.String),
        verdict=pl.Series([ruling.verdict for ruling in rulings], dtype=pl.String),
    ).with_columns(openness=pl.col("verdict").replace_strict(OPENNESS, return_dtype=pl.Int8))
    return rows.join(table, on=_SAID, how="left", nulls_equal=True, maintain_order="left")


def excluded(rows: pl.DataFrame, policy: LicencePolicy) -> pl.DataFrame:
    """Drop records whose licence does not allow the mixture's use, and unclear ones where they are not wanted."""
    pairs = rows.select("licence", "verdict").unique(maintain_order=True)
    refused = pairs.filter(
        pl.Series([not permits(policy, licence, verdict) for licence, verdict in pairs.iter_rows()], dtype=pl.Boolean)
    )
    drops = rows.join(refused, on=["licence", "verdict"], how="semi", maintain_order="left")
    return dropped(drops, "licence", pl.concat_str("licence", _reason()))


def _reason() -> pl.Expr:
    """Give what a drop's evidence says beside the licence: the words that made it unclear, if any did."""
    credited = pl.format(": the caption says '{}'", "third_party")
    written = pl.format(": the row says '{}'", "wording")
    is_unclear = pl.col("licence") == terms.UNCLEAR
    return (
        pl.when(is_unclear & (pl.col("third_party") != ""))
        .then(credited)
        .when(is_unclear & (pl.col("wording") != ""))
        .then(written)
        .otherwise(pl.lit(""))
    )


def permits(policy: LicencePolicy, licence: str, verdict: str) -> bool:
    """Tell whether a policy lets a record of this licence and verdict into a mix.

    Raises:
        ValueError: for a verdict that there is not.
    """
    if verdict == "unclear" and policy.use == "research":
        return policy.keeps_unclear
    return terms.is_allowed(licence, verdict, policy.use)


def said(rows: pl.DataFrame) -> Counter[Said]:
    """Count the records, rows that are none left out, by what they say of their licence."""
    counted = rows.filter(pl.col("task") != "").group_by(_SAID).len().sort(_SAID)
    return Counter({(source, *texts): count for source, *texts, count in counted.iter_rows()})


def notes(found: Mapping[Said, int], sources: Mapping[str, Facts]) -> list[str]:
    """Say what counts as unclear for want of words: licences never met before, collections and rows without any."""
    unmet: Counter[tuple[str, str]] = Counter()
    for (source, wording, member, _), count in found.items():
        unmet[source, _unmet(sources[source], wording, member)] += count
    return [f"{source}: {what} ({count} rows)" for (source, what), count in sorted(unmet.items()) if what]


def _unmet(source: Facts, wording: str, member: str) -> str:
    if wording:
        return "" if terms.is_known(wording) else f"the licence {wording!r} is not known and counts as unclear"
    if member and source.licence.members:
        known = member_statement(source.licence, member) is not None
        return "" if known else f"of the licence of {member!r} nothing is known; {source.licence.id} counts"
    return f"no licence is named for single rows; {source.licence.id} counts" if source.licence.per_record else ""
