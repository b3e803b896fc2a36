"""Coverage: how much of each evaluation set was compared, and what that found."""

from collections.abc import Mapping, Sequence

import polars as pl

from ..decide.leaks import is_evaluation
from ..mixture import EvaluationSet
from .fingerprint_file import EvaluationFile


def coverage(
    everything: pl.DataFrame, evaluation: Sequence[EvaluationSet], aside: Mapping[int, EvaluationFile]
) -> list[dict[str, str | int]]:
    """Count, per evaluation set, what was compared, what fell for it, and what is in its domain and yet not the same.

    `items` are those of the set, `unread` those whose images could not be read and so not compared, `hits` the
    records dropped because of them, `in_domain` the training records kept of the same source, `same_wording` the
    items whose question and answer a training record has on another image. `source` is "" for a set that is no
    source; those that were read are `aside`, by their place.
    """
    trained = everything.filter((pl.col("outcome") == "kept") & (pl.col("split") == "train"))
    contaminated = everything.filter(pl.col("reason") == "contaminated")
    counts: list[dict[str, str | int]] = []
    for place, item in enumerate(evaluation):
        rows = everything.filter(is_evaluation([item])).select("id", "stage", "question_answer_key")
        unread = rows.filter(pl.col("stage").is_in(["read", "images"])).height
        if place in aside:
            rows, unread = aside[place].items.select("id", "question_answer_key"), aside[place].unread
        counts.append(
            {
                "set": item.name,
                "source": item.source,
                "split": item.split if item.source else "",
                "items": rows.height,
                "unread": unread,
                "hits": contaminated.join(rows, left_on="evidence", right_on="id", how="semi").height,
                "in_domain": trained.filter(pl.col("source") == item.source).height,
                "same_wording": rows.join(trained, on="question_answer_key", how="semi").height,
                "leaks": item.leaks,
            }
        )
    return counts
