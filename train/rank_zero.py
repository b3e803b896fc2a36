"""The place of this process among those of a run, and messages that rank 0 alone prints."""

import os

from medmix.curate import progress


def is_rank_zero() -> bool:
    """Tell whether this process is rank 0, or the only one; torchrun sets `RANK`."""
    return os.environ.get("RANK", "0") == "0"


def local_world_size(world_size: int) -> int:
    """Give the number of ranks on this node; torchrun sets `LOCAL_WORLD_SIZE`."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", world_size))


def say(line: str) -> None:
    """Print one line on stderr, on rank 0."""
    if is_rank_zero():
        progress.say(line)
