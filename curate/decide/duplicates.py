"""Duplicates: records with the same images and the same text, and which of them survives."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from ..measure.minhash import BANDS
from ..measure.text_similarity import similarity
from .candidates import PRECEDENCE, by_precedence, dropped
from .copy_search import Copies
from .image_copies import add_transformations
from .partitions import by_key
from .scan_texts import ScanTexts

MAX_COMPARED = 32
"""At most this many survivors of a shared band are compared with a record: boilerplate must not take quadratic time."""

_BLOCK = ("image_cluster", "near_key")
"""Records with equal ones of these may be near-duplicates."""


def exact(
    rows: pl.DataFrame, copies: Copies, is_evaluation: pl.Expr, owners: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Drop all but one of the records with the same images, in order, and equal text (options and context included).

    The survivor is the first by `by_precedence`; the score is the lowest similarity of the images. Evaluation items
    take no part, since others score on them as they are. `owners` as in `add_transformations`.
    """
    key = ["image_cluster", "text_key"]
    repeated = rows.lazy().filter(~is_evaluation).filter(pl.len().over(key) > 1)
    ordered = by_precedence(repeated.select(*key, *PRECEDENCE, "index").collect())
    first = [pl.col(name).first().over(key) for name in ("index", "id")]
    keyed = ordered.with_columns(survivor=first[0], name=first[1])
    hits = keyed.filter(pl.col("index") != pl.col("survivor")).select("index", "survivor", "name")
    hits = add_transformations(hits, rows, copies, owners)
    return dropped(hits, "duplicate", pl.col("name"), *map(pl.col, ("similarity", "transformation", "relation")))


def near(
    table: pl.DataFrame,
    copies: Copies,
    is_evaluation: pl.Expr,
    texts: ScanTexts,
    threshold: float,
    owners: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Drop records that have the images of a survivor and a text with the same meaning (`text_similarity.similarity`).

    MinHash bands find candidates among records with the same images, and the texts decide. The score is the Jaccard
    similarity, at least `threshold`. Records are taken in the order of `by_precedence`; a dropped one drops no other.
    The table has all rows, by `index`; those with a reason take no part. `owners` as in `add_transformations`.
    """
    columns = ("index", "scan", "scan_row", "source", "images", "representatives", *_BLOCK, *PRECEDENCE)
    is_eligible = (pl.col("reason") == "") & ~is_evaluation & pl.col("near_key").is_not_null()
    places = table.select(*_BLOCK, "index", is_eligible=is_eligible)
    several = by_key(places, "near_key", pl.col("is_eligible"), _with_rivals)["index"].sort()
    eligible = table.select(columns)[several]
    # the parts are of eligible rows alone, since each part reads the texts of its rows
    return by_key(eligible, "near_key", pl.lit(True), lambda part: _near(part, copies, texts, threshold, owners))


def _with_rivals(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.len().over(_BLOCK) > 1).select("index")


def _near(
    rows: pl.DataFrame, copies: Copies, texts: ScanTexts, threshold: float, owners: pl.DataFrame | None
) -> pl.DataFrame:
    """Find near-duplicates among rows of whole blocks."""
    ordered = by_precedence(rows).with_row_index("place")
    signed = ordered.select("place", "index", *_BLOCK).join(texts.signatures(ordered), on="index")
    bands = _shared_bands(signed.sort("place"), _BLOCK)
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
    hits = add_transformations(hits, rows, copies, owners)
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
