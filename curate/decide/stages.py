"""The order of the stages; the only file that knows them all."""

from collections.abc import Callable
from typing import Any

import polars as pl

from ..mixture import Mixture
from . import caps, contamination, contradictions, duplicates, imagecopies, leaks, policy, screen, splits
from .scantexts import ScanTexts


def decide(
    rows: pl.DataFrame, mixture: Mixture, scanned: ScanTexts, copies: pl.DataFrame, outside: leaks.Outside
) -> tuple[pl.DataFrame, list[dict[str, str | int]]]:
    """Decide on every record: adds `outcome`, `score` and `transformation`; and give the leak matrix.

    A record falls at the first stage that drops it; later stages no longer see it, except as what protects
    others (evaluation items, rows of protected splits). All hangs on the arguments.
    """
    table = rows.with_columns(score=pl.lit(None, pl.Float64), transformation=pl.lit(""))
    spared = leaks.is_evaluation(mixture.evaluation)
    table = table.pipe(_fell, "screen", screen.empty_text)
    table = table.pipe(_fell, "screen", screen.small_images, mixture.images)
    table = table.pipe(_fell, "screen", screen.other_languages, mixture.languages)
    table = table.pipe(_fell, "licences", policy.excluded, mixture.licence_policy)
    table = table.pipe(_fell, "splits", splits.held_out, mixture)
    ties = leaks.find(_alive(table), table, mixture.evaluation, scanned, copies, outside)
    table = table.pipe(_fell, "contamination", contamination.drops, ties, table, mixture.evaluation, outside)
    if mixture.conflicts == "drop":
        table = table.pipe(_fell, "splits", splits.conflicts, table)
    table = imagecopies.clustered(table, copies, taking_part=(pl.col("reason") == "") & ~spared)
    table = table.pipe(_fell, "duplicates", duplicates.exact, copies, spared)
    table = table.pipe(_fell, "duplicates", duplicates.near, copies, spared, scanned, mixture.duplicates.text)
    if mixture.duplicates.contradictions == "drop":
        table = table.pipe(_fell, "contradictions", contradictions.drops, spared)
    table = table.pipe(_fell, "caps", caps.repeated_reports, mixture)
    table = table.pipe(_fell, "caps", caps.over, mixture)
    outcome = pl.when(pl.col("reason") == "").then(pl.lit("kept")).otherwise(pl.lit("dropped"))
    return table.with_columns(outcome=outcome), leaks.matrix(ties, table, mixture.evaluation)


def _fell(table: pl.DataFrame, name: str, stage: Callable[..., pl.DataFrame], *rules: Any) -> pl.DataFrame:
    """Let a stage drop some of the rows that the ones before it left."""
    drops = stage(_alive(table), *rules)
    return table.update(drops.with_columns(stage=pl.lit(name)), on="index")


def _alive(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("reason") == "")
