"""What records share with the evaluation sets that the mixture names, in every way that is told apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from ..mixture import EvaluationSet
from . import overlap
from .imagecopies import both_ways

KINDS = ("image", "near", "text", "overlap", "group", "wording", "passage")
"""How a record is tied to an evaluation set, the closest first:

- `image`: equal pixels, whatever is asked about them.
- `near`: an altered copy of an image, confirmed by its pixels (`imagecopies`).
- `text`: both without images, with equal question and answer.
- `overlap`: both without images; the record holds half of the item or more (`overlap`).
- `group`: of the same patient, study, article or case.
- `wording`: equal question and answer on another image; no leak.
- `passage`: both without images; the record holds an n-gram of the item and less than half of it; no leak.
"""

LEAKS = ("image", "near", "text", "overlap")

_SCHEMA: Mapping[str, pl.DataType] = {
    "index": pl.UInt32(),
    "set": pl.Int32(),
    "kind": pl.Enum(KINDS),
    "item": pl.UInt32(),
    "score": pl.Float64(),
    "transformation": pl.String(),
}


class Told(Protocol):
    """The texts of records, wherever they lie (`ScanTexts` for a build)."""

    def texts(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Give `index`, `question`, `answer`, `context`, `choices` and `explanation` of rows."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The items of evaluation sets that are no source of the mixture (`evaluationfile`), numbered on from its rows.

    Attributes:
        items: `index`, `set` (place in the mixture's `evaluation`), `id`, `images`, `group` and `question_answer_key`
            as in the table of candidates; the images count on from its images.
        grams: `overlap.GRAMS` of the items.
    """

    items: pl.DataFrame
    grams: pl.DataFrame


ITEMS: Mapping[str, pl.DataType] = {
    "index": pl.UInt32(),
    "set": pl.Int32(),
    "id": pl.String(),
    "images": pl.List(pl.UInt32),
    "group": pl.String(),
    "question_answer_key": pl.String(),
}
NOTHING = Outside(pl.DataFrame(schema=dict(ITEMS)), pl.DataFrame(schema=overlap.GRAMS))


def is_evaluation(evaluation: Sequence[EvaluationSet]) -> pl.Expr:
    """True for rows of the named evaluation sets, by upstream's own split."""
    named = [f"{item.source}/{item.split}" for item in evaluation if item.source]
    return pl.concat_str("source", "upstream_split", separator="/").is_in(named)


def find(
    rows: pl.DataFrame,
    everything: pl.DataFrame,
    evaluation: Sequence[EvaluationSet],
    scanned: Told,
    copies: pl.DataFrame,
    outside: Outside = NOTHING,
) -> pl.DataFrame:
    """Tie `rows` to the items of `everything` and to those outside: one line per row, set and kind.

    Columns: `index`, `set` (place in `evaluation`), `kind`, `item` (index of the first item, in reading order, or of
    the most similar one), `score` (likeness of the images, or share of the item that the record holds; null where the
    tie is exact), `transformation` (how the record's image was made of the item's). The items count whether or not
    they are kept; evaluation items themselves and other test rows are tied to nothing.
    """
    rows = rows.filter(~is_evaluation(evaluation) & (pl.col("split") != "test"))
    pairs = both_ways(copies)
    found = [pl.DataFrame(schema=_SCHEMA)]
    for number, item in enumerate(evaluation):
        if item.source:
            items = everything.filter(is_evaluation([item]))
            readable = items.filter(pl.col("reason") != "unparsable-row")
        else:
            items = readable = outside.items.filter(pl.col("set") == number)
        ties = [*_by_image(rows, items, pairs), *_by_key(rows, items, readable)]
        found += [tie.with_columns(set=pl.lit(number)) for tie in ties]
    found.append(_overlapping(rows, everything, evaluation, scanned, outside))
    return pl.concat([tie.select(list(_SCHEMA)).cast(pl.Schema(_SCHEMA)) for tie in found])


