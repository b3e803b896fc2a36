"""The record: the common type of all modules of curate, with the vocabularies of its fields."""

from dataclasses import dataclass
from typing import Literal

TASKS = ("caption", "report", "vqa", "mcqa", "qa")

QUESTION_TASKS = ("vqa", "mcqa", "qa")
"""Tasks whose records have a question; records of the others have images and a text about them."""

Section = Literal["findings", "impression"]
"""The sections of a radiology report that a mixture can select."""

SPLITS = ("train", "validation", "test")

VERDICTS = ("redistributable", "research-only", "credentialed", "unclear")

REASONS = {
    "unparsable-row": "the upstream row lacks a field or cannot be read",
    "missing-image": "the image file that the row names is not there",
    "unsafe-path": "the image name leads out of the source's folder",
    "unreadable-image": "the image bytes are empty, cut short, broken or of no known format",
    "broken-metadata": "the pixels of the image are whole, but its metadata is broken, so that readers refuse the file",
    "uniform-image": "all pixels of the image have one brightness",
    "too-many-pixels": "the image header claims more pixels than the mixture's budget",
    "too-small": "a side of the image is shorter than the mixture's minimum",
    "empty-text": "the answer, or the question of a task that has one, is empty or says nothing (`XXXX`, `nan`)",
    "no-answer": "upstream does not publish the answer of this row",
    "language": "the language is not among those that the mixture keeps",
    "licence": "the mixture's licence policy leaves this licence out",
    "split-excluded": "the mixture excludes this upstream split",
    "contaminated": "an evaluation item has the same image or a part of it or, without images, most of the same text",
    "duplicate": "another record has the same images and the same text",
    "near-duplicate": "another record has the same images and nearly the same text, which says the same",
    "contradictory": "another record answers the same question on the same image otherwise, and the mixture drops both",
    "repeated": "as many records as the mixture allows have the same report on other images",
    "split-conflict": "another record of the same group is in a more protected split",
    "capped": "the mixture's cap for the source is reached",
}
"""The reasons why a record may be dropped; the ledger contains no others."""


# Records are created by the million and never changed. Frozen ones would take four times as long to create, more
# than parsing their row takes.
@dataclass(slots=True, unsafe_hash=True)
class ImageRef:
    """The location of an image's original bytes.

    `path` is POSIX and relative to the source's folder. Alone it names a file; with `member` it names
    a zip archive and the member in it; with `row` it names a parquet or arrow table whose
    row `row` (from 0) of the struct column `column` holds the bytes under the field `bytes`; `images[1]` is the second
    struct in a column of lists.
    """

    path: str
    member: str | None = None
    row: int | None = None
    column: str = "image"

    def __str__(self) -> str:
        inside = self.member if self.member is not None else self.row
        return self.path if inside is None else f"{self.path}#{inside}"


@dataclass(slots=True, kw_only=True)
class Record:
    """One training sample as in upstream, before any clean-up.

    Attributes:
        source: id of the source, `slake`.
        key: upstream's own key, unique within the source and stable from build to build; where upstream
            has none, file stem and row number (`train/17`).
        split: upstream's split, one of `SPLITS`, or "" where upstream has no split.
        task: one of `TASKS`.
        file, row: the upstream file (POSIX, relative to the source's folder) and the row in it, from 0.
        group: patient, study, article or case, in a namespace of its own (`medpix/synpic100`, `pmc/PMC1`).
        images: in upstream's order; empty for text-only records.
        question: "" for tasks that ask none (caption, report).
        answer: the target text; the option's text for multiple choice.
        alternatives: other correct answers, each as good as `answer`; scoring takes the best match.
        choices: the options' texts, in upstream's order; the letter is the position.
        correct: position of the answer among `choices`, or None.
        answer_type: `open`, `closed`, or "" where upstream does not state it.
        context: text shown before the question (an abstract), or "".
        explanation: text that follows the answer in the same turn, or "".
        modality: as upstream names it, lower case, or "" for the source's own.
        language: ISO 639-1 code where upstream declares it for the row, or "".
        licence: as upstream writes it for this row, or "" where only the source as a whole has one.
        attribution: whom to credit beyond the source itself (an article), or "".
        member: the collection inside the source that the row comes from, as upstream names it, or ""; facts list
            licences by it that rows do not state.
    """

    source: str
    key: str
    split: str
    task: str
    file: str
    row: int
    group: str
    answer: str
    question: str = ""
    alternatives: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    correct: int | None = None
    answer_type: str = ""
    context: str = ""
    explanation: str = ""
    images: tuple[ImageRef, ...] = ()
    modality: str = ""
    language: str = ""
    licence: str = ""
    attribution: str = ""
    member: str = ""

    @property
    def id(self) -> str:
        """`<source>/<key>`."""
        return f"{self.source}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A row of upstream that is not a usable record; the ledger records it too.

    `reason` is one of `REASONS`; the other fields are those of `Record`.
    """

    source: str
    key: str
    split: str
    file: str
    row: int
    reason: str
    evidence: str

    @property
    def id(self) -> str:
        """`<source>/<key>`."""
        return f"{self.source}/{self.key}"
