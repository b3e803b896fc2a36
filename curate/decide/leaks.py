"""Matches between records and the evaluation sets that the mixture names, by kind of match."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from ..mixture import CopyRule, EvaluationSet
from . import overlap
from .candidates import UNREADABLE_STAGES, is_one_of, with_digests
from .copy_rule import counts
from .copy_search import Copies
from .image_copies import in_both_directions
from .partitions import by_rows
from .scan_texts import ScanTexts

KINDS = (
    "image",
    "near-duplicate",
    "panel",
    "image-overlap",
    "text",
    "overlap",
    "sequence",
    "group",
    "same-question-answer",
    "ngram-match",
)
"""How a record matches an evaluation set, the closest match first:

- `image`: equal pixels, whatever the question; always a leak.
- `near-duplicate`: an altered copy of an image, confirmed by its pixels; always a leak.
- `panel`: an image is a part of the other.
- `image-overlap`: two images show a part of each other.
- `text`: both without images, with equal question and answer; always a leak.
- `overlap`: both without images; the record contains at least half of the item (`overlap`); always a leak.
- `sequence`: two images are neighbours of a volume or a clip.
- `group`: of the same patient, study, article or case; no leak.
- `same-question-answer`: equal question and answer on another image; no leak.
- `ngram-match`: both without images; the record contains an n-gram of the item and less than half of it; no leak.
"""

BY_RULE = ("panel", "image-overlap", "sequence")
"""The kinds that are leaks as far as the mixture's `copies.leaks` says so."""

_IMAGE_KINDS = {"copy": "near-duplicate", "panel": "panel", "overlap": "image-overlap", "sequence": "sequence"}
"""Kind of relation between two images -> kind of match."""

MatrixRow: TypeAlias = dict[str, Any]
"""A row of `matrix`."""

_SCHEMA: Mapping[str, pl.DataType] = {
    "index": pl.UInt32(),
    "set": pl.Int32(),
    "kind": pl.Enum(KINDS),
    "item": pl.UInt32(),
    "score": pl.Float64(),
    "transformation": pl.String(),
    "relation": pl.String(),
    "leak": pl.Boolean(),
}

_ITEM = ("index", "images", "group", "question_answer_key")
_PLACE = ("scan", "scan_row", "source", "upstream_split", "split", "stage")
_NOT_TEST = pl.col("split") != "test"
_HAS_IMAGE = pl.col("images").list.len() > 0
_IS_TEXT = ~_HAS_IMAGE & ~pl.col("stage").is_in(UNREADABLE_STAGES)
_NO_IMAGE = {"transformation": pl.lit(""), "relation": pl.lit("")}
_NO_SCORE = pl.lit(None, pl.Float64)


@dataclass(frozen=True, slots=True)
class ExternalItems:
    """The items of evaluation sets that are no source of the mixture (`evaluationsets`), numbered after its rows.

    Attributes:
        items: `index`, `set` (position in the mixture's `evaluation`), `id`, `images`, `group` and
            `question_answer_key` as in the table of candidates; their images are numbered after its images.
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


NO_EXTERNAL_ITEMS = ExternalItems(pl.DataFrame(schema=pl.Schema(ITEMS)), pl.DataFrame(schema=overlap.GRAMS))


def is_evaluation(evaluation: Sequence[EvaluationSet]) -> pl.Expr:
    """Give an expression that is true for rows of the named evaluation sets, by upstream's own split."""
    return is_one_of([(item.source, item.split) for item in evaluation if item.source])


def images_to_compare(
    decided: pl.DataFrame, evaluation: Sequence[EvaluationSet], external: ExternalItems
) -> tuple[pl.Series, pl.Series]:
    """Give the images of the kept records that must not match, and the images of the evaluation items."""
    kept = decided.filter((pl.col("outcome") == "kept") & ~is_evaluation(evaluation) & (pl.col("split") != "test"))
    items = pl.concat([decided.filter(is_evaluation(evaluation))["images"], external.items["images"]])
    return kept["images"].explode().drop_nulls(), items.explode().drop_nulls()


