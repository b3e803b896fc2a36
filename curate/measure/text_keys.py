"""Measure the texts of records: keys for equal texts, and a signature that finds similar ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from . import minhash
from .shingles import hash_ngrams, hash_words
from .text import comparable, digest
from .text_similarity import SHINGLE, Text

_PART_SALTS = np.array([0x9AE16A3B2F90404F, 0xC949C7DEFD6D4C1B, 0xB492B66FBE98F273, 0x8F5A3D0E77C1F6A9], np.uint64)
"""Added to the hashes of each part's shingles, so that an answer is never taken for a question."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one record."""

    question: str
    answer: str
    context: str
    choices: Sequence[str]

    def parts(self) -> tuple[Text, Text, Text, Text]:
        """Give the four texts that are compared one by one; the options are joined, sorted."""
        options = "\n".join(sorted(self.choices, key=comparable))
        return Text(self.question), Text(self.answer), Text(self.context), Text(options)


@dataclass(frozen=True, slots=True)
class TextKeys:
    """The columns of a scan that are measured on texts.

    Attributes:
        text_key: equal for records whose texts are all equal, options in order; 32 hex digits.
        question_answer_key: of question and answer alone.
        question_key: 64 bits, of all but the answer; None without a question.
        near_key: 64 bits, equal for all records that can mean the same (`text_similarity`); None where no text is long.
        minhash: the bands of the long texts' shingles; empty where no text is long.
    """

    text_key: str
    question_answer_key: str
    question_key: int | None
    near_key: int | None
    minhash: list[int]


COLUMNS = {
    "text_key": pl.String(),
    "question_answer_key": pl.String(),
    "question_key": pl.UInt64(),
    "near_key": pl.UInt64(),
    "minhash": pl.List(pl.UInt32),
}
"""The attributes of `TextKeys`, as columns of a table."""


def measure_texts(records: Sequence[Texts]) -> list[TextKeys]:
    """Measure the texts of records, some hundreds or thousands at once."""
    parts = [record.parts() for record in records]
    signatures = _signatures(parts)
    return [_text_keys(*each) for each in zip(records, parts, signatures, strict=True)]


def _text_keys(record: Texts, parts: Sequence[Text], signature: list[int]) -> TextKeys:
    question, answer, context, options = (part.form for part in parts)
    choices = [Text(choice).form for choice in record.choices]
    return TextKeys(
        text_key=digest(question, answer, context, *choices),
        question_answer_key=digest(question, answer),
        question_key=_number(question, context, options) if question else None,
        near_key=_number(*map(_certain_part, parts)) if signature else None,
        minhash=signature,
    )


def _certain_part(part: Text) -> str:
    """Give the part of a text that is equal in all texts of the same meaning."""
    return f"long {part.critical}" if part.is_long else part.form


def _number(*parts: str) -> int:
    return int(digest(*parts)[:16], 16)


def _signatures(records: Sequence[Sequence[Text]]) -> list[list[int]]:
    long = [(record, place) for record, parts in enumerate(records) for place, part in enumerate(parts) if part.is_long]
    runs, starts = hash_ngrams(*hash_words([records[record][place].words for record, place in long]), SHINGLE)
    runs = runs + np.repeat(_PART_SALTS[[place for _, place in long]], np.diff(starts))
    owners, firsts = np.unique(np.array([record for record, _ in long], np.int64), return_index=True)
    table = minhash.bands(runs, np.append(starts[firsts], starts[-1]))
    signatures: list[list[int]] = [[] for _ in records]
    for owner, row in zip(owners.tolist(), table.tolist(), strict=True):
        signatures[owner] = row
    return signatures