def _by_image(rows: pl.DataFrame, items: pl.DataFrame, pairs: pl.DataFrame) -> list[pl.DataFrame]:
    """Tie by images, to the item that is likest; a row that shares the very image is not tied by a copy as well."""
    shown = items.select(item="index", original="images").explode("original").drop_nulls()
    first = shown.unique("original", keep="first", maintain_order=True)
    each = rows.select("index", image="images").explode("image").drop_nulls()
    same = each.join(first, left_on="image", right_on="original", maintain_order="left")
    copied = each.join(pairs, on="image").join(first, on="original")
    equal = pl.concat([same.select("index", "item"), copied.filter("exact").select("index", "item")])
    equal = equal.sort("index", "item").unique("index", keep="first", maintain_order=True)
    altered = (
        copied.filter(~pl.col("exact"))
        .join(equal, on="index", how="anti")
        .sort("index", "likeness", "item", descending=[False, True, False])
        .unique("index", keep="first", maintain_order=True)
        .select("index", "item", score="likeness", transformation="how")
    )
    exact = equal.with_columns(score=pl.lit(None, pl.Float64), transformation=pl.lit(""))
    return [exact.with_columns(kind=pl.lit("image")), altered.with_columns(kind=pl.lit("near"))]


def _by_key(rows: pl.DataFrame, items: pl.DataFrame, readable: pl.DataFrame) -> list[pl.DataFrame]:
    has_image = pl.col("images").list.len() > 0
    key = "question_answer_key"
    return [
        _equal(rows.filter(~has_image), readable, key, "text"),
        _equal(rows.filter(pl.col("group") != ""), items, "group", "group"),
        _equal(rows.filter(has_image), readable, key, "wording"),
    ]


def _equal(rows: pl.DataFrame, items: pl.DataFrame, key: str, kind: str) -> pl.DataFrame:
    first = items.drop_nulls(key).group_by(key, maintain_order=True).agg(item=pl.col("index").first())
    tied = rows.join(first, on=key, maintain_order="left")
    return tied.select("index", "item", kind=pl.lit(kind), score=pl.lit(None, pl.Float64), transformation=pl.lit(""))


def _overlapping(
    rows: pl.DataFrame,
    everything: pl.DataFrame,
    evaluation: Sequence[EvaluationSet],
    scanned: Told,
    outside: Outside,
) -> pl.DataFrame:
    """Tie rows without images to items without images by n-gram overlap, to the most similar item of each set."""
    without = (pl.col("images").list.len() == 0) & ~pl.col("stage").is_in(["read", "images"])
    items = everything.filter(without & is_evaluation(evaluation))
    numbers = {f"{item.source}/{item.split}": number for number, item in enumerate(evaluation) if item.source}
    place = pl.concat_str("source", "upstream_split", separator="/")
    number = place.replace_strict(numbers or {"": 0}, default=None, return_dtype=pl.Int32)
    sets = items.select(item="index", set=number)
    sets = pl.concat([sets, outside.items.select(item="index", set="set")])
    known = overlap.Items(pl.concat([overlap.grams_of(scanned.texts(items)), outside.grams]))
    shares = [known.found_in(texts) for texts in scanned.texts(rows.filter(without))] if known.any else []
    return (
        pl.concat([pl.DataFrame(schema={"index": pl.UInt32, "item": pl.UInt32, "share": pl.Float64}), *shares])
        .join(sets, on="item")
        .sort("share", "item", descending=[True, False])
        .unique(["index", "set"], keep="first", maintain_order=True)
        .sort("index", "set")
        .with_columns(
            kind=pl.when(pl.col("share") >= overlap.MIN_SHARE).then(pl.lit("overlap")).otherwise(pl.lit("passage")),
            score="share",
            transformation=pl.lit(""),
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
        {"source": row["source"], "set": evaluation[row["set"]].name, **{kind: row[kind] for kind in KINDS}}
        for row in counts.iter_rows(named=True)
    ]
