"""What records share with the evaluation sets that the mixture names, in every way that is told apart."""

from collections.abc import Mapping, Sequence

import polars as pl

from .mixture import EvaluationSet
from .overlap import MIN_SHARE, Items
from .scantexts import ScanTexts

KINDS = ("image", "text", "overlap", "group", "wording", "passage")
"""How a record is tied to an evaluation set, the closest first:

- `image`: equal pixels, whatever is asked about them.
- `text`: both without images, with equal question and answer.
- `overlap`: both without images; the record holds half of the item or more (`overlap`).
- `group`: of the same patient, study, article or case.
- `wording`: equal question and answer on another image; no leak.
- `passage`: both without images; the record holds an n-gram of the item and less than half of it; no leak.
"""

LEAKS = ("image", "text", "overlap")

_SCHEMA: Mapping[str, pl.DataType] = {
    "index": pl.UInt32(),
    "set": pl.Int32(),
    "kind": pl.Enum(KINDS),
    "item": pl.UInt32(),
    "score": pl.Float64(),
}


def is_evaluation(evaluation: Sequence[EvaluationSet]) -> pl.Expr:
    """True for rows of the named evaluation sets, by upstream's own split."""
    named = [f"{item.source}/{item.split}" for item in evaluation]
    return pl.concat_str("source", "upstream_split", separator="/").is_in(named)


def find(
    rows: pl.DataFrame, everything: pl.DataFrame, evaluation: Sequence[EvaluationSet], scanned: ScanTexts
) -> pl.DataFrame:
    """Tie `rows` to the items of `everything`: one line per row, set and kind.

    Columns: `index`, `set` (place in `evaluation`), `kind`, `item` (index of the first item, in reading order, or of
    the most similar one), `score` (share of the item that the record holds; null where the tie is exact). The items
    count whether or not they are kept; evaluation items themselves and other test rows are tied to nothing.
    """
    rows = rows.filter(~is_evaluation(evaluation) & (pl.col("split") != "test"))
    found = [pl.DataFrame(schema=_SCHEMA)]
    for number, item in enumerate(evaluation):
        items = everything.filter(is_evaluation([item]))
        found += [tie.with_columns(set=pl.lit(number)) for tie in _exact(rows, items)]
    found.append(_overlapping(rows, everything, evaluation, scanned))
    return pl.concat([tie.select(list(_SCHEMA)).cast(pl.Schema(_SCHEMA)) for tie in found])


def _exact(rows: pl.DataFrame, items: pl.DataFrame) -> list[pl.DataFrame]:
    readable = items.filter(pl.col("reason") != "unparsable-row")
    has_image = pl.col("pixels").list.len() > 0
    key = "question_answer_key"
    return [
        _equal(rows.explode("pixels"), items.explode("pixels"), "pixels", "image"),
        _equal(rows.filter(~has_image), readable, key, "text"),
        _equal(rows.filter(pl.col("group") != ""), items, "group", "group"),
        _equal(rows.filter(has_image), readable, key, "wording"),
    ]


def _equal(rows: pl.DataFrame, items: pl.DataFrame, key: str, kind: str) -> pl.DataFrame:
    first = items.drop_nulls(key).group_by(key, maintain_order=True).agg(item=pl.col("index").first())
    tied = (
        rows.drop_nulls(key)
        .join(first, on=key, maintain_order="left")
        .unique("index", keep="first", maintain_order=True)
    )
    return tied.select("index", "item", kind=pl.lit(kind), score=pl.lit(None, pl.Float64))


def _overlapping(
    rows: pl.DataFrame, everything: pl.DataFrame, evaluation: Sequence[EvaluationSet], scanned: ScanTexts
) -> pl.DataFrame:
    """Tie rows without images to items without images by n-gram overlap, to the most similar item of each set."""
    without = (pl.col("pixels").list.len() == 0) & ~pl.col("stage").is_in(["read", "images"])
    items = everything.filter(without & is_evaluation(evaluation))
    numbers = {f"{item.source}/{item.split}": number for number, item in enumerate(evaluation)}
    place = pl.concat_str("source", "upstream_split", separator="/")
    sets = items.select(item="index", set=place.replace_strict(numbers, return_dtype=pl.Int32))
    known = Items(scanned.texts(items))
    shares = [known.found_in(texts) for texts in scanned.texts(rows.filter(without))] if items.height else []
    return (
        pl.concat([pl.DataFrame(schema={"index": pl.UInt32, "item": pl.UInt32, "share": pl.Float64}), *shares])
        .join(sets, on="item")
        .sort("share", "item", descending=[True, False])
        .unique(["index", "set"], keep="first", maintain_order=True)
        .sort("index", "set")
        .with_columns(
            kind=pl.when(pl.col("share") >= MIN_SHARE).then(pl.lit("overlap")).otherwise(pl.lit("passage")),
            score="share",
        )
    )


def matrix(
    ties: pl.DataFrame, everything: pl.DataFrame, evaluation: Sequence[EvaluationSet]
) -> list[dict[str, str | int]]:
    """Count, for each source and set that are tied, the source's records by kind; sources in reading order.

    A record counts once for each kind: one with an equal text is not counted among those that overlap.
    """
    closest = ties.filter(~((pl.col("kind") == "overlap") & pl.col("kind").eq("text").any().over("index", "set")))
    counts = (
        closest.join(everything.select("index", "source", "rank"), on="index")
        .group_by("rank", "source", "set")
        .agg((pl.col("kind") == kind).sum().alias(kind) for kind in KINDS)
        .sort("rank", "set")
    )
    return [
        {"source": row["source"], "set": _name(evaluation[row["set"]]), **{kind: row[kind] for kind in KINDS}}
        for row in counts.iter_rows(named=True)
    ]


def _name(item: EvaluationSet) -> str:
    return f"{item.source} {item.split}"
