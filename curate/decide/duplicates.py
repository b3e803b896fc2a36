"""Duplicates: records with the same images and the same text, and which of them survives."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from ..measure.minhash import BANDS
from ..measure.text_similarity import similarity
from .candidates import by_precedence, dropped
from .copy_search import Copies
from .image_copies import add_transformations
from .scan_texts import ScanTexts

MAX_COMPARED = 32
"""At most this many survivors of a shared band are compared with a record: boilerplate must not take quadratic time."""


def exact(rows: pl.DataFrame, copies: Copies, is_evaluation: pl.Expr) -> pl.DataFrame:
    """Drop all but one of the records with the same images, in order, and equal text (options and context included).

    The survivor is the first by `by_precedence`; the score is the lowest similarity of the images. Evaluation items
    take no part, since others score on them as they are.
    """
    first = [pl.col(name).first().over("image_cluster", "text_key") for name in ("index", "id")]
    keyed = by_precedence(rows.filter(~is_evaluation)).with_columns(survivor=first[0], name=first[1])
    hits = keyed.filter(pl.col("index") != pl.col("survivor")).select("index", "survivor", "name")
    hits = add_transformations(hits, rows, copies)
    return dropped(hits, "duplicate", pl.col("name"), *map(pl.col, ("similarity", "transformation", "relation")))


def near(
    rows: pl.DataFrame, copies: Copies, is_evaluation: pl.Expr, texts: ScanTexts, threshold: float
) -> pl.DataFrame:
    """Drop records that have the images of a survivor and a text with the same meaning (`text_similarity.similarity`).

    MinHash bands find candidates among records with the same images, and the texts decide. The score is the Jaccard
    similarity, at least `threshold`. Records are taken in the order of `by_precedence`; a dropped one drops no other.
    """
    block = ["image_cluster", "near_key"]
    eligible = rows.filter(~is_evaluation & pl.col("near_key").is_not_null()).filter(pl.len().over(block) > 1)
    ordered = by_precedence(eligible).with_row_index("place")
    signed = ordered.select("place", "index", *block).join(texts.signatures(ordered), on="index")
    bands = _shared_bands(signed.sort("place"), block)
    candidates = ordered.filter(pl.col("place").is_in(list(bands)))
    index = dict(candidates.select("place", "index").iter_rows())
    text_of = texts.lookup(candidates)

    def score(one: int, other: int) -> float | None:
        return similarity(text_of(index[one]), text_of(index[other]), threshold)

    schema = {"place": pl.UInt32, "survivor": pl.UInt32, "score": pl.Float64}
    found = pl.DataFrame(list(_near_duplicates(bands, score)), schema, orient="row")
    survivors = ordered.select("id", survivor="place", other="index")
    hits = found.join(ordered.select("place", "index"), on="place").join(survivors, on="survivor")
    hits = hits.sort("place").drop("survivor").rename({"other": "survivor"})
    hits = add_transformations(hits, rows, copies)
    return dropped(hits, "near-duplicate", pl.col("id"), *map(pl.col, ("score", "transformation", "relation")))


def _shared_bands(rows: pl.DataFrame, block: Sequence[str]) -> dict[int, list[int]]:
    """Give, by place, the numbers of the bands that a row shares with another row of its block, if any."""
    bands: defaultdict[int, list[int]] = defaultdict(list)
    key = [*block, "value"]
    for band in range(BANDS):
        banded = rows.select("place", *block, value=pl.col("minhash").list.get(band))
        shared = banded.filter(pl.len().over(key) > 1)
        numbers = shared.select(key).unique(maintain_order=True).with_row_index("number")
        for place, number in shared.join(numbers, on=key).select("place", "number").iter_rows():
            bands[place].append(number * BANDS + band)
    return bands


def _near_duplicates(
    bands: Mapping[int, Sequence[int]], score: Callable[[int, int], float | None]
) -> Iterator[tuple[int, int, float]]:
    """Give each place, in order, that duplicates an earlier survivor, with that survivor and the score."""
    survivors: defaultdict[int, list[int]] = defaultdict(list)
    for place in sorted(bands):
        rivals = sorted({rival for band in bands[place] for rival in survivors[band]})
        scored = ((rival, score(rival, place)) for rival in rivals)
        hit = next(((place, rival, value) for rival, value in scored if value is not None), None)
        if hit is not None:
            yield hit
            continue
        for band in bands[place]:
            if len(survivors[band]) < MAX_COMPARED:
                survivors[band].append(place)
