"""Whether as many rows were read as upstream has: a sample has fewer, a full copy has just as many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from . import download_record
from .inputs import Input

FULL_SHARE = 0.95
"""A source with this share of the expected rows is meant to be a full copy, not a sample."""


@dataclass(frozen=True, slots=True)
class RowCountMismatch:
    """Rows of a source that differ from those expected.

    Attributes:
        read, expected: rows, over the splits whose size is known.
        full: the source is meant to be whole, so the difference is a fault.
        splits: what differs, as `train 10 instead of 12`.
    """

    source: str
    read: int
    expected: int
    full: bool
    splits: str


def complete_sources(inputs: Sequence[Input]) -> list[str]:
    """Give the sources whose files are all there, by the record that their download left beside them.

    Raises:
        UsageError: such a record is damaged.
    """
    return [entry.source for entry in inputs if _is_complete(entry)]


def _is_complete(entry: Input) -> bool:
    fetched = download_record.read_record(entry.folder)
    if fetched is None or fetched.dataset != entry.facts.provenance(entry.layout)["dataset"]:
        return False
    return not fetched.damage(entry.folder)


def find_mismatches(rows: pl.DataFrame, inputs: Sequence[Input], whole: Sequence[str]) -> list[RowCountMismatch]:
    """Compare the rows of each source, rejected ones included, with upstream's; those that agree give nothing.

    Args:
        rows: all rows read, with `source` and `upstream_split`.
        inputs: the sources that were read.
        whole: those of which all files are known to be there.
    """
    counts = rows.group_by("source", "upstream_split").len()
    found = []
    for entry in inputs:
        mine = counts.filter(pl.col("source") == entry.source)
        read = dict(zip(mine["upstream_split"], mine["len"], strict=True))
        expected = entry.facts.expected(entry.layout)
        found.append(compare(entry.source, expected, read, whole=entry.source in whole))
    return [difference for difference in found if difference is not None]


def compare(source: str, expected: Mapping[str, int], read: Mapping[str, int], whole: bool) -> RowCountMismatch | None:
    """Compare rows read with those expected, by split; None where they are the same or nothing is expected.

    A rejected row may not say its split: such rows stand for as many that the splits lack.

    Args:
        source: its id.
        expected: split -> rows, for the splits whose size is known; "" for rows that name no split.
        read: split -> rows.
        whole: all files of the source are known to be there.
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
    """Give a line for each full copy whose rows are not those expected."""
    return [
        f"{entry.source}: not the number of rows that upstream has, though it is a full copy: {entry.splits}; "
        "is a file missing, or has upstream changed?"
        for entry in found
        if entry.full
    ]


def notes(found: Sequence[RowCountMismatch]) -> list[str]:
    """Give one line for all samples, or none."""
    samples = [f"{entry.source} {entry.read:,} of {entry.expected:,}" for entry in found if not entry.full]
    return [f"read as samples, with fewer rows than upstream has: {', '.join(samples)}"] if samples else []
