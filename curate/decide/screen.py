"""Screening: drop single records by the mixture's thresholds."""

import polars as pl

from ..mixture import ImageRule
from ..record import QUESTION_TASKS
from .candidates import dropped


def empty_text(rows: pl.DataFrame) -> pl.DataFrame:
    """Drop records without an answer, or without a question if the task has one."""
    answer, question = pl.col("answer_chars") == 0, pl.col("question_chars") == 0
    asks = pl.col("task").is_in(QUESTION_TASKS)
    return dropped(
        rows.filter(answer | (question & asks)),
        "empty-text",
        pl.when(answer & (pl.col("section") != ""))
        .then(pl.format("the report has no {}", "section"))
        .when(answer)
        .then(pl.lit("the answer is empty"))
        .otherwise(pl.lit("the question is empty")),
    )


def small_images(rows: pl.DataFrame, rule: ImageRule) -> pl.DataFrame:
    """Drop records with an image whose shorter side is below the minimum; the score is that side in pixels."""
    return dropped(
        rows.filter(pl.col("min_side") < rule.min_side),
        "too-small",
        pl.format("a side of {} pixels, the mixture asks for {}", "min_side", pl.lit(rule.min_side)),
        pl.col("min_side"),
    )


def other_languages(rows: pl.DataFrame, languages: tuple[str, ...]) -> pl.DataFrame:
    """Drop records in a language that the mixture does not keep; no languages keeps all."""
    is_kept = pl.col("language").is_in(languages) if languages else pl.lit(True)
    return dropped(rows.filter(~is_kept), "language", pl.col("language"))
