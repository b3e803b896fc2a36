"""The order of the stages; the only file that knows them all."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from ..mixture import Mixture
from . import caps, contamination, contradictions, duplicates, image_copies, leaks, policy, screen, splits
from .candidates import CATEGORY
from .copy_search import Copies
from .leaks import MatrixRow
from .partitions import by_key, by_rows
from .scan_texts import ScanTexts

SINGLE_ROWS: Final = "single rows"
"""Of a stage that looks at each row alone."""

_OUTCOME = ("stage", "reason", "evidence", "score", "transformation", "relation")
_IS_LEFT = pl.col("reason") == ""


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
    undecided = {"score": pl.lit(None, pl.Float64), "transformation": pl.lit(""), "relation": pl.lit("", CATEGORY)}
    table = splits.assign(rows, mixture, copies).with_columns(**undecided)
    evaluation, is_evaluation = mixture.evaluation, leaks.is_evaluation(mixture.evaluation)
    table = table.pipe(apply_stage, "screen", screen.empty_text, by=SINGLE_ROWS)
    table = table.pipe(apply_stage, "screen", screen.small_images, mixture.images, by=SINGLE_ROWS)
    table = table.pipe(apply_stage, "screen", screen.uniform_images, mixture.images, by=SINGLE_ROWS)
    table = table.pipe(apply_stage, "screen", screen.other_languages, mixture.languages, by=SINGLE_ROWS)
    table = table.pipe(apply_stage, "licences", policy.excluded, mixture.licence_policy, by=SINGLE_ROWS)
    table = table.pipe(apply_stage, "splits", splits.excluded, mixture, by=SINGLE_ROWS)
    matches = leaks.find_matches(table, table, evaluation, texts, copies, external, leak_rule)
    leaking = (matches, table, evaluation, external)
    table = table.pipe(apply_stage, "contamination", contamination.drops, *leaking, by=contamination.COLUMNS)
    if mixture.conflicts == "drop":
        table = table.pipe(apply_stage, "splits", splits.conflicts, table, by=splits.CONFLICT_COLUMNS)
    table = image_copies.add_clusters(table, alike, is_eligible=_IS_LEFT & ~is_evaluation)
    owners = image_copies.first_owners(table.lazy().filter(_IS_LEFT), alike)
    table = table.pipe(apply_stage, "duplicates", duplicates.exact, alike, is_evaluation, owners, by="text_key")
    owners = image_copies.first_owners(table.lazy().filter(_IS_LEFT), alike)
    near = (is_evaluation, texts, mixture.duplicates.text, owners)
    table = mark(table, "duplicates", duplicates.near(table, alike, *near))
    if mixture.duplicates.contradictions == "drop":
        table = table.pipe(apply_stage, "contradictions", contradictions.drops, is_evaluation, by="question_key")
    table = table.pipe(apply_stage, "caps", caps.repeated_reports, mixture, by="text_key")
    table = table.pipe(apply_stage, "caps", caps.over_cap, mixture, by=caps.COLUMNS)
    outcome = pl.when(_IS_LEFT).then(pl.lit("kept")).otherwise(pl.lit("dropped"))
    table = table.with_columns(outcome=outcome.cast(CATEGORY))
    shared, validation = leaks.match_validation(table, evaluation, texts, copies, leak_rule)
    return Decision(
        table,
        leaks.matrix(matches, table, evaluation),
        leaks.matrix(shared, table, validation),
        copies.count_pairs(table["images"]),
    )


def apply_stage(
    table: pl.DataFrame, name: str, stage: Callable[..., pl.DataFrame], *rules: Any, by: str | Sequence[str]
) -> pl.DataFrame:
    """Mark the rows that a stage drops of those that the stages before it left.

    Args:
        table: all rows.
        name: of the stage.
        stage: its function; `rules` are what it takes after the rows.
        rules: see `stage`.
        by: what the stage looks at together: `SINGLE_ROWS`; rows with an equal value of the column of this name; or
            these columns of all rows.
    """
    if by == SINGLE_ROWS:
        drops = by_rows(table, lambda part: stage(part.filter(_IS_LEFT), *rules))
    elif isinstance(by, str):
        drops = by_key(table, by, _IS_LEFT, lambda part: stage(part, *rules))
    else:
        drops = stage(table.lazy().filter(_IS_LEFT).select(by).collect(), *rules)
    return mark(table, name, drops)


def mark(table: pl.DataFrame, name: str, drops: pl.DataFrame) -> pl.DataFrame:
    """Add `DROPS` of a stage to the table."""
    if drops.is_empty():
        return table
    outcome = table.select("index", *_OUTCOME)
    marked = drops.with_columns(stage=pl.lit(name)).select(outcome.columns).cast(outcome.schema)
    return table.with_columns(outcome.update(marked, on="index").select(_OUTCOME))
