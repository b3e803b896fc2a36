"""What a run starts from: its own latest checkpoint, the checkpoint of another run, or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError

from ..data import stream
from ..model import kinds
from ..model.vision_language import VisionLanguageModel
from ..recipe import Recipe
from . import checkpoint
from .optim import total_steps
from .origin import Origin, as_state, describe, load_fitting_optimizer, read_origin, validate_same_origin
from .ranks import load_optimizer_state
from .resume import recipe_changes
from .state import latest_checkpoint


@dataclass(frozen=True, slots=True)
class Start:
    """What a run starts from.

    Attributes:
        checkpoint: of this run, or of another one; None for a new model.
        new_origin: of a new run that starts from another run's checkpoint.
        step, seen: optimiser steps done, and places of the order of records taken.
        history, origin: as in `TrainerState`.
        lines: changes of settings, for the user.
    """

    checkpoint: Path | None = None
    new_origin: Origin | None = None
    step: int = 0
    seen: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    origin: dict[str, Any] | None = None
    lines: tuple[str, ...] = ()


def find_start(
    out: Path, recipe: Recipe, mix_digest: str, sources: Mapping[str, int], source: Path | None
) -> Start:  # fmt: skip
    """Find what a run in `out` starts from; reads no weights.

    Args:
        out: the run's folder.
        recipe: of the run.
        mix_digest: `stream.mix_digest` of its mix.
        sources: records per epoch of each source of the mix.
        source: a checkpoint or a run to start a new run from.

    Raises:
        UsageError: `out` has a run of another recipe, mix or origin, or `source` another model.
    """
    saved = latest_checkpoint(out)
    if not saved:
        origin = read_origin(source, recipe) if source else None
        return Start(Path(origin.path) if origin else None, origin, origin=as_state(origin))
    old, state = checkpoint.read(saved)
    if source:
        validate_same_origin(out, state.origin, read_origin(source, recipe))
    changes = recipe_changes(saved, old, state, recipe, mix_digest, sources)
    last_step = total_steps(recipe.run, sum(sources.values()))
    if state.step > last_step:
        raise UsageError(f"{out}: {state.step} steps are done, more than the {last_step} of this recipe; raise them")
    lines = [f"{change['key']} was {change['before']}, is {change['after']}" for change in changes]
    return Start(
        checkpoint=saved,
        step=state.step,
        seen=state.records,
        history=[*state.history, *changes],
        origin=state.origin,
        lines=(f"changed since step {state.step}: {'; '.join(lines)}",) if lines else (),
    )


def start_model(start: Start, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    """Give the model on the CPU: of a checkpoint, or a new one."""
    if start.checkpoint and not start.new_origin:
        return checkpoint.load(start.checkpoint, recipe).model
    torch.manual_seed(stream.derive_seed(recipe.seed, "start"))
    if not start.checkpoint:
        return kinds.build_new(recipe, tokenizer)
    model = kinds.build(recipe, tokenizer)
    checkpoint.load_weights(model, start.checkpoint, with_adapter=(start.checkpoint / "adapter").exists())
    return model


def start_optimizer(
    start: Start, model: VisionLanguageModel, wrapped: nn.Module, optimizer: torch.optim.Optimizer
) -> str:
    """Load the optimiser state of the checkpoint; describe an origin in one line, "" without one."""
    if not start.checkpoint:
        return ""
    file = start.checkpoint / "optimizer.pt"
    if start.new_origin:
        return describe(start.new_origin, load_fitting_optimizer(model, wrapped, optimizer, file))
    load_optimizer_state(wrapped, optimizer, file)
    return ""
