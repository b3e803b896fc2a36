"""Coverage: how many items of each evaluation set were compared, and how many records they dropped."""

from collections.abc import Mapping, Sequence

import polars as pl

from ..decide.leaks import is_evaluation
from ..mixture import EvaluationSet
from .fingerprint_file import FingerprintedSet


def coverage(
    everything: pl.DataFrame, evaluation: Sequence[EvaluationSet], external: Mapping[int, FingerprintedSet]
) -> list[dict[str, str | int]]:
    """Count, per evaluation set, the compared items, the records dropped for them, and the records kept near them.

    `items` are those of the set, `unreadable` those with unreadable images, which were not compared. `hits` are the
    records dropped because of them, `in_domain` the kept training records of the same source. `same_question_answer`
    are the items whose question and answer a training record has on another image. `source` is "" for a set that is
    no source; `external` are those that were read, by their position.
    """
    trained = everything.filter((pl.col("outcome") == "kept") & (pl.col("split") == "train"))
    contaminated = everything.filter(pl.col("reason") == "contaminated")
    counts: list[dict[str, str | int]] = []
    for place, item in enumerate(evaluation):
        rows = everything.filter(is_evaluation([item])).select("id", "stage", "question_answer_key")
        unreadable = rows.filter(pl.col("stage").is_in(["read", "images"])).height
        if place in external:
            rows, unreadable = external[place].items.select("id", "question_answer_key"), external[place].unreadable
        counts.append(
            {
                "set": item.name,
                "source": item.source,
                "split": item.split if item.source else "",
                "items": rows.height,
                "unreadable": unreadable,
                "hits": contaminated.join(rows, left_on="evidence", right_on="id", how="semi").height,
                "in_domain": trained.filter(pl.col("source") == item.source).height,
                "same_question_answer": rows.join(trained, on="question_answer_key", how="semi").height,
                "leaks": item.leaks,
            }
        )
    return counts
