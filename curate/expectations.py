"""Whether as many rows were read as upstream has."""

from collections.abc import Mapping
from dataclasses import dataclass

FULL = 0.95
"""A source with this share of the expected rows is meant to be a full copy, not a sample."""


@dataclass(frozen=True, slots=True)
class Shortfall:
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


def compare(source: str, expected: Mapping[str, int], read: Mapping[str, int], whole: bool) -> Shortfall | None:
    """Compare rows read with those expected, by split; None where they are the same or nothing is expected.

    Args:
        source: its id.
        expected: split -> rows, for the splits whose size is known; "" for rows that name no split.
        read: split -> rows.
        whole: all files of the source are known to be there.
    """
    differing = [split for split, rows in expected.items() if read.get(split, 0) != rows]
    if not differing:
        return None
    total, total_read = sum(expected.values()), sum(read.get(split, 0) for split in expected)
    splits = ", ".join(
        f"{split or 'rows'} {read.get(split, 0):,} instead of {expected[split]:,}".lstrip() for split in differing
    )
    return Shortfall(source, total_read, total, whole or total_read >= FULL * total, splits)


def warnings(found: list[Shortfall]) -> list[str]:
    """Give a line for each full copy whose rows are not those expected."""
    return [
        f"{entry.source}: not as many rows as upstream has, though it is a full copy: {entry.splits}; "
        "is a file missing, or has upstream changed?"
        for entry in found
        if entry.full
    ]


def notes(found: list[Shortfall]) -> list[str]:
    """Give one line for all samples, or none."""
    samples = [f"{entry.source} {entry.read:,} of {entry.expected:,}" for entry in found if not entry.full]
    return [f"read as samples, with fewer rows than upstream has: {', '.join(samples)}"] if samples else []
