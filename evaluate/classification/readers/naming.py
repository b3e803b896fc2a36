"""What readers share: units by name, names in messages."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from medmix.curate.errors import UsageError

from ..sets import EvalSet

NAMED = 10
"""How many of many are named in a message."""


def some(names: Sequence[str]) -> str:
    """Name the first ten."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def group_of(facts: EvalSet, name: str) -> str:
    """Give the unit that a file name tells, "" where the set has no pattern for it.

    Raises:
        UsageError: the name does not match the set's pattern.
    """
    if facts.splits.group is None:
        return ""
    found = re.search(facts.splits.group, name)
    if found is None or not found[1]:
        raise UsageError(
            f"{facts.id}: the name {name!r} tells no {facts.splits.by} by splits.group {facts.splits.group!r}; "
            "mend the pattern"
        )
    return found[1]


def is_inside(name: str) -> bool:
    """Tell whether a name from a list stays in the folder that it is relative to."""
    path = PurePosixPath(name)
    return bool(name.strip()) and not path.is_absolute() and ".." not in path.parts
