"""N-gram overlap of texts with evaluation items, as of GPT-3 (Brown et al. 2020, appendix C) but by share.

An item's n-grams are the runs of 13 words of its question and of its context, words as in `shingles`, in the
comparable form: case, punctuation and whitespace do not count. A field of 8 to 12 words is one n-gram; a shorter one
has none, since short runs collide by chance. A text's share of an item is the largest share, over the item's fields,
of a field's n-grams that occur in the text.

GPT-3 and lm-evaluation-harness count one shared n-gram as a leak. Exam questions share boilerplate ("which of the
following is the most appropriate next step in the management of this patient" has 16 words): of 500 MedQA test
questions 88 share a 13-gram with another one, the largest share being 0.2. So a leak is half of the item.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..measure.shingles import Hashes, hash_ngrams, hash_words, words
from ..measure.text import comparable

N = 13
MIN_WORDS = 8
MIN_SHARE = 0.5

_ITEM_FIELDS = ("question", "context")
_TEXT_FIELDS = ("question", "answer", "context", "explanation")
_BATCH = 2_000

_OWNED = pl.Schema({"index": pl.UInt32, "n": pl.Int32, "gram": pl.UInt64})
GRAMS = pl.Schema({"item": pl.UInt32, "field": pl.String, "n": pl.Int32, "gram": pl.UInt64})
"""The hashed n-grams of evaluation items, by field."""

SHARES = pl.Schema({"index": pl.UInt32, "set": pl.Int32, "item": pl.UInt32, "share": pl.Float64})

MAX_MATCHES = 4_000_000
"""Pairs of n-grams, of texts and of items, that are held at once; those of one text may be more."""


class ItemGrams:
    """The n-grams of evaluation items, to find in other texts.

    No n-gram is left out, however common: fields with the same n-grams are looked up as one, and what remains is
    matched in runs of texts that share a bounded number of n-grams with items. So boilerplate costs time, not memory.
    """

    def __init__(self, grams: pl.DataFrame, sets: pl.DataFrame) -> None:
        """Index the items' n-grams, `GRAMS`; `sets` has the `set` of each `item`."""
        fields = (
            grams.unique()
            .sort("gram")
            .group_by("item", "field", "n", maintain_order=True)
            .agg("gram")
            .join(sets, on="item")
            .group_by("set", "n", "gram")
            .agg(pl.col("item").min())  # the first item counts of those that share as much
            .with_row_index("number")
        )
        self._fields = fields.select("number", "set", "item", size=pl.col("gram").list.len())
        self._grams = fields.select("number", "n", "gram").explode("gram")
        self._common = self._grams.group_by("n", "gram").agg(fields=pl.len())
        self._lengths = sorted(self._grams["n"].unique())

    @property
    def is_empty(self) -> bool:
        """Whether no item has an n-gram."""
        return self._grams.is_empty()

    def shares(self, texts: pl.DataFrame) -> pl.DataFrame:
        """Give `SHARES` of the texts that contain n-grams of items: for each set the first item of the largest share.

        Shares are above 0 and at most 1.
        """
        batches = [self._shares(texts[start : start + _BATCH]) for start in range(0, texts.height, _BATCH)]
        return pl.concat([pl.DataFrame(schema=SHARES), *batches])

    def _shares(self, texts: pl.DataFrame) -> pl.DataFrame:
        owners, tokens = _tokens(texts)
        flat, starts = hash_words(tokens)
        grams = pl.concat([pl.DataFrame(schema=_OWNED), *(_grams(flat, starts, owners, n) for n in self._lengths)])
        shared = grams.join(self._common, on=["n", "gram"]).unique(["index", "n", "gram"]).sort("index")
        matches = shared.group_by("index", maintain_order=True).agg(pl.len(), matches=pl.col("fields").sum())
        before = pl.col("matches").cum_sum() - pl.col("matches")
        runs = matches.select("len", run=before // MAX_MATCHES).group_by("run", maintain_order=True).sum()
        ends = runs["len"].cum_sum()
        parts = [shared[end - length : end] for end, length in zip(ends, runs["len"], strict=True)]
        return pl.concat([pl.DataFrame(schema=SHARES), *map(self._best, parts)])

    def _best(self, shared: pl.DataFrame) -> pl.DataFrame:
        return (
            shared.join(self._grams, on=["n", "gram"])
            .group_by("index", "number")
            .agg(found=pl.len())
            .join(self._fields, on="number")
            .select("index", "set", "item", share=pl.col("found") / pl.col("size"))
            .sort("share", "item", descending=[True, False])
            .unique(["index", "set"], keep="first", maintain_order=True)
            .sort("index", "set")
        )


def grams_of(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Give the n-grams, `GRAMS`, of items from their texts (`ScanTexts.texts`)."""
    return pl.concat([pl.DataFrame(schema=GRAMS), *map(_grams_of_items, frames)])


def _grams_of_items(items: pl.DataFrame) -> pl.DataFrame:
    frames = [pl.DataFrame(schema=GRAMS)]
    for field in _ITEM_FIELDS:
        tokens = [words(comparable(text)) for text in items[field]]
        lengths = np.minimum(list(map(len, tokens)), N) if tokens else np.empty(0, int)
        for n in range(MIN_WORDS, N + 1):
            chosen = np.flatnonzero(lengths == n)
            flat, starts = hash_words([tokens[place] for place in chosen])
            owned = _grams(flat, starts, items["index"].to_numpy()[chosen], n)
            frames.append(owned.select(item="index", field=pl.lit(field), n="n", gram="gram"))
    return pl.concat(frames)


def _tokens(rows: pl.DataFrame) -> tuple[NDArray[np.uint32], list[list[str]]]:
    """Give the index of the row of each text, each option being one, and the words of all texts."""
    each = [(rows["index"].to_numpy(), rows[field].to_list()) for field in _TEXT_FIELDS]
    options = rows.select("index", "choices").explode("choices").drop_nulls()
    each.append((options["index"].to_numpy(), options["choices"].to_list()))
    tokens = [words(comparable(text)) for _, texts in each for text in texts]
    return np.concatenate([owners for owners, _ in each]), tokens


def _grams(flat: Hashes, starts: NDArray[np.int64], owners: NDArray[np.uint32], n: int) -> pl.DataFrame:
    runs, begins = hash_ngrams(flat, starts, n)
    owned = np.repeat(owners, np.diff(begins))
    return pl.DataFrame({"index": owned, "n": np.full(len(runs), n), "gram": runs}, schema=_OWNED)
