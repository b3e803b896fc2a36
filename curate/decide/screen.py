"""Screening: drop single records by the mixture's thresholds."""

import polars as pl

from ..measure.empty_text import EMPTY
from ..mixture import ImageRule
from ..record import QUESTION_TASKS
from .candidates import dropped


def empty_text(rows: pl.DataFrame) -> pl.DataFrame:
    """Drop records whose answer says nothing, or whose question if the task has one (`empty_text`)."""
    answer, question = pl.col("answer_gap") != "", pl.col("question_gap") != ""
    asks, is_section = pl.col("task").is_in(QUESTION_TASKS), pl.col("section") != ""
    return dropped(
        rows.filter(answer | (question & asks)),
        "empty-text",
        pl.when(is_section & (pl.col("answer_gap") == EMPTY))
        .then(pl.format("the report has no {}", "section"))
        .when(answer)
        .then(pl.format("the {} {}", pl.when(is_section).then("section").otherwise(pl.lit("answer")), "answer_gap"))
        .otherwise(pl.format("the question {}", "question_gap")),
    )


def small_images(rows: pl.DataFrame, rule: ImageRule) -> pl.DataFrame:
    """Drop records with an image whose shorter side is below the minimum; the score is that side in pixels."""
    return dropped(
        rows.filter(pl.col("min_side") < rule.min_side),
        "too-small",
        pl.format("a side of {} pixels, the mixture asks for {}", "min_side", pl.lit(rule.min_side)),
        pl.col("min_side"),
    )


def uniform_images(rows: pl.DataFrame, rule: ImageRule) -> pl.DataFrame:
    """Drop records with an image of one brightness, unless the mixture keeps them."""
    found = rows.filter(pl.col("uniform") != "") if rule.uniform == "drop" else rows.head(0)
    return dropped(found, "uniform-image", pl.format("an image that is all {}", "uniform"))


def other_languages(rows: pl.DataFrame, languages: tuple[str, ...]) -> pl.DataFrame:
    """Drop records in a language that the mixture does not keep; no languages keeps all."""
    is_kept = pl.col("language").is_in(languages) if languages else pl.lit(True)
    return dropped(rows.filter(~is_kept), "language", pl.col("language"))
