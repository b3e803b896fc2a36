"""May a run go on from a checkpoint: only with the same recipe and the same mix."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError

from ..recipe import Recipe, as_dict
from .checkpoint import read
from .state import State

FREE = (
    "run.workers", "run.parallel", "run.gradient_checkpointing", "run.gpu", "run.tensorboard", "run.checkpoint_every",
    "run.keep_checkpoints",
)  # fmt: skip
"""Settings that change neither model nor result, and that a run may change when it goes on."""


def refuse_other(path: Path, recipe: Recipe, mix_digest: str, sources: Mapping[str, int]) -> None:
    """Raise unless a checkpoint was made with this recipe and this mix.

    Args:
        path: the checkpoint.
        recipe: with which the run is to go on.
        mix_digest: `stream.digest` of the mix with which it is to go on.
        sources: the records that an epoch takes of each of its sources.

    Raises:
        UsageError: it was not; every difference is named.
    """
    old, state = read(path)
    found = [*differences(old, recipe), *_of_mix(state, mix_digest, sources)]
    if found:
        raise UsageError(
            f"{path.parent} holds a run that differs: {'; '.join(found)}; give another --out, or remove that folder"
        )


def differences(old: Recipe, new: Recipe) -> list[str]:
    """List the settings that differ, as `optim.lr was 5e-05, is 0.0001`; those of `FREE` may."""
    before, now = ({k: v for k, v in _flat(as_dict(recipe)).items() if k not in FREE} for recipe in (old, new))
    return [
        f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]


def _of_mix(state: State, digest: str, sources: Mapping[str, int]) -> list[str]:
    counts = [
        f"{source} had {state.sources.get(source, 0)} records an epoch, has {sources.get(source, 0)}"
        for source in sorted(state.sources.keys() | sources.keys())
        if state.sources.get(source) != sources.get(source)
    ]
    if state.mix_digest != digest:
        other = ", ".join(counts) or "as many records of each source"
        return [f"the mix {state.mix} had digest {state.mix_digest[:12]}, this one has {digest[:12]}: {other}"]
    return [f"the mix {state.mix}: {', '.join(counts)}"] if counts else []


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {k: v for key, item in value.items() for k, v in _flat(item, f"{prefix}.{key}".strip(".")).items()}
