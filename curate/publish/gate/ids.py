"""Ids of MIMIC-CXR in texts, names, bytes and numbers: by their shape, and the numbers that the local mix knows.

Patients are p10000032 or 10000032, studies s50414267 or 50414267, films five groups of eight hex digits. A number
without its letter looks like any other number of eight digits, so it is forbidden only if the mix has it.
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

SHAPE = re.compile(
    rb"(?<![A-Za-z0-9])(?:p1\d{7}|s5\d{7}|mimic[_-]cxr/[ps]?\d{7,8}|(?:[0-9a-f]{8}[-_]){4}[0-9a-f]{8})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
"""Ids of patients, studies and films with their letters, and ids of records."""

PREFIXES = (
    *(re.compile(prefix + rb"[0-9]{7}") for prefix in (b"p1", b"P1", b"s5", b"S5", b"/[psPS]?")),
    *(re.compile(sign + rb"[0-9a-fA-F]{8}" + sign) for sign in (b"-", b"_")),
)
"""Each match of `SHAPE` contains a match of one of these. They begin with fixed bytes, so that searching images for
them is thirty times as fast."""

_NUMBER = re.compile(rb"(?<![0-9A-Za-z])(?<!\d\.)[15]\d{7}(?![0-9A-Za-z])")
_OF_ARTICLE = re.compile(rb"(?:PMID:? ?|pubmed[\w.]*/)$", re.IGNORECASE)
"""What stands before the number of an article in PubMed, which has the shape of a patient's number."""

_ARTICLE_BYTES = 40
_DIGITS = re.compile(rb"[15]\d{7}")
_IN_TEXT = re.compile(r"(?<![0-9])[15]\d{7}(?![0-9])")


def numbers_in(texts: Iterator[str]) -> Numbers:
    """Collect the numbers of patients and studies in ids, groups and paths of credentialed records, sorted."""
    return np.unique(np.array([int(number) for text in texts for number in _IN_TEXT.findall(text)], np.int64))


def find(content: bytes, known: Numbers) -> Iterator[int]:
    """Give the places of ids in a text: of all shapes, and of the known numbers."""
    for match in SHAPE.finditer(content):
        yield match.start()
    if len(known):
        for match in _NUMBER.finditer(content):
            start = match.start()
            of_article = _OF_ARTICLE.search(content[max(0, start - _ARTICLE_BYTES) : start])
            if not of_article and is_known(int(match[0]), known):
                yield start


def is_known(number: int, known: Numbers) -> bool:
    """Whether a number is that of a patient or study of the mix."""
    place = int(np.searchsorted(known, number))
    return place < len(known) and int(known[place]) == number


def may_contain(data: bytes | memoryview, with_numbers: bool) -> bool:
    """Whether `find` can find anything in values that stand here one after another, with nothing between them."""
    return any(one.search(data) for one in PREFIXES) or (with_numbers and _DIGITS.search(data) is not None)
