"""Row counts compared with upstream's: a sample has fewer rows, a full copy has exactly as many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from . import download_record
from .inputs import Input

FULL_SHARE = 0.95
"""A source with at least this share of the expected rows is taken for a full copy, not a sample."""


@dataclass(frozen=True, slots=True)
class RowCountMismatch:
    """A source whose number of rows differs from upstream's.

    Attributes:
        read, expected: rows, over the splits whose size is known.
        full: the source is taken for a full copy, so the difference is an error.
        splits: the differences, as `train 10 instead of 12`.
    """

    source: str
    read: int
    expected: int
    full: bool
    splits: str


def complete_sources(inputs: Sequence[Input]) -> list[str]:
    """Give the sources whose files are complete according to the record of their download.

    Raises:
        UsageError: a record is damaged.
    """
    return [entry.source for entry in inputs if _is_complete(entry)]


def _is_complete(entry: Input) -> bool:
    fetched = download_record.read_record(entry.folder)
    if fetched is None or fetched.dataset != entry.facts.provenance(entry.layout)["dataset"]:
        return False
    return not fetched.damaged_files(entry.folder)


def find_mismatches(rows: pl.DataFrame, inputs: Sequence[Input], whole: Sequence[str]) -> list[RowCountMismatch]:
    """Compare the rows of each source, rejected ones included, with upstream's; give those that differ.

    Args:
        rows: all rows read, with `source` and `upstream_split`.
        inputs: the sources that were read.
        whole: those whose files are known to be complete.
    """
    counts = rows.group_by("source", "upstream_split").len()
    found = []
    for entry in inputs:
        mine = counts.filter(pl.col("source") == entry.source)
        read = dict(zip(mine["upstream_split"], mine["len"], strict=True))
        expected = entry.facts.expected_rows(entry.layout)
        found.append(compare(entry.source, expected, read, whole=entry.source in whole))
    return [difference for difference in found if difference is not None]


def compare(source: str, expected: Mapping[str, int], read: Mapping[str, int], whole: bool) -> RowCountMismatch | None:
    """Compare rows read with those expected, by split; None where they agree or nothing is expected.

    A rejected row may name no split: such rows make up for rows that the splits lack.

    Args:
        source: its id.
        expected: split -> rows, for the splits whose size is known; "" for rows that name no split.
        read: split -> rows.
        whole: all files of the source are known to be complete.
    """
    lacking = {split: rows - read.get(split, 0) for split, rows in expected.items()}
    stray = 0 if "" in expected else read.get("", 0)
    if not any(lacking.values()) or (min(lacking.values()) >= 0 and sum(lacking.values()) == stray):
        return None
    total, total_read = sum(expected.values()), sum(read.get(split, 0) for split in expected)
    splits = ", ".join(
        f"{split or 'rows'} {read.get(split, 0):,} instead of {expected[split]:,}"
        for split, rows in lacking.items()
        if rows
    )
    return RowCountMismatch(source, total_read, total, whole or total_read >= FULL_SHARE * total, splits)


def warnings(found: Sequence[RowCountMismatch]) -> list[str]:
    """Give a line for each full copy with an unexpected number of rows."""
    return [
        f"{entry.source}: is a full copy with another number of rows than upstream: {entry.splits}; "
        "is a file missing, or has upstream changed?"
        for entry in found
        if entry.full
    ]


def notes(found: Sequence[RowCountMismatch]) -> list[str]:
    """Give one line for all samples, or none."""
    samples = [f"{entry.source} {entry.read:,} of {entry.expected:,}" for entry in found if not entry.full]
    return [f"samples with fewer rows than upstream: {', '.join(samples)}"] if samples else []
