"""Talk of one rank alone: what all of them know, the first one says."""

import os

from medmix.curate import progress


def is_first() -> bool:
    """Tell whether this process is the first rank, or the only one; torchrun says which it is."""
    return os.environ.get("RANK", "0") == "0"


def say(line: str) -> None:
    """Print one line of talk, on the first rank."""
    if is_first():
        progress.say(line)
