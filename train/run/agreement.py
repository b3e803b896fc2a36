"""Whether all ranks are about to train the same; compared before the first step."""

import hashlib
import json
from pathlib import Path
from typing import Any

from medmix.curate.config import flatten
from medmix.curate.errors import UsageError
from medmix.curate.shards import file_sha256

from ..recipe import Recipe, as_dict
from . import checkpoint
from .ranks import Ranks
from .start import Start


def validate_agreement(ranks: Ranks, recipe: Recipe, mix_digest: str, start: Start) -> None:
    """Raise on all ranks unless recipe, mix, checkpoint and code of all ranks are the same.

    Raises:
        UsageError: they are not; names the ranks and what differs from rank 0.
    """
    if ranks.world_size == 1:
        return
    mine = {
        "step": start.step,
        "mix digest": mix_digest,
        "checkpoint": str(start.checkpoint.resolve()) if start.checkpoint else None,
        "checkpoint digest": checkpoint.digest(start.checkpoint) if start.checkpoint else None,
        "recipe": as_dict(recipe),
        "version of": checkpoint.versions(),
        "code digest": _code_digest(),
    }
    first, *others = ranks.all_gather(mine)
    found: dict[str, list[str]] = {}
    for rank, other in enumerate(others, start=1):
        if text := _differences(first, other):
            found.setdefault(text, []).append(str(rank))
    if found:
        lines = [f"rank {', '.join(numbers)}: {text}" for text, numbers in found.items()]
        raise UsageError(
            f"the ranks differ from rank 0: {'; '.join(lines)}; give all the same command, code and files "
            "(is --out on a disk that all nodes share?)"
        )


def _differences(first: dict[str, Any], other: dict[str, Any]) -> str:
    a, b = flatten(first), flatten(other)
    names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    return ", ".join(f"{name} is {_text(b.get(name))} and not {_text(a.get(name))}" for name in names)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:12] if len(text) == 64 else text


def _code_digest() -> str:
    """Give the SHA-256 of the code that trains, 64 hex digits."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256("".join(file_sha256(file) for file in files).encode()).hexdigest()
