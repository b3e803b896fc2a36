"""The version of a mixture: what a new one has to be called, and what the card tells of it.

As for software (https://semver.org): major when records were removed or changed, minor when some were added, patch when
nothing but cards and provenance differs.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..write import manifest
from .diff import CHANGES, Diff, compare

Version = tuple[int, int, int]

WHY = {
    "major": "records were removed or changed",
    "minor": "records were added",
    "patch": "no record differs, but the cards do",
}


def parse(text: str) -> Version:
    """Read MAJOR.MINOR.PATCH, with or without a `v` before it."""
    major, minor, patch = text.removeprefix("v").split(".")
    return int(major), int(minor), int(patch)


def of_tags(tags: Iterable[str]) -> dict[Version, str]:
    """Give the tags that name versions, by version, ascending; others are left out."""
    found = {}
    for tag in tags:
        try:
            if tag.startswith("v"):
                found[parse(tag)] = tag
        except ValueError:
            continue
    return dict(sorted(found.items()))


def smallest(before: str, level: str) -> str:
    """Give the smallest version that may follow another one with changes of a level."""
    major, minor, patch = parse(before)
    following = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}
    return ".".join(map(str, following[level]))


def problem(before: str, after: str, level: str) -> str:
    """Say what is wrong with a version that follows another one with changes of a level; "" where nothing is."""
    needed = smallest(before, level)
    if parse(after) >= parse(needed):
        return ""
    return f"version {after} cannot follow {before}: {WHY[level]}, so it must be {needed} or more"


def changelog(before: Mapping[str, Any] | None, diff: Diff | None, version: str) -> list[dict[str, Any]]:
    """Give what the card tells of the changes, the newest version first.

    `before` is the manifest of the version published before, None for the first one, and `diff` what differs from it.
    """
    if before is None or diff is None:
        return [{"version": version, "since": "", "added": 0, "removed": 0, "changed": 0, "sources": []}]
    summary = diff.summary()
    totals = {change: summary[change] for change in CHANGES}
    since = before["mixture"]["version"]
    entry = {"version": version, "since": since, **totals, "sources": summary["by_reason"]}
    return [entry, *before["changelog"]]


def on_rebuild(before: Path, after: Path) -> str:
    """Say what a mix that takes the place of another one means for its version; "" for nothing.

    Mixes of another mixture, or that read other sources or fewer rows of them by the command's options, are not
    compared.
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
    told = f"against the mix that lay there ({diff.before}) records differ: {totals}"
    wrong = problem(old["mixture"]["version"], new["mixture"]["version"], diff.level)
    return f"{told}; {wrong or 'the version tells so'}"


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
