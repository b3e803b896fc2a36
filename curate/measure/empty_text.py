"""Texts that say nothing: empty ones, punctuation and de-identification marks alone, placeholders for no value.

An answer to a question is what it says: `None`, `no`, `0`, `-` and `↓ ↑` are answers. A caption, a report or a question
of these words says nothing. Options are never de-identified, so `XXXX` is a karyotype there.
"""

import polars as pl

from ..record import QUESTION_TASKS

EMPTY = "is empty"
PUNCTUATION = "is only punctuation or de-identification marks"
PLACEHOLDER = "is a placeholder for no value"

_MARKS = r"(?i)\bx{4,}\b|_{2,}|\[\*\*.*?\*\*\]"
"""Of Open-i, of MIMIC-CXR and of older MIMIC notes."""

_DAMAGED = r"\x{FFFD}"
_TITLES = r"(?m)^(?:Findings|Impression):"
_WORDS = r"[\p{L}\p{N}]"
_SIGNS = r"[\p{S}%‰]|^\s*[-−–]\s*$"
_NO_TEXT = r"(?i)^\W*(?:(?:none|nil|null|nan|na|n/a|n\.a|not available|not applicable)\b\W*)+$"
_NO_ANSWER = r"(?i)^\W*(?:nan|n/a|n\.a)\W*$"


def question_gap() -> pl.Expr:
    """Give why the column `question` says nothing, one of the constants above; "" if it says something."""
    question = pl.col("question")
    said = question.str.replace_all(_MARKS, "").str.replace_all(_DAMAGED, "")
    return _gap(question, said.str.contains(_WORDS), said.str.contains(_NO_TEXT))


def answer_gap() -> pl.Expr:
    """Give why the column `answer` says nothing, as `question_gap`; the column `task` decides what an answer can be."""
    answer, task = pl.col("answer"), pl.col("task")
    asks = task.is_in(QUESTION_TASKS)
    text = pl.when(task == "report").then(answer.str.replace_all(_TITLES, "")).otherwise(answer)
    unmarked = pl.when(task == "mcqa").then(text).otherwise(text.str.replace_all(_MARKS, ""))
    said = unmarked.str.replace_all(_DAMAGED, "")
    says = said.str.contains(_WORDS) | (said.str.contains(_SIGNS) & asks)
    no_value = pl.when(asks).then(said.str.contains(_NO_ANSWER)).otherwise(said.str.contains(_NO_TEXT))
    return _gap(answer, says, no_value)


def _gap(text: pl.Expr, says: pl.Expr, no_value: pl.Expr) -> pl.Expr:
    return (
        pl.when(text == "")
        .then(pl.lit(EMPTY))
        .when(~says)
        .then(pl.lit(PUNCTUATION))
        .when(no_value)
        .then(pl.lit(PLACEHOLDER))
        .otherwise(pl.lit(""))
    )
