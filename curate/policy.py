"""Licence policy: each record's licence and verdict, and whether the mixture's use allows it."""

from collections.abc import Mapping

import polars as pl

from . import licences
from .candidates import dropped
from .facts import Facts
from .mixture import LicencePolicy

OPENNESS = {"redistributable": 3, "research-only": 2, "unclear": 1, "credentialed": 0}
"""Of two equal records the more open one survives."""


def resolve(rows: pl.DataFrame, sources: Mapping[str, Facts]) -> pl.DataFrame:
    """Add `licence` (SPDX id or LicenseRef), `verdict` and `openness`.

    A row's own wording counts where upstream gives one per row; a row without wording has the source's licence.
    """
    wordings = rows.select("source", "wording").unique(maintain_order=True)
    resolved = [_resolve(sources[source], wording or "") for source, wording in wordings.iter_rows()]
    table = wordings.with_columns(
        licence=pl.Series([licence for licence, _ in resolved], dtype=pl.String),
        verdict=pl.Series([verdict for _, verdict in resolved], dtype=pl.String),
    ).with_columns(openness=pl.col("verdict").replace_strict(OPENNESS, return_dtype=pl.Int8))
    return rows.join(table, on=["source", "wording"], how="left", nulls_equal=True, maintain_order="left")


def _resolve(source: Facts, wording: str) -> tuple[str, str]:
    if not wording:
        return source.licence.id, source.licence.verdict
    licence = licences.normalise(wording)
    return licence, licences.verdict(licence)


def excluded(rows: pl.DataFrame, policy: LicencePolicy) -> pl.DataFrame:
    """Drop records whose licence does not allow the mixture's use, and unclear ones where they are not wanted."""
    pairs = rows.select("licence", "verdict").unique(maintain_order=True)
    refused = pairs.filter(
        pl.Series([not _allowed(licence, verdict, policy) for licence, verdict in pairs.iter_rows()], dtype=pl.Boolean)
    )
    return dropped(
        rows.join(refused, on=["licence", "verdict"], how="semi", maintain_order="left"), "licence", pl.col("licence")
    )


def _allowed(licence: str, verdict: str, policy: LicencePolicy) -> bool:
    if verdict == "unclear" and policy.use == "research":
        return policy.unclear == "restrict"
    return licences.allowed(licence, verdict, policy.use)
