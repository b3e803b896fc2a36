"""Starts a new run from the weights of another run's checkpoint, and its optimiser state where it fits."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medmix.curate.config import differences, flatten
from medmix.curate.errors import UsageError

from ..model.vision_language import VisionLanguageModel
from ..recipe import Recipe, as_dict
from . import checkpoint
from .ranks import load_optimizer_state
from .state import find_checkpoint

MODEL_KEYS = (
    "model.weights.repo", "model.processor",
    "vision.timm", "vision.size", "vision.kwargs", "vision.cls_token", "language.shape", "language.weights.repo",
    "language.bos_token", "language.eos_token", "language.pad_token", "lora.r", "lora.alpha", "lora.target_modules",
)  # fmt: skip
"""Settings, sections included, that define the model's function and the shapes of its weights."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The checkpoint of another run that a run started from.

    Attributes:
        path, digest: of the checkpoint (`checkpoint.digest`).
        step, records: optimiser steps done and records seen there.
        mix, mix_digest, mix_exists: the mix it was trained on; weights can be used without it.
        sources: records per epoch of each source of that mix.
        origin: of the checkpoint itself.
    """

    path: str
    digest: str
    step: int
    records: int
    mix: str
    mix_digest: str
    mix_exists: bool
    sources: dict[str, int]
    origin: dict[str, Any] | None


def read_origin(source: Path, recipe: Recipe) -> Origin:
    """Read a checkpoint, or the latest one of a run, that a run of this recipe starts from.

    Raises:
        UsageError: there is none, or its model is not that of the recipe; names every difference.
    """
    path = find_checkpoint(source)
    old, state = checkpoint.read(path)
    if found := [*_model_differences(old, recipe), *_lost_weights(old, recipe)]:
        raise UsageError(f"--from {path}: has another model than this recipe: {'; '.join(found)}; make them equal")
    return Origin(
        path=str(path.resolve()),
        digest=checkpoint.digest(path),
        step=state.step,
        records=state.records,
        mix=state.mix,
        mix_digest=state.mix_digest,
        mix_exists=Path(state.mix).exists(),
        sources=state.sources,
        origin=state.origin,
    )


def validate_same_origin(out: Path, saved: dict[str, Any] | None, origin: Origin) -> None:
    """Raise unless the run in `out` started from this origin.

    Raises:
        UsageError: it did not.
    """
    if saved is None or saved["digest"] != origin.digest:
        other = f"from step {saved['step']} of {saved['path']}" if saved else "without --from"
        raise UsageError(
            f"{out} has a run that started {other}; leave --from out to resume it, or give another --out to start "
            f"from {origin.path}"
        )


def describe(origin: Origin, optimizer_taken: bool) -> str:
    """Describe in one line what a new run starts from."""
    gone = "" if origin.mix_exists else f"; its mix {origin.mix} is gone, and only its weights are used"
    state = "with its optimiser state" if optimizer_taken else "with a new optimiser: its state is of other weights"
    return f"starts from step {origin.step} of {origin.path}, {state}{gone}"


def load_fitting_optimizer(
    model: VisionLanguageModel, wrapped: nn.Module, optimizer: torch.optim.Optimizer, file: Path
) -> bool:
    """Load the moments and step counts of a saved optimiser state if it is of the same weights; tell whether it is."""
    saved = torch.load(file, "cpu", weights_only=True)["state"]
    shapes = {name: weight.shape for name, weight in model.named_parameters() if weight.requires_grad}
    if shapes != {name: values["exp_avg"].shape for name, values in saved.items()}:
        return False
    load_optimizer_state(wrapped, optimizer, file, any_decay=True)
    return True


def as_state(origin: Origin | None) -> dict[str, Any] | None:
    """Give an origin as `TrainerState.origin` stores it."""
    return asdict(origin) if origin else None


def _model_differences(old: Recipe, new: Recipe) -> list[str]:
    """List what differs; new adapters on a model without any are no difference, because they start as nothing."""
    keys = [key for key in MODEL_KEYS if old.lora or not key.startswith("lora.")]

    def of_model(recipe: Recipe) -> dict[str, Any]:
        values = flatten(as_dict(recipe)).items()
        return {name: value for name, value in values if any(f"{name}.".startswith(f"{key}.") for key in keys)}

    return differences(of_model(old), of_model(new))


def _lost_weights(old: Recipe, new: Recipe) -> list[str]:
    """List the parts that a checkpoint trained and a frozen language model would be loaded without."""
    if new.model is None and not new.language.weights:
        return []
    lost = [part for part in ("language", "embeddings") if part in old.train and not {part, "language"} & {*new.train}]
    return [f"train lacks {part}, which the checkpoint has trained" for part in lost]
