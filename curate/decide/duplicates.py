"""Duplicates: records that say the same of the same images, and which of them survives."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from ..measure.minhash import BANDS
from ..measure.text_similarity import similarity
from .candidates import by_precedence, dropped
from .imagecopies import told
from .scantexts import ScanTexts

MAX_COMPARED = 32
"""With as many of the survivors that share a band a record is compared: boilerplate must not cost the square."""


def exact(rows: pl.DataFrame, copies: pl.DataFrame, spared: pl.Expr) -> pl.DataFrame:
    """Drop all but one of the records with the same images, in order, and equal text (options and context included).

    The survivor is the first by `by_precedence`; the score is the least likeness of the images. Rows that are
    `spared` (evaluation items, which others score on as they are) take no part.
    """
    first = [pl.col(name).first().over("image_cluster", "text_key") for name in ("index", "id")]
    keyed = by_precedence(rows.filter(~spared)).with_columns(survivor=first[0], name=first[1])
    hits = told(keyed.filter(pl.col("index") != pl.col("survivor")), rows, copies)
    return dropped(hits, "duplicate", pl.col("name"), pl.col("likeness"), pl.col("transformation"))


def near(
    rows: pl.DataFrame, copies: pl.DataFrame, spared: pl.Expr, scanned: ScanTexts, threshold: float
) -> pl.DataFrame:
    """Drop records whose images are those of a survivor and whose text says the same (`text_similarity.similarity`).

    MinHash bands propose, within the same images, and the texts decide; the score is the Jaccard similarity,
    `threshold` at least. Records come in the order of precedence of `exact`; one that is dropped drops no other.
    """
    block = ["image_cluster", "near_key"]
    able = rows.filter(~spared & pl.col("near_key").is_not_null()).filter(pl.len().over(block) > 1)
    ordered = by_precedence(able).with_row_index("place")
    signed = ordered.select("place", "index", *block).join(scanned.signatures(ordered), on="index")
    buckets = _shared_bands(signed.sort("place"), block)
    proposed = ordered.filter(pl.col("place").is_in(list(buckets)))
    index = dict(proposed.select("place", "index").iter_rows())
    texts = scanned.lookup(proposed)

    def score(one: int, other: int) -> float | None:
        return similarity(texts(index[one]), texts(index[other]), threshold)

    stars = list(_stars(buckets, score))
    found = pl.DataFrame(stars, {"place": pl.UInt32, "survivor": pl.UInt32, "score": pl.Float64}, orient="row")
    names = ordered.select("id", "place", other="index")
    hits = found.join(ordered.select("place", "index"), on="place").join(names, left_on="survivor", right_on="place")
    hits = told(hits.sort("place").drop("survivor").rename({"other": "survivor"}), rows, copies)
    return dropped(hits, "near-duplicate", pl.col("id"), pl.col("score"), pl.col("transformation"))


def _shared_bands(rows: pl.DataFrame, block: Sequence[str]) -> dict[int, list[int]]:
    """Give, by place, the numbers of the bands that a row shares with another of its block, where there is one."""
    buckets: defaultdict[int, list[int]] = defaultdict(list)
    key = [*block, "value"]
    for band in range(BANDS):
        banded = rows.select("place", *block, value=pl.col("minhash").list.get(band))
        shared = banded.filter(pl.len().over(key) > 1)
        numbers = shared.select(key).unique(maintain_order=True).with_row_index("bucket")
        for place, bucket in shared.join(numbers, on=key).select("place", "bucket").iter_rows():
            buckets[place].append(bucket * BANDS + band)
    return buckets


def _stars(
    buckets: Mapping[int, Sequence[int]], score: Callable[[int, int], float | None]
) -> Iterator[tuple[int, int, float]]:
    """Go through places in order and give those that fall to an earlier one that did not, with it and the score."""
    survivors: defaultdict[int, list[int]] = defaultdict(list)
    for place in sorted(buckets):
        rivals = sorted({rival for bucket in buckets[place] for rival in survivors[bucket]})
        scored = ((rival, score(rival, place)) for rival in rivals)
        hit = next(((place, rival, value) for rival, value in scored if value is not None), None)
        if hit is not None:
            yield hit
            continue
        for bucket in buckets[place]:
            if len(survivors[bucket]) < MAX_COMPARED:
                survivors[bucket].append(place)