def find_matches(
    rows: pl.DataFrame,
    everything: pl.DataFrame,
    evaluation: Sequence[EvaluationSet],
    texts: ScanTexts,
    copies: Copies,
    external: ExternalItems,
    rule: CopyRule,
    is_matched: pl.Expr = _NOT_TEST,
) -> pl.DataFrame:
    """Match `rows` with the items of `everything` and with external items: one line per row, set and kind.

    Columns: `index`, `set` (position in `evaluation`), `kind`, `item` (index of the first item, in reading order, or
    of the most similar one), `score` (similarity of the images, or share of the item that the record contains; null
    for exact matches), `transformation` and `relation` (how the record's image was made of the item's, as in
    `DROPS`), `leak` (whether the match is a leak; `rule` decides it of related images). Items count even if they are
    dropped; evaluation items themselves, rows that a stage has dropped and rows that are not `is_matched` have no
    matches.
    """
    wanted = (pl.col("reason") == "") & is_matched & ~is_evaluation(evaluation)
    altered = in_both_directions(copies).with_columns(leak=counts(rule))
    sets = []
    for place, item in enumerate(evaluation):
        if item.source:
            items = everything.lazy().filter(is_evaluation([item])).select(*_ITEM, "reason").collect()
            sets.append((place, items, items.filter(pl.col("reason") != "unparsable-row")))
        else:
            items = with_digests(external.items, rows).filter(pl.col("set") == place)
            sets.append((place, items, items))
    grams = _item_grams(everything, evaluation, texts, external)

    def match(part: pl.DataFrame) -> pl.DataFrame:
        mine = part.filter(wanted)
        found = [pl.DataFrame(schema=_SCHEMA)]
        for place, items, readable in sets:
            matches = [*_match_images(mine, items, copies, altered), *_match_keys(mine, items, readable)]
            found += [match.with_columns(set=pl.lit(place)) for match in matches]
        found.append(_match_ngrams(mine, grams, texts))
        return pl.concat([match.select(list(_SCHEMA)).cast(pl.Schema(_SCHEMA)) for match in found])

    return by_rows(rows.select(*_ITEM, *_PLACE, "reason"), match)


def match_validation(
    table: pl.DataFrame, evaluation: Sequence[EvaluationSet], texts: ScanTexts, copies: Copies, rule: CopyRule
) -> tuple[pl.DataFrame, list[EvaluationSet]]:
    """Match the training records that no stage has dropped with such validation records of each source.

    Gives the columns of `find_matches`, and the validation splits, which `set` counts; those that `evaluation` names
    are left out.
    """
    named = {item.name for item in evaluation}
    placed = table.with_columns(upstream_split="split")
    items = placed.lazy().filter((pl.col("reason") == "") & (pl.col("split") == "validation"))
    kept = items.select(*_ITEM, *_PLACE, "reason").collect()
    sources = kept["source"].unique(maintain_order=True)
    splits = [EvaluationSet(source=source, split="validation", leaks="report") for source in sources]
    splits = [split for split in splits if split.name not in named]
    training = pl.col("split") == "train"
    return find_matches(placed, kept, splits, texts, copies, NO_EXTERNAL_ITEMS, rule, training), splits


def _match_images(rows: pl.DataFrame, items: pl.DataFrame, copies: Copies, altered: pl.DataFrame) -> list[pl.DataFrame]:
    """Match by images, once per row: by equal pixels, else by a leak, the closest kind, the most similar item."""
    originals = items.select(item="index", original="images").explode("original").drop_nulls()
    originals = originals.with_columns(copies.leader(pl.col("original")))
    first = originals.unique("original", keep="first", maintain_order=True)
    images = rows.select("index", image="images").explode("image").drop_nulls()
    images = images.with_columns(copies.leader(pl.col("image")))
    same = images.join(first, left_on="image", right_on="original", maintain_order="left")
    equal = same.select("index", "item").sort("index", "item").unique("index", keep="first", maintain_order=True)
    near = (
        images.join(altered, on="image")
        .join(first, on="original")
        .join(equal, on="index", how="anti")
        .sort("index", "leak", "kind", "similarity", "item", descending=[False, True, False, True, False])
        .unique("index", keep="first", maintain_order=True)
        .with_columns(
            kind=pl.col("kind").cast(pl.String).replace_strict(_IMAGE_KINDS), score="similarity", relation="kind"
        )
    )
    same_pixels = {"kind": pl.lit("image"), "leak": pl.lit(True), "score": _NO_SCORE, "relation": pl.lit("equal")}
    return [equal.with_columns(transformation=pl.lit(""), **same_pixels), near]


