"""Contradictions: one question on one image with several answers."""

from typing import Any

import polars as pl

from .candidates import dropped

MAX_EXAMPLES = 5

_ASKED = ["image_cluster", "question_key"]


def drops(rows: pl.DataFrame, spared: pl.Expr) -> pl.DataFrame:
    """Drop the records whose question is answered otherwise on the same image, all of them but the `spared` ones.

    Which of the answers is right nobody can tell. The evidence is another record with another answer.
    """
    several = _several(rows)
    answers = several.unique([*_ASKED, "question_answer_key"], keep="first", maintain_order=True)
    others = answers.select(*_ASKED, other_answer="question_answer_key", other="id")
    pairs = several.join(others, on=_ASKED, maintain_order="left_right")
    differing = pairs.filter(pl.col("question_answer_key") != pl.col("other_answer"))
    first = differing.unique("index", keep="first", maintain_order=True)
    return dropped(first.filter(~spared), "contradictory", pl.col("other"))


def count(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Count, by source, the questions with several answers and the records with them; name some of the records.

    Many of them are open questions with several right answers. Records of credentialed sources are counted and not
    named.
    """
    several = _several(rows)
    counts: dict[str, dict[str, Any]] = {}
    for (source,), mine in several.group_by("source", maintain_order=True):
        questions = mine.group_by(_ASKED, maintain_order=True).agg("id", "verdict")
        named = questions.filter(~pl.col("verdict").list.contains("credentialed"))
        counts[str(source)] = {
            "questions": questions.height,
            "records": mine.height,
            "examples": named["id"].head(MAX_EXAMPLES).to_list(),
        }
    return counts


def _several(rows: pl.DataFrame) -> pl.DataFrame:
    asked = rows.drop_nulls("question_key").filter(pl.col("images").list.len() > 0)
    return asked.filter(pl.col("question_answer_key").n_unique().over(_ASKED) > 1)
