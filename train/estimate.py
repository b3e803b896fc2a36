"""Estimates what a run takes before it begins: records, tokens, steps, operations, memory and hours.

Conventions. A decoder costs 2 operations per weight and token forward, as much again for the gradient of its
input, and as much again for that of its weights: 4N per token under LoRA, 6N if it is trained fully (Kaplan
et al. 2020, arXiv 2001.08361, without the gradient of frozen weights). Attention within a sample of T tokens
costs 6 T^2 D per layer, the causal half counted. The output layer counts at answer tokens alone. The tower's
forward pass is counted by torch's FlopCounterMode, three times if it trains. What gradient checkpointing
recomputes counts for the hours, not for the MFU (Chowdhery et al. 2022, arXiv 2204.02311).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerBase

from . import device as devices
from .data import stream
from .data.batches import Step, validate_max_tokens
from .data.render import Renderer
from .device import GIB, DeviceSpec
from .memory import estimate_memory, validate_memory
from .model.vision_language import VisionLanguageModel
from .recipe import Recipe
from .survey import RecordMeans, survey

ASSUMED_MFU = 0.4
"""The share of a device's peak FLOP/s with which the hours are estimated."""


@dataclass(frozen=True, slots=True)
class Flops:
    """Floating-point operations, forward and backward.

    Attributes:
        token: of the decoder's weights, per token.
        squared_token: of attention, per squared token of a sample.
        answer_token: of the output layer, per answer token.
        image: of the tower and the projector, per image.
        recompute_factor: of gradient checkpointing, 1 without it.
    """

    token: float
    squared_token: float
    answer_token: float
    image: float
    recompute_factor: float

    def of(self, work: RecordMeans | Step) -> float:
        """Give the operations of a mean record, or of a step over all ranks, without recomputation."""
        return (
            self.token * work.tokens
            + self.squared_token * work.squared_tokens
            + self.answer_token * work.answer_tokens
            + self.image * work.images
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run takes.

    Attributes:
        steps: optimiser steps.
        records: seen over all epochs.
        tokens: of text and images in them.
        flops: operations, without what gradient checkpointing computes again.
        hours: at `ASSUMED_MFU` of the peak of all ranks.
        memory: bytes on one rank.
    """

    steps: int
    records: int
    tokens: float
    flops: float
    hours: float
    memory: int


class RunPlan(NamedTuple):
    """The renderer of a run, its operations, the peak FLOP/s of all ranks, and lines that describe the run."""

    renderer: Renderer
    flops: Flops
    peak_flops: float
    lines: list[str]
    means: RecordMeans
    prediction: Prediction
    model: VisionLanguageModel


def plan_run(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, split: stream.Split, last_step: int, device: torch.device,
    world_size: int,
) -> RunPlan:  # fmt: skip
    """Estimate a run on a device of this machine, without the weights of its model.

    Raises:
        UsageError: as `plan_for` and `validate_memory`.
    """
    spec = devices.describe(device, matmul_dtype(recipe))
    plan = plan_for(recipe, tokenizer, split, last_step, spec, world_size)
    validate_memory(plan.model, recipe, plan.means, spec, world_size, plan.renderer.max_record_tokens())
    return plan


def plan_for(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, split: stream.Split, last_step: int, device: DeviceSpec,
    world_size: int, per_node: int | None = None,
) -> RunPlan:  # fmt: skip
    """Estimate a run on `world_size` such devices, `per_node` on a machine, whether its memory suffices or not.

    Raises:
        UsageError: as `VisionLanguageModel` and `validate_max_tokens`.
    """
    model = meta_model(recipe, tokenizer)
    renderer = Renderer(tokenizer, recipe.text, model.image_tokens, recipe.vision.max_images)
    validate_max_tokens(recipe, renderer, model.base.config.max_position_embeddings)
    means, flops = survey(split, renderer), count_flops(model, recipe)
    batch = recipe.run.global_batch_size
    seen = min(last_step * batch, (recipe.run.epochs or last_step * batch) * len(split))
    peak_flops = device.peak.flops * world_size
    prediction = Prediction(
        steps=last_step,
        records=seen,
        tokens=means.tokens * seen,
        flops=flops.of(means) * seen,
        hours=flops.of(means) * seen * flops.recompute_factor / (peak_flops * ASSUMED_MFU) / 3600,
        memory=estimate_memory(model, recipe, means, world_size, per_node),
    )
    lines = _lines(model, recipe, split, means, prediction, flops, device, world_size)
    return RunPlan(renderer, flops, peak_flops, lines, means, prediction, model)


def meta_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    """Make the recipe's model without its weights, on the meta device.

    Raises:
        UsageError: as `VisionLanguageModel`.
    """
    with torch.device("meta"):
        return VisionLanguageModel(recipe, tokenizer)


def count_flops(model: VisionLanguageModel, recipe: Recipe) -> Flops:
    """Count the operations of a model on the meta device."""
    train, config = set(recipe.train), model.base.config
    pixels = torch.zeros(1, 3, recipe.vision.size, recipe.vision.size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.projector(model.tower(pixels))
    decoder = sum(parameter.numel() for parameter in model.base.get_decoder().layers.parameters())
    width, vocab_size, depth = config.hidden_size, config.vocab_size, config.num_hidden_layers
    passes = 6 if "language" in train else 4
    return Flops(
        token=passes * decoder,
        squared_token=6 * width * depth,
        answer_token=2 * width * vocab_size * (3 if train & {"language", "embeddings"} else 2),
        image=counter.get_total_flops() * (3 if "tower" in train else 1),
        recompute_factor=1 + 2 / passes if recipe.run.gradient_checkpointing else 1,
    )


def matmul_dtype(recipe: Recipe) -> torch.dtype:
    """Give the dtype of a recipe's matrix products."""
    return torch.bfloat16 if recipe.run.precision == "bf16" else torch.float32


def _lines(
    model: VisionLanguageModel, recipe: Recipe, split: stream.Split, means: RecordMeans, prediction: Prediction,
    flops: Flops, device: DeviceSpec, world_size: int,
) -> list[str]:  # fmt: skip
    """Describe the run: records, steps, parameters, operations, device."""
    batch, seen = recipe.run.global_batch_size, prediction.records
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    trainable, total = sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)
    sources = ", ".join(f"{source} {records}" for source, records in split.epoch_counts().items())
    return [
        f"records: {len(split)} per epoch ({sources}), {seen / len(split):.2f} epochs",
        f"steps: {prediction.steps} of {batch} records, about {means.tokens * batch:.0f} tokens per step "
        f"({means.tokens:.0f} per record, {means.answer_tokens:.0f} of them answer, {means.images:.2f} images)",
        f"parameters: {total:,}, trainable {trainable:,} ({', '.join(recipe.train)})",
        f"operations: {prediction.flops:.3g} FLOPs ({flops.token:.3g} per token, {flops.image:.3g} per image; "
        f"{'6N' if 'language' in recipe.train else 'LoRA, 4N'} per token)",
        f"device: {world_size} x {device.name}, {device.peak.flops / 1e12:.3g} TFLOP/s ({device.peak.origin}), "
        f"about {prediction.memory / GIB:.2f} of {device.memory / GIB:.1f} GiB, about {prediction.hours:.3g} hours at "
        f"{ASSUMED_MFU:.0%} MFU",
    ]
