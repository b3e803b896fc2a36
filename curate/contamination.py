"""Contamination: what training records share with the evaluation sets that the mixture names."""

from collections.abc import Sequence

import polars as pl

from .candidates import dropped
from .mixture import EvaluationSet


def is_evaluation(evaluation: Sequence[EvaluationSet]) -> pl.Expr:
    """True for rows of the named evaluation sets, by upstream's own split."""
    named = [f"{item.source}/{item.split}" for item in evaluation]
    return pl.concat_str("source", "upstream_split", separator="/").is_in(named)


def exact(rows: pl.DataFrame, everything: pl.DataFrame, evaluation: Sequence[EvaluationSet]) -> pl.DataFrame:
    """Drop `rows` that share pixels or, without images, question and answer with an evaluation item.

    An image counts whatever is asked about it. For image-text records an equal question and answer on another
    image ("what is shown?", "yes") is no contamination. The items of `everything` count whether or not they are
    kept; evaluation items themselves and other test rows are never dropped for it.
    """
    items = everything.filter(is_evaluation(evaluation))
    candidates = rows.filter(~is_evaluation(evaluation) & (pl.col("split") != "test"))
    by_image = _hits(candidates.explode("pixels"), items.explode("pixels"), "pixels")
    without_image = candidates.filter(pl.col("pixels").list.len() == 0)
    by_text = _hits(without_image, items.filter(pl.col("reason") != "unparsable-row"), "question_answer_key")
    hits = pl.concat([by_image, by_text]).unique("index", keep="first", maintain_order=True)
    return dropped(hits, "contaminated", pl.col("item"))


def _hits(candidates: pl.DataFrame, items: pl.DataFrame, key: str) -> pl.DataFrame:
    """Join on an exact key; the first evaluation item in reading order is the evidence."""
    first = items.drop_nulls(key).group_by(key, maintain_order=True).agg(item=pl.col("id").first())
    return candidates.drop_nulls(key).join(first, on=key, maintain_order="left").select("index", "item")


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
            }
        )
    return counts
