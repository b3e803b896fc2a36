"""Whether a benchmark leaked into a model's training data, according to the manifest of its mix.

A benchmark leaked if the mixture trains on its split (`splits: {test: train}`), or if it only reports leaks
(`leaks: report`) and there are some.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def leaks_into_split(document: Mapping[str, Any], source: str, split: str) -> list[str]:
    """Describe how a split leaked into the training records of a mix, a line each; empty for a clean split."""
    return [*_trained_on(document, source, split), *_shared(document, source, split)]


def leak_rows(document: Mapping[str, Any], sources: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the leak matrix for these sources."""
    return [row for row in document.get("leaks", []) if row["set"].split()[0] in sources]


def _trained_on(document: Mapping[str, Any], source: str, split: str) -> list[str]:
    mixture = document.get("settings", {}).get("mixture", {})
    choice = mixture.get("sources", {}).get(source)
    if choice is None or source not in document["sources"]:
        return []
    rule = choice.get("splits") or mixture.get("splits") or {}
    if rule.get(split) != "train":
        return []
    count = document["sources"][source].get("kept_by_split", {}).get("train", 0)
    return [f"the mix trains on its {split} split (splits: {{{split}: train}}): {count} records of it"] if count else []


def _shared(document: Mapping[str, Any], source: str, split: str) -> list[str]:
    """Describe leaks that the build left in: those of sets with `leaks: report`, and between upstream's splits."""
    reported = any(
        (entry.get("source"), entry.get("split"), entry.get("leaks")) == (source, split, "report")
        for entry in document.get("evaluation", [])
    )
    lines = []
    for row in [*(document.get("leaks", ()) if reported else ()), *document.get("validation_leaks", ())]:
        if row["set"] == f"{source} {split}" and row["leaks"]:
            counted = ", ".join(f"{count} by {kind}" for kind, count in sorted(row["leaks"].items()))
            lines.append(f"training records of {row['source']} share something with it ({counted})")
    return lines
