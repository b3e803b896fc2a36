"""What is drawn in the cards: bars of counts from the manifest."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BAR_WIDTH = 360
MOST_BARS = 20

Rows = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Plot:
    """One bar chart: its title and what gives its (label, count) rows from a manifest."""

    title: str
    rows: Callable[[Mapping[str, Any]], Rows]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `width` in pixels, 0 to `BAR_WIDTH`, at least 1 for a count above 0."""

    label: str
    count: int
    width: int


def bars(rows: Sequence[tuple[str, int]]) -> list[Bar]:
    """Give bars whose longest is `BAR_WIDTH` wide; what is beyond `MOST_BARS` is summed up in the last one."""
    shown = list(rows[:MOST_BARS])
    if len(rows) > MOST_BARS:
        shown.append((f"{len(rows) - MOST_BARS} others", sum(count for _, count in rows[MOST_BARS:])))
    longest = max((count for _, count in shown), default=0)
    return [Bar(label, count, -(-count * BAR_WIDTH // longest) if count else 0) for label, count in shown]


def _per_source(key: str) -> Callable[[Mapping[str, Any]], Rows]:
    return lambda manifest: [(source, entry[key]) for source, entry in manifest["sources"].items()]


def _all_sources(key: str) -> Callable[[Mapping[str, Any]], Rows]:
    return lambda manifest: largest_first(united(entry[key] for entry in manifest["statistics"].values()))


def _dropped(manifest: Mapping[str, Any]) -> Rows:
    return largest_first(united(entry["dropped_by_reason"] for entry in manifest["sources"].values()))


def _answer_lengths(manifest: Mapping[str, Any]) -> Rows:
    histograms = [entry["answer_characters"]["histogram"] for entry in manifest["statistics"].values()]
    longest = max(map(len, histograms), default=0)
    return [
        (f"{2**place} to {2 ** (place + 1) - 1}", sum(counts[place] for counts in histograms if place < len(counts)))
        for place in range(longest)
    ]


def united(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Add counts by value."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def largest_first(counts: Mapping[str, int]) -> Rows:
    """Sort counts, the largest first, equal ones by value; no value is called `not stated`."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(value or "not stated", count) for value, count in rows]


PLOTS = {
    "sources": Plot("Records kept, by source", _per_source("kept")),
    "dropped": Plot("Records dropped, by reason", _dropped),
    "modalities": Plot("Records kept, by modality", _all_sources("modalities")),
    "languages": Plot("Records kept, by language", _all_sources("languages")),
    "tasks": Plot("Records kept, by task", _all_sources("tasks")),
    "answer_lengths": Plot("Records kept, by characters of the answer", _answer_lengths),
    "yes_no": Plot("Answers that are just yes or no", _all_sources("yes_no")),
    "correct_option": Plot("Letter of the right option", _all_sources("correct_option")),
}
"""File name without `.svg` -> the plot."""
