"""Contamination: which training records fall because of what they share with evaluation sets (`leaks`)."""

from collections.abc import Sequence

import polars as pl

from .candidates import dropped
from .leaks import LEAKS, is_evaluation
from .mixture import EvaluationSet


def drops(
    rows: pl.DataFrame, ties: pl.DataFrame, everything: pl.DataFrame, evaluation: Sequence[EvaluationSet]
) -> pl.DataFrame:
    """Drop the `rows` that leak an item of a set whose leaks are dropped, and their whole group where it asks so.

    A leak is an image, or for records without images an equal text or half of it; the evidence is the item. With
    `group: true` all rows fall that share the group of an item or of a row that leaks one. Ties are those of
    `leaks.find`.
    """
    told = pl.DataFrame(
        {
            "set": range(len(evaluation)),
            "falls": [item.leaks == "drop" for item in evaluation],
            "whole": [item.leaks == "drop" and item.group for item in evaluation],
        },
        schema={"set": pl.Int32, "falls": pl.Boolean, "whole": pl.Boolean},
    )
    known = ties.join(told, on="set", maintain_order="left").filter("falls")
    leaks = known.filter(pl.col("kind").is_in(LEAKS))
    kin = known.filter(pl.col("whole") & (pl.col("kind") == "group"))
    hits = pl.concat([leaks, kin]).sort("kind", "set").unique("index", keep="first", maintain_order=True)
    hits = hits.select("index", "item", "score")
    groups = (
        rows.filter(pl.col("group") != "")
        .select("index", "group")
        .join(leaks.filter("whole").select("index", "item"), on="index", maintain_order="left")
        .unique("group", keep="first", maintain_order=True)
        .select("group", "item")
    )
    able = rows.filter(~is_evaluation(evaluation) & (pl.col("split") != "test"))
    others = able.join(groups, on="group", maintain_order="left").join(
        hits, on="index", how="anti", maintain_order="left"
    )
    fallen = pl.concat([hits, others.select("index", "item", score=pl.lit(None, pl.Float64))]).sort("index")
    names = everything.select(item="index", name="id")
    return dropped(
        fallen.join(names, on="item", maintain_order="left"), "contaminated", pl.col("name"), pl.col("score")
    )


def coverage(everything: pl.DataFrame, evaluation: Sequence[EvaluationSet]) -> list[dict[str, str | int]]:
    """Count, per evaluation set, what was compared, what fell for it, and what is in its domain and yet not the same.

    `items` are those of the set, `unread` those whose images could not be read and so not compared, `hits` the
    records dropped because of them, `in_domain` the training records kept of the same source, `same_wording` the
    items whose question and answer a training record has on another image.
    """
    trained = everything.filter((pl.col("outcome") == "kept") & (pl.col("split") == "train"))
    contaminated = everything.filter(pl.col("reason") == "contaminated")
    counts: list[dict[str, str | int]] = []
    for item in evaluation:
        rows = everything.filter(is_evaluation([item]))
        counts.append(
            {
                "source": item.source,
                "split": item.split,
                "items": rows.height,
                "unread": rows.filter(pl.col("stage").is_in(["read", "images"])).height,
                "hits": contaminated.join(rows, left_on="evidence", right_on="id", how="semi").height,
                "in_domain": trained.filter(pl.col("source") == item.source).height,
                "same_wording": rows.join(trained, on="question_answer_key", how="semi").height,
                "leaks": item.leaks,
            }
        )
    return counts
