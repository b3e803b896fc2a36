"""Whether a model has seen a benchmark in training: what the manifest of its mix says of it.

Two things spend a benchmark: a mixture that trains on its split (`splits: {test: train}`), and one that only reports
what training records share with it (`leaks: report`) where there was something to share.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError
from medmix.curate.write import manifest
from medmix.train.data import stream

NO_LEAK = ("source", "set", "group", "same-question-answer", "ngram-match")
"""Columns of the leak matrix that count no leak (`curate/decide/leaks.py`: KINDS); whatever else it has does."""


def trained_on(mix: Path, digest: str) -> dict[str, Any] | None:
    """Read the manifest of the mix that a checkpoint was trained on; None where it is no longer there.

    Raises:
        UsageError: there is another mix in its place.
    """
    if not (mix / manifest.NAME).is_file():
        return None
    found = stream.mix_digest(mix)
    if found != digest:
        raise UsageError(
            f"{mix} is not the mix that the checkpoint was trained on (digest {found[:12]}, then {digest[:12]}), so "
            f"that nothing is known of leaks; give the folder where it lies now with --trained-on, or --allow-leaks"
        )
    return manifest.read(mix)


def of_split(document: Mapping[str, Any], source: str, split: str) -> list[str]:
    """Say how training records of a mix have to do with a split of a source, a line each; empty for a clean one."""
    return [*_spent(document, source, split), *_shared(document, source, split)]


def unguarded(document: Mapping[str, Any], sources: Sequence[str], split: Mapping[str, str]) -> list[str]:
    """Name the sources that the mix was not kept clean of: not named by its mixture, or not there when it was built."""
    kept = {
        (entry.get("source"), entry.get("split"))
        for entry in document.get("evaluation", [])
        if entry.get("items", 0) > entry.get("unreadable", 0)
    }
    return [source for source in sources if (source, split[source]) not in kept]


def rows(document: Mapping[str, Any], sources: Sequence[str]) -> list[dict[str, Any]]:
    """Give the rows of the leak matrix on these sources."""
    return [row for row in document.get("leaks", []) if row["set"].split()[0] in sources]


def _spent(document: Mapping[str, Any], source: str, split: str) -> list[str]:
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
    reported = any(
        (entry.get("source"), entry.get("split"), entry.get("leaks")) == (source, split, "report")
        for entry in document.get("evaluation", [])
    )
    if not reported:
        return []
    lines = []
    for row in document.get("leaks", []):
        kinds = {kind: count for kind, count in row.items() if kind not in NO_LEAK and count}
        if row["set"] == f"{source} {split}" and kinds:
            counted = ", ".join(f"{count} by {kind}" for kind, count in sorted(kinds.items()))
            lines.append(f"training records of {row['source']} share something with it ({counted})")
    return lines
