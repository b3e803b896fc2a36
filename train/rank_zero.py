"""Messages of a multi-process run, printed by rank 0 alone."""

import os

from medmix.curate import progress


def is_rank_zero() -> bool:
    """Tell whether this process is rank 0, or the only one; torchrun sets `RANK`."""
    return os.environ.get("RANK", "0") == "0"


def say(line: str) -> None:
    """Print one line on stderr, on rank 0."""
    if is_rank_zero():
        progress.say(line)
