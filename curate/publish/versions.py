"""Versions of a mixture: the smallest version that may follow another, and the changelog of the card.

As for software (https://semver.org): major if records were removed or changed, minor if some were added, patch if only
cards and provenance differ.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..write import manifest
from .diff import CHANGES, Diff, compare

Version = tuple[int, int, int]

LEVEL_REASONS = {
    "major": "records were removed or changed",
    "minor": "records were added",
    "patch": "only the cards differ",
}


def parse(text: str) -> Version:
    """Parse MAJOR.MINOR.PATCH with or without a leading `v`."""
    major, minor, patch = text.removeprefix("v").split(".")
    return int(major), int(minor), int(patch)


def parse_tags(tags: Iterable[str]) -> dict[Version, str]:
    """Give the tags that are versions, by version, ascending."""
    found = {}
    for tag in tags:
        try:
            if tag.startswith("v"):
                found[parse(tag)] = tag
        except ValueError:
            continue
    return dict(sorted(found.items()))


def check_bump(before: str, after: str, level: str) -> str:
    """Give the error if version `after` is too low to follow `before` after changes of this level, else ""."""
    major, minor, patch = parse(before)
    smallest = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}[level]
    if parse(after) >= smallest:
        return ""
    needed = ".".join(map(str, smallest))
    return f"version {after} is too low after {before}: {LEVEL_REASONS[level]}, so it must be at least {needed}"


def changelog(before: Mapping[str, Any] | None, diff: Diff | None, version: str) -> list[dict[str, Any]]:
    """Give the changelog of the card, newest version first.

    `before` is the manifest of the previous version, None for the first version; `diff` is the difference from it.
    """
    if before is None or diff is None:
        return [{"version": version, "since": "", "added": 0, "removed": 0, "changed": 0, "sources": []}]
    summary = diff.summary()
    totals = {change: summary[change] for change in CHANGES}
    since = before["mixture"]["version"]
    entry = {"version": version, "since": since, **totals, "sources": summary["by_reason"]}
    return [entry, *before["changelog"]]


def describe_rebuild(before: Path, after: Path) -> str:
    """Describe the changes of a mix that replaces another one, and whether its version fits them; "" for no changes.

    Two mixes of different mixtures, or built with other sources or limits, are not compared.
    """
    try:
        old, new = manifest.read(before), manifest.read(after)
    except UsageError:
        return ""
    if any(_scope(old)[name] != _scope(new)[name] for name in _scope(new)) or _content(old) == _content(new):
        return ""
    try:
        diff = compare(before, after)
    except UsageError:
        return ""
    if diff.level == "patch":
        return ""
    summary = diff.summary()
    totals = ", ".join(f"{summary[change]} {change}" for change in CHANGES)
    changes = f"records differ from the previous mix ({diff.before}): {totals}"
    error = check_bump(old["mixture"]["version"], new["mixture"]["version"], diff.level)
    return f"{changes}; {error or 'the version fits these changes'}"


def _scope(document: Mapping[str, Any]) -> dict[str, Any]:
    settings = document["settings"]
    return {
        "name": document["mixture"]["name"],
        "missing": document["missing"],
        **{name: settings[name] for name in ("only", "limit")},
    }


def _content(document: Mapping[str, Any]) -> dict[str, str]:
    return {
        file: entry["sha256"] for file, entry in document["files"].items() if file.split("/")[0] in ("data", "pointers")
    }
