"""Reader of PMC-VQA (Zhang et al. 2024): generated multiple-choice questions on figures of PubMed Central articles.

Two versions, of different questions, as in https://huggingface.co/datasets/RadGenome/PMC-VQA: the first answers with
an option's text and repeats its letter as `Answer_label`, the second with the letter. The header of a file tells its
version, since copies rename the files. Options begin with their letter, ` A:Lung `. `test_clean.csv` repeats checked
rows of `test.csv`; both are read as test, so that whichever an evaluation takes is kept out of training.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from pathlib import Path, PurePosixPath

from ..errors import RowError
from ..record import ImageRef, Record, Rejected
from ..tables import check_columns, csv_columns, csv_fields, csv_pieces
from . import SHARD_ROWS, Layout, Shard, _pmc, find_shards, make_records, split_shard

SOURCE = "pmc_vqa"
_LETTERS = "ABCD"
_CHOICES = tuple(f"Choice {letter}" for letter in _LETTERS)
_PREFIXES = tuple(f"{letter}:" for letter in _LETTERS)
_BLANKS_AND_QUOTES = " \t\r\n\xa0\u200a\"'"


@dataclass(frozen=True, slots=True)
class _Version:
    """How a version of the data differs from the other.

    Attributes:
        files: csv file -> split, as upstream names them.
        archive, unpacked: the places of its figures.
        label: the column with the letter where `Answer` is the text, or "" where it is the letter itself.
    """

    files: dict[str, str]
    archive: str
    unpacked: tuple[str, ...]
    label: str


_VERSIONS = (
    _Version(
        {"train.csv": "train", "test.csv": "test", "test_clean.csv": "test"},
        "images.zip",
        ("images/images", "images"),
        "Answer_label",
    ),
    _Version({"train_2.csv": "train", "test_2.csv": "test"}, "images_2.zip", ("images_2/figures", "figures"), ""),
)


def _shards(folder: Path) -> list[Shard]:
    found = find_shards(folder, {file: split for version in _VERSIONS for file, split in version.files.items()})
    return [piece for shard in found for piece in split_shard(shard, csv_pieces(folder / shard.files[0], SHARD_ROWS))]


def _read(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    file = shard.files[0]
    header = csv_columns(folder / file)
    version = _version(folder, header)
    answer = "Anwser" if "Anwser" in header else "Answer"  # as old copies spell it
    columns = ("Figure_path", "Question", answer, version.label or answer, *_CHOICES)
    check_columns(folder / file, columns, header)
    rows = csv_fields(folder / file, columns, shard.piece)
    pick = itemgetter(*(header.index(column) for column in columns))
    locate = _pmc.figure_locator(folder, version.archive, version.unpacked)
    return make_records(SOURCE, shard, rows, partial(_record, shard, PurePosixPath(file).stem, pick, locate))


def _version(folder: Path, header: list[str]) -> _Version:
    """Give the version of a header, with the other's places of figures if none of its own is there."""
    first, second = _VERSIONS
    version, other = (first, second) if first.label in header else (second, first)
    if _has_figures(folder, version) or not _has_figures(folder, other):
        return version
    return replace(version, archive=other.archive, unpacked=other.unpacked)


def _has_figures(folder: Path, version: _Version) -> bool:
    return any((folder / place).exists() for place in (version.archive, *version.unpacked))


def _record(
    shard: Shard,
    stem: str,
    pick: Callable[[list[str]], tuple[str, ...]],
    locate: Callable[[str], ImageRef],
    row: int,
    fields: list[str],
) -> Record:
    figure, question, answer, label, *lettered = pick(fields)
    choices = _choices(lettered)
    correct = _correct(answer, label, choices)
    article = _pmc.article_id(figure)
    return Record(
        source=SOURCE,
        key=f"{stem}/{row}",
        split=shard.split,
        task="mcqa",
        file=shard.files[0],
        row=row,
        group=f"pmc/{article or figure}",
        question=question,
        choices=choices,
        correct=correct,
        answer=choices[correct],
        answer_type="closed",
        images=(locate(figure),),
        attribution=article,
    )


def _choices(lettered: list[str]) -> tuple[str, ...]:
    choices = tuple(
        [text.strip().removeprefix(prefix).strip() for text, prefix in zip(lettered, _PREFIXES, strict=True)]
    )
    if not all(choices):
        raise RowError("unparsable-row", f"an option is empty: {choices}")
    return choices


def _correct(answer: str, label: str, choices: tuple[str, ...]) -> int:
    """Give the position of the option that the label names; an answer other than the label must be its text."""
    letter = label.strip(_BLANKS_AND_QUOTES)
    correct = _LETTERS.find(letter) if len(letter) == 1 else -1
    if correct < 0:
        raise RowError("unparsable-row", f"the label is {label!r}, which names no option")
    if answer not in (label, choices[correct]) and not _same(answer, choices[correct]):
        raise RowError("unparsable-row", f"the answer {answer!r} is not option {letter} of {choices}")
    return correct


def _same(text: str, choice: str) -> bool:
    return text.strip(_BLANKS_AND_QUOTES) == choice.strip(_BLANKS_AND_QUOTES)


LAYOUTS = (
    Layout(
        "original", "{train,test,test_clean}.csv and images.zip, {train,test}_2.csv and images_2.zip", _shards, _read
    ),
)
