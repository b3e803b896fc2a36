"""Contamination: the training records to drop because they match evaluation sets (`leaks`)."""

from collections.abc import Sequence

import polars as pl

from ..mixture import EvaluationSet
from .candidates import dropped
from .leaks import ExternalItems, is_evaluation

COLUMNS = ("index", "source", "upstream_split", "split", "group")
"""The columns of rows that `drops` needs."""

_HIT = ("index", "item", "score", "transformation", "relation")


def drops(
    rows: pl.DataFrame,
    matches: pl.DataFrame,
    everything: pl.DataFrame,
    evaluation: Sequence[EvaluationSet],
    external: ExternalItems,
) -> pl.DataFrame:
    """Drop the `rows` that leak an item of a set with `leaks: drop`; the evidence is the item.

    A leak is an image, as far as it counts by the mixture's `copies.leaks`, or, for records without images, an equal
    text or half of it. With `group: true` all rows drop that share the group of an item, or of a row that leaks one.
    Matches are those of `leaks.find_matches`.
    """
    dropping = [place for place, item in enumerate(evaluation) if item.leaks == "drop"]
    whole_groups = pl.col("set").is_in([place for place in dropping if evaluation[place].group])
    counted = matches.filter(pl.col("set").is_in(dropping))
    leaks = counted.filter("leak")
    same_group = counted.filter(whole_groups & (pl.col("kind") == "group"))
    hits = pl.concat([leaks, same_group]).sort("kind", "set").unique("index", keep="first", maintain_order=True)
    eligible = rows.filter(~is_evaluation(evaluation) & (pl.col("split") != "test"))
    others = _others_of_group(eligible, rows, leaks.filter(whole_groups))
    others = others.join(hits, on="index", how="anti", maintain_order="left")
    found = pl.concat([hits.select(_HIT), others.select(_HIT)]).sort("index")
    names = pl.concat([table.select(item="index", name="id") for table in (everything, external.items)])
    named = found.join(names, on="item", maintain_order="left")
    return dropped(named, "contaminated", pl.col("name"), *map(pl.col, ("score", "transformation", "relation")))


def _others_of_group(eligible: pl.DataFrame, rows: pl.DataFrame, leaks: pl.DataFrame) -> pl.DataFrame:
    """Give the eligible rows that share the group of a row that leaks, with the item of that leak."""
    groups = (
        rows.filter(pl.col("group") != "")
        .select("index", "group")
        .join(leaks.select("index", "item"), on="index", maintain_order="left")
        .unique("group", keep="first", maintain_order=True)
        .select("group", "item")
    )
    others = eligible.join(groups, on="group", maintain_order="left")
    return others.with_columns(score=pl.lit(None, pl.Float64), transformation=pl.lit(""), relation=pl.lit(""))
