"""Whether a run may resume from a checkpoint: only on the same mix, with a recipe that differs in a few settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medmix.curate.config import differences, flatten
from medmix.curate.errors import UsageError

from ..recipe import Recipe, as_dict
from .state import TrainerState

CHANGEABLE = (
    "run.parallel", "run.timeout_minutes", "run.require_gpu", "run.tensorboard", "run.checkpoint_every",
    "run.keep_checkpoints", "run.keep", "run.loggers", "run.evaluate_every",
)  # fmt: skip
"""Settings that a resumed run may change; they change neither model nor result."""

RECORDED = (
    "optim.lr", "optim.lr_scheduler", "optim.warmup_steps", "run.steps", "run.epochs", "run.pack_tokens",
    "run.micro_batch_size", "run.precision", "run.gradient_checkpointing", "run.compile", "run.workers",
    "run.evaluate_records", "skip_records",
)  # fmt: skip
"""Settings that a resumed run may change; the change is recorded, because it changes the result or the speed."""


def recipe_changes(
    path: Path, old: Recipe, state: TrainerState, recipe: Recipe, mix_digest: str, sources: Mapping[str, int]
) -> list[dict[str, Any]]:
    """List the changes of recorded settings since a checkpoint, as in `TrainerState.history`.

    Args:
        path: the checkpoint.
        old: its recipe.
        state: its state.
        recipe: of the resumed run.
        mix_digest: `stream.mix_digest` of the mix to resume on.
        sources: records per epoch of each source of that mix.

    Raises:
        UsageError: the mix differs, or a setting that may not change; names every difference.
    """
    changed = differences(as_dict(old), as_dict(recipe), ignore=(*CHANGEABLE, *RECORDED))
    if found := [*changed, *_mix_differences(state, mix_digest, sources)]:
        raise UsageError(
            f"{path.parent} has a run that differs: {'; '.join(found)}; give another --out (with --from {path.parent} "
            "to start from its weights), or remove that folder"
        )
    before, after = flatten(as_dict(old)), flatten(as_dict(recipe))
    return [
        {"step": state.step, "key": key, "before": before[key], "after": after[key]}
        for key in RECORDED
        if before[key] != after[key]
    ]


def _mix_differences(state: TrainerState, digest: str, sources: Mapping[str, int]) -> list[str]:
    counts = ", ".join(differences(state.sources, sources))
    if state.mix_digest != digest:
        other = f"records per epoch: {counts}" if counts else "as many records of each source"
        return [f"the mix {state.mix} had digest {state.mix_digest[:12]}, this one has {digest[:12]}: {other}"]
    return [f"the mix {state.mix}: records per epoch: {counts}"] if counts else []
