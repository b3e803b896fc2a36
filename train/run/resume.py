"""Whether a run may resume from a checkpoint: only with the same recipe and the same mix."""

from collections.abc import Mapping
from pathlib import Path

from medmix.curate.config import differences
from medmix.curate.errors import UsageError

from ..recipe import Recipe, as_dict
from .checkpoint import read
from .state import TrainerState

CHANGEABLE = (
    "run.workers", "run.parallel", "run.gradient_checkpointing", "run.require_gpu", "run.tensorboard",
    "run.checkpoint_every", "run.keep_checkpoints",
)  # fmt: skip
"""Settings that change neither model nor result; a resumed run may change them."""


def validate_resume(path: Path, recipe: Recipe, mix_digest: str, sources: Mapping[str, int]) -> None:
    """Raise unless a checkpoint was made with this recipe and this mix.

    Args:
        path: the checkpoint.
        recipe: of the resumed run.
        mix_digest: `stream.mix_digest` of the mix to resume on.
        sources: records per epoch of each source of that mix.

    Raises:
        UsageError: recipe or mix differ; names every difference.
    """
    old, state = read(path)
    changed = differences(as_dict(old), as_dict(recipe), ignore=CHANGEABLE)
    if found := [*changed, *_mix_differences(state, mix_digest, sources)]:
        raise UsageError(
            f"{path.parent} has a run that differs: {'; '.join(found)}; give another --out, or remove that folder"
        )


def _mix_differences(state: TrainerState, digest: str, sources: Mapping[str, int]) -> list[str]:
    counts = ", ".join(differences(state.sources, sources))
    if state.mix_digest != digest:
        other = f"records per epoch: {counts}" if counts else "as many records of each source"
        return [f"the mix {state.mix} had digest {state.mix_digest[:12]}, this one has {digest[:12]}: {other}"]
    return [f"the mix {state.mix}: records per epoch: {counts}"] if counts else []
