"""Contamination: which training records fall because of what they share with evaluation sets (`leaks`)."""

from collections.abc import Sequence

import polars as pl

from ..mixture import EvaluationSet
from .candidates import dropped
from .leaks import LEAKS, NOTHING, Outside, is_evaluation


def drops(
    rows: pl.DataFrame,
    ties: pl.DataFrame,
    everything: pl.DataFrame,
    evaluation: Sequence[EvaluationSet],
    outside: Outside = NOTHING,
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
    hits = hits.select("index", "item", "score", "transformation")
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
    kept_company = others.select("index", "item", score=pl.lit(None, pl.Float64), transformation=pl.lit(""))
    fallen = pl.concat([hits, kept_company]).sort("index")
    names = pl.concat([table.select(item="index", name="id") for table in (everything, outside.items)])
    named = fallen.join(names, on="item", maintain_order="left")
    return dropped(named, "contaminated", pl.col("name"), pl.col("score"), pl.col("transformation"))
