"""Phrases of withheld reports in other texts: runs of `WORDS` words, compared by their hashes.

Two reports may share a phrase, and so may a caption: stock phrases are no leak. A phrase is stock if the texts of
`STOCK_SOURCES` sources of the mix have it whose reports it is not of, and if no more than `STOCK_WORDS` words in a row
are equal.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...measure.shingles import Hashes, hash_ngrams, hash_words, words
from ...measure.text import comparable
from . import readable

WORDS: Final = 8
STOCK_SOURCES: Final = 2
STOCK_WORDS: Final = 15

_LEAST_CHARACTERS: Final = 2 * WORDS - 1
_RUN: Final = re.compile(rb"[\x20-\x7e]{24,}")
_WIDE_RUNS: Final = {
    "utf-16-le": re.compile(rb"(?:[\x20-\x7e]\x00){24,}"),
    "utf-16-be": re.compile(rb"(?:\x00[\x20-\x7e]){24,}"),
}
"""Printable signs in bytes, in ASCII and in UTF-16: coded pixels have no runs as long."""


class Hit(NamedTuple):
    """A phrase of a report in a text.

    Attributes:
        place: the number of the text.
        source: the source of the report.
        words: how many words in a row are equal, at least `WORDS`.
        phrases: hashes of the phrases.
    """

    place: int
    source: str
    words: int
    phrases: frozenset[int]


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of the reports of each source, hashes sorted ascending."""

    of_source: Mapping[str, Hashes]

    def find(self, texts: Sequence[str]) -> list[Hit]:
        """Find phrases in texts, in every form in which these can be read."""
        sources = {name: known for name, known in self.of_source.items() if len(known)}
        long = [place for place, text in enumerate(texts) if len(text) >= _LEAST_CHARACTERS] if sources else []
        searched = [(place, form) for place in long for form in readable.forms(texts[place])]
        chosen = [place for place, _ in searched]
        hashes, starts = hashes_of([form for _, form in searched])
        hits = []
        for name, known in sources.items():
            found = np.isin(hashes, known)
            for number in np.unique(np.searchsorted(starts, np.flatnonzero(found), "right") - 1):
                part = slice(starts[number], starts[number + 1])
                phrases = frozenset(hashes[part][found[part]].tolist())
                hits.append(Hit(chosen[number], name, _longest_run(found[part]) + WORDS - 1, phrases))
        return hits


def hashes_of(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """Give the hashes of the phrases of all texts, and where those of each text begin, with the end as last."""
    flat, starts = hash_words([words(comparable(readable.plain(text))) for text in texts])
    return hash_ngrams(flat, starts, WORDS)


def _longest_run(found: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], found, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max())


def stock(hits: Iterable[Hit], others: Mapping[str, Hashes]) -> frozenset[int]:
    """Give the phrases of these hits that are stock; `others` has all phrases of each source's texts."""
    wanted: dict[int, set[str]] = {}
    for hit in hits:
        for phrase in hit.phrases:
            wanted.setdefault(phrase, set()).add(hit.source)
    counts = dict.fromkeys(wanted, 0)
    asked = np.array(sorted(wanted), np.uint64)
    for source, known in others.items():
        for phrase in asked[np.isin(asked, known)].tolist():
            counts[phrase] += source not in wanted[phrase]
    return frozenset(phrase for phrase, count in counts.items() if count >= STOCK_SOURCES)


def is_leak(hit: Hit, stock_phrases: frozenset[int]) -> bool:
    """Whether a hit is more than a stock phrase."""
    return hit.words > STOCK_WORDS or not hit.phrases <= stock_phrases


@lru_cache(maxsize=64)
def texts_of_bytes(data: bytes) -> list[str]:
    """Give the printable texts in the bytes of an image."""
    found = [run.decode("ascii") for run in _RUN.findall(data)]
    return [*found, *(run.decode(code) for code, runs in _WIDE_RUNS.items() for run in runs.findall(data))]
