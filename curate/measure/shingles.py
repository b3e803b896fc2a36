"""Words and signs of a text, and hashes of runs of words: shingles for near-duplicates, n-grams for contamination."""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, as in Knuth's multiplicative hashing

_NO_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Han are written without blanks
_NUMBER = r"\d+(?:\.\d+)+"
_WORD = rf"[{_NO_SPACES}]|[^\W_{_NO_SPACES}]+"
_WORDS = re.compile(f"{_NUMBER}|{_WORD}")

_PUNCTUATION = re.escape(".,;:!?'\"`()[]{}_…·•‧・、。《》〈〉「」『』【】〔〕¿¡—―")
_SIGN = "|".join(
    (
        rf"(?<=\d)[{_PUNCTUATION}-](?=\d)|(?<=\d )[:-](?= \d)",  # `1,000`, `120-80`, `1 : 10`
        r"(?<=\d)['\"]|(?<!\w)\.(?=\d)",  # `the 5' end`, `.5 mg`
        r"(?<!\w)-(?=[\w.])|(?<=\w)-(?!\w)|-(?=(?:\w+[+-]){1,8}(?!\w))",  # `-5`, `HER2-`, `CD4-CD8+`; not `x-ray`
        r"(?<=[(/])-(?!\w)|(?<!\w)-(?=[),/;])",  # `Rh (-)`
        rf"[^\w\s{_PUNCTUATION}-]",
    )
)
_TOKENS = re.compile(f"{_NUMBER}|{_WORD}|{_SIGN}")
_TOKENS_AND_DASHES = re.compile(rf"{_NUMBER}|{_WORD}|{_SIGN}|(?<!\w)-|-(?!\w)")

_QUOTED = re.compile(r"(?<!\w)(?:\"([^\"]*)\"|'([^']*)'(?!\w))")
_OPEN_WORDS = "is are was were the of in on at by to for from with as due except"
_DASHES = re.compile(
    rf"--+(?!\d)|[:;]-(?!\S)|\b(?P<open>{'|'.join(_OPEN_WORDS.split())}) ?-(?!\w)"
)  # `The diagnosis is-`

_FINAL_DASH = re.compile(r"(?<=[^\W\d_]{6})-[\s.:?]*$")  # `... is caused by manifestations-`, not `... is HBsAg-`

MIN_WORDS_OF_SENTENCE = 4
"""In a shorter text, or one with a plus, a dash between blanks or at the end can be a minus: `Rh -`."""


def words(form: str) -> list[str]:
    """Give the words of a comparable text: runs of letters and digits, decimal numbers, single Han characters."""
    return _WORDS.findall(form)


def tokens(text: str) -> list[str]:
    """Give the words of a text in lower case and, between them, the signs that carry meaning.

    Punctuation carries none: `.,;:!?` and the like, brackets, quotation marks, hyphens between words, dashes between
    blanks. Between two digits it does, and so do a point or a minus before a number, a minus after a word, a prime
    after a number and all other signs (`+`, `<`, `%`, `/`). Quotation marks and hyphens are expected as ASCII.
    """
    if '"' in text or "'" in text:
        text = _QUOTED.sub(lambda match: f" {match[1] or match[2] or ''} ", text)
    if "-" not in text:
        return _TOKENS.findall(text)
    text = _DASHES.sub(lambda match: f"{match['open'] or ''} ", text)
    if "+" in text or len(text.split()) < MIN_WORDS_OF_SENTENCE:
        return _TOKENS_AND_DASHES.findall(text)
    return _TOKENS.findall(_FINAL_DASH.sub("", text))


def hash_words(texts: Sequence[Sequence[str]]) -> tuple[Hashes, NDArray[np.int64]]:
    """Hash the words of all texts: one array for all, and where in it each text begins, with the end as last.

    Equal words have equal hashes in every version and on every machine (BLAKE2b, 64 bits).
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    flat = np.fromiter((_hash(word) for text in texts for word in text), np.uint64, int(lengths.sum()))
    return flat, np.concatenate([[0], lengths.cumsum()])


@lru_cache(maxsize=1 << 18)
def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def hash_ngrams(flat: Hashes, starts: NDArray[np.int64], n: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Hash every run of `n` words within one text, from what `hash_words` gave; also give where each text begins."""
    counts = np.maximum(np.diff(starts) - (n - 1), 0)
    begins = np.concatenate([[0], counts.cumsum()])
    places = np.arange(begins[-1]) + np.repeat(starts[:-1] - begins[:-1], counts)
    runs = np.zeros(len(places), np.uint64)
    for offset in range(n):
        runs = (runs ^ flat[places + offset]) * _MULTIPLIER
        runs ^= runs >> np.uint64(29)
    return runs, begins
