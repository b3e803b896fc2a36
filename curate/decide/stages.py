"""The order of the stages; the only file that knows them all."""

from collections.abc import Callable
from typing import Any, NamedTuple

import polars as pl

from ..mixture import Mixture
from . import caps, contamination, contradictions, duplicates, image_copies, leaks, policy, screen, splits
from .copy_search import Copies
from .leaks import MatrixRow
from .scan_texts import ScanTexts


class Decision(NamedTuple):
    """The table of records with what became of each, and two leak matrices (`leaks.matrix`).

    `leaks` are the matches with evaluation sets before any record is dropped, `validation_leaks` those that kept
    training records have with the kept validation records of each source. `copies` counts the pairs of related images
    of the records (`Copies.count_pairs`).
    """

    records: pl.DataFrame
    leaks: list[MatrixRow]
    validation_leaks: list[MatrixRow]
    copies: dict[str, int]


def decide(
    rows: pl.DataFrame, mixture: Mixture, texts: ScanTexts, copies: Copies, external: leaks.ExternalItems
) -> Decision:
    """Decide on every record: add `split`, `outcome`, `score`, `transformation` and `relation`.

    The first stage that drops a record decides; later stages see it only as what protects others (evaluation items,
    rows of protected splits). The decision depends on the arguments alone.
    """
    leak_rule, alike = mixture.copies.leaks, copies.under(mixture.copies.duplicates)
    undecided = {"score": pl.lit(None, pl.Float64), "transformation": pl.lit(""), "relation": pl.lit("")}
    table = splits.assign(rows, mixture, copies).with_columns(**undecided)
    is_evaluation = leaks.is_evaluation(mixture.evaluation)
    table = table.pipe(apply_stage, "screen", screen.empty_text)
    table = table.pipe(apply_stage, "screen", screen.small_images, mixture.images)
    table = table.pipe(apply_stage, "screen", screen.uniform_images, mixture.images)
    table = table.pipe(apply_stage, "screen", screen.other_languages, mixture.languages)
    table = table.pipe(apply_stage, "licences", policy.excluded, mixture.licence_policy)
    table = table.pipe(apply_stage, "splits", splits.excluded, mixture)
    matches = leaks.find_matches(_remaining(table), table, mixture.evaluation, texts, copies, external, leak_rule)
    table = table.pipe(apply_stage, "contamination", contamination.drops, matches, table, mixture.evaluation, external)
    if mixture.conflicts == "drop":
        table = table.pipe(apply_stage, "splits", splits.conflicts, table)
    table = image_copies.add_clusters(table, alike, is_eligible=(pl.col("reason") == "") & ~is_evaluation)
    table = table.pipe(apply_stage, "duplicates", duplicates.exact, alike, is_evaluation)
    table = table.pipe(apply_stage, "duplicates", duplicates.near, alike, is_evaluation, texts, mixture.duplicates.text)
    if mixture.duplicates.contradictions == "drop":
        table = table.pipe(apply_stage, "contradictions", contradictions.drops, is_evaluation)
    table = table.pipe(apply_stage, "caps", caps.repeated_reports, mixture)
    table = table.pipe(apply_stage, "caps", caps.over_cap, mixture)
    outcome = pl.when(pl.col("reason") == "").then(pl.lit("kept")).otherwise(pl.lit("dropped"))
    table = table.with_columns(outcome=outcome)
    shared, validation = leaks.match_validation(_remaining(table), mixture.evaluation, texts, copies, leak_rule)
    return Decision(
        table,
        leaks.matrix(matches, table, mixture.evaluation),
        leaks.matrix(shared, table, validation),
        copies.count_pairs(table["images"]),
    )


def apply_stage(table: pl.DataFrame, name: str, stage: Callable[..., pl.DataFrame], *rules: Any) -> pl.DataFrame:
    """Mark the rows that a stage drops of those that the stages before it left."""
    drops = stage(_remaining(table), *rules)
    return table.update(drops.with_columns(stage=pl.lit(name)), on="index")


def _remaining(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("reason") == "")