def _match_keys(rows: pl.DataFrame, items: pl.DataFrame, readable: pl.DataFrame) -> list[pl.DataFrame]:
    """Match by equal question and answer, and by group."""
    key = "question_answer_key"
    return [
        _match_key(rows.filter(~_HAS_IMAGE), readable, key, "text"),
        _match_key(rows.filter(pl.col("group") != ""), items, "group", "group"),
        _match_key(rows.filter(_HAS_IMAGE), readable, key, "same-question-answer"),
    ]


def _match_key(rows: pl.DataFrame, items: pl.DataFrame, key: str, kind: str) -> pl.DataFrame:
    first = items.drop_nulls(key).group_by(key, maintain_order=True).agg(item=pl.col("index").first())
    matched = rows.join(first, on=key, maintain_order="left")
    found = {"kind": pl.lit(kind), "leak": pl.lit(kind == "text"), "score": _NO_SCORE}
    return matched.select("index", "item", **found, **_NO_IMAGE)


def _item_grams(
    everything: pl.DataFrame, evaluation: Sequence[EvaluationSet], texts: ScanTexts, external: ExternalItems
) -> overlap.ItemGrams:
    """Give the n-grams of the items without images."""
    items = everything.lazy().filter(_IS_TEXT & is_evaluation(evaluation)).select("index", *_PLACE).collect()
    sets = pl.concat([_sets_of(items, evaluation), external.items.select(item="index", set="set")])
    return overlap.ItemGrams(pl.concat([overlap.grams_of(texts.texts(items)), external.grams]), sets)


def _match_ngrams(rows: pl.DataFrame, grams: overlap.ItemGrams, texts: ScanTexts) -> pl.DataFrame:
    """Match rows without images by n-gram overlap, with the most similar item without images of each set."""
    shares = [] if grams.is_empty else [grams.shares(part) for part in texts.texts(rows.filter(_IS_TEXT))]
    is_leak = pl.col("share") >= overlap.MIN_SHARE
    kind = pl.when(is_leak).then(pl.lit("overlap")).otherwise(pl.lit("ngram-match"))
    found = pl.concat([pl.DataFrame(schema=overlap.SHARES), *shares]).sort("index", "set")
    return found.with_columns(kind=kind, leak=is_leak, score="share", **_NO_IMAGE)


def _sets_of(items: pl.DataFrame, evaluation: Sequence[EvaluationSet]) -> pl.DataFrame:
    """Give `item` and `set` of evaluation items of the mixture's sources."""
    place = pl.lit(None, pl.Int32)
    for number, item in enumerate(evaluation):
        place = pl.when(is_evaluation([item])).then(pl.lit(number, pl.Int32)).otherwise(place)
    return items.select(item="index", set=place)


def matrix(matches: pl.DataFrame, everything: pl.DataFrame, evaluation: Sequence[EvaluationSet]) -> list[MatrixRow]:
    """Count the matching records for each source and set, by kind; sources in reading order.

    A record counts once per kind; one with an equal text does not also count as `overlap`. `leaks` of a row counts
    those that are leaks, for each kind that has any.
    """
    has_text = pl.col("kind").eq("text").any().over("index", "set")
    counted = (
        matches.filter(~((pl.col("kind") == "overlap") & has_text))
        .join(everything.select("index", "source", "rank"), on="index")
        .group_by("rank", "source", "set")
        .agg(
            *((pl.col("kind") == kind).sum().alias(kind) for kind in KINDS),
            *(((pl.col("kind") == kind) & pl.col("leak")).sum().alias(f"{kind} leaks") for kind in KINDS),
        )
        .sort("rank", "set")
    )
    return [
        {
            "source": row["source"],
            "set": evaluation[row["set"]].name,
            **{kind: row[kind] for kind in KINDS},
            "leaks": {kind: row[f"{kind} leaks"] for kind in KINDS if row[f"{kind} leaks"]},
        }
        for row in counted.iter_rows(named=True)
    ]
