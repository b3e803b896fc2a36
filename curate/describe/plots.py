"""The bar charts of the cards, with counts from the manifest."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BAR_WIDTH = 360
MAX_BARS = 20

Rows = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Plot:
    """A bar chart: its title and the function that returns its (label, count) rows from a manifest."""

    title: str
    rows: Callable[[Mapping[str, Any]], Rows]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar; `width` is in pixels, from 0 to `BAR_WIDTH`, and at least 1 for a count above 0."""

    label: str
    count: int
    width: int


def bars(rows: Sequence[tuple[str, int]]) -> list[Bar]:
    """Return bars, the longest `BAR_WIDTH` wide; the last bar sums the rows beyond `MAX_BARS`."""
    shown = list(rows[:MAX_BARS])
    if len(rows) > MAX_BARS:
        shown.append((f"{len(rows) - MAX_BARS} others", sum(count for _, count in rows[MAX_BARS:])))
    longest = max((count for _, count in shown), default=0)
    return [Bar(label, count, -(-count * BAR_WIDTH // longest) if count else 0) for label, count in shown]


def _per_source(key: str) -> Callable[[Mapping[str, Any]], Rows]:
    return lambda manifest: [(source, entry[key]) for source, entry in manifest["sources"].items()]


def _all_sources(key: str) -> Callable[[Mapping[str, Any]], Rows]:
    return lambda manifest: largest_first(total_counts(entry[key] for entry in manifest["statistics"].values()))


def _dropped(manifest: Mapping[str, Any]) -> Rows:
    return largest_first(total_counts(entry["dropped_by_reason"] for entry in manifest["sources"].values()))


def _answer_lengths(manifest: Mapping[str, Any]) -> Rows:
    histograms = [entry["answer_characters"]["histogram"] for entry in manifest["statistics"].values()]
    most_bins = max(map(len, histograms), default=0)
    return [
        (f"{2**power} to {2 ** (power + 1) - 1}", sum(counts[power] for counts in histograms if power < len(counts)))
        for power in range(most_bins)
    ]


def total_counts(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Add up counts by value."""
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return total


def largest_first(counts: Mapping[str, int]) -> Rows:
    """Sort counts in descending order, ties by value; an empty value is labelled `not stated`."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(value or "not stated", count) for value, count in rows]


PLOTS = {
    "sources": Plot("Records kept, by source", _per_source("kept")),
    "dropped": Plot("Records dropped, by reason", _dropped),
    "modalities": Plot("Records kept, by modality", _all_sources("modalities")),
    "languages": Plot("Records kept, by language", _all_sources("languages")),
    "tasks": Plot("Records kept, by task", _all_sources("tasks")),
    "answer_lengths": Plot("Records kept, by characters of the answer", _answer_lengths),
    "yes_no": Plot("Yes/no answers", _all_sources("yes_no")),
    "correct_option": Plot("Letter of the correct option", _all_sources("correct_option")),
}
"""File name without `.svg` -> plot."""
