"""Contradictions: one question on one image with several answers."""

from typing import Any

import polars as pl

from .candidates import dropped

MAX_EXAMPLES = 5

_QUESTION = ["image_cluster", "question_key"]
_COLUMNS = ("index", "id", "source", "upstream_split", "split", "images", "question_answer_key", *_QUESTION)


def drops(rows: pl.DataFrame, is_evaluation: pl.Expr) -> pl.DataFrame:
    """Drop all records whose question has another answer on the same image, except evaluation items.

    The data does not show which answer is right. The evidence is another record with another answer.
    """
    several = _with_several_answers(rows.select(_COLUMNS))
    answers = several.unique([*_QUESTION, "question_answer_key"], keep="first", maintain_order=True)
    others = answers.select(*_QUESTION, other_answer="question_answer_key", other="id")
    pairs = several.join(others, on=_QUESTION, maintain_order="left_right")
    differing = pairs.filter(pl.col("question_answer_key") != pl.col("other_answer"))
    first = differing.unique("index", keep="first", maintain_order=True)
    return dropped(first.filter(~is_evaluation), "contradictory", pl.col("other"))


def count(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Count, by source, the questions with several answers and their records, with examples.

    Many of them are open questions with several right answers. Records of credentialed sources are counted, not named.
    """
    several = _with_several_answers(rows)
    counts: dict[str, dict[str, Any]] = {}
    for (source,), mine in several.group_by("source", maintain_order=True):
        questions = mine.group_by(_QUESTION, maintain_order=True).agg("id", "verdict")
        named = questions.filter(~pl.col("verdict").list.contains("credentialed"))
        counts[str(source)] = {
            "questions": questions.height,
            "records": mine.height,
            "examples": named["id"].head(MAX_EXAMPLES).to_list(),
        }
    return counts


def _with_several_answers(rows: pl.DataFrame) -> pl.DataFrame:
    questions = rows.drop_nulls("question_key").filter(pl.col("images").list.len() > 0)
    return questions.filter(pl.col("question_answer_key").n_unique().over(_QUESTION) > 1)
