"""Estimates what a run takes before it begins: records, tokens, steps, operations, memory and hours.

Conventions. A decoder costs 2 operations per weight and token forward, as much again for the gradient of its
input, and as much again for that of its weights: 4N per token under LoRA, 6N if it is trained fully (Kaplan
et al. 2020, arXiv 2001.08361, without the gradient of frozen weights). Attention within a sample of T tokens
costs 6 T^2 D per layer, the causal half counted. The output layer counts at answer tokens alone. The tower's
forward pass is counted by torch's FlopCounterMode, three times if it trains. What gradient checkpointing
recomputes counts for the hours, not for the MFU (Chowdhery et al. 2022, arXiv 2204.02311).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError

from . import device as devices
from .data import stream
from .data.batches import TEXT_COLUMNS, Step, validate_max_tokens
from .data.render import IGNORE_INDEX, Renderer, count_images
from .device import GIB
from .model.vision_language import VisionLanguageModel
from .rank_zero import local_world_size
from .recipe import Recipe

SURVEY_SIZE = 32
"""Records of each source that are tokenised to estimate the length of its records."""

ASSUMED_MFU = 0.4
"""The share of a device's peak FLOP/s with which the hours are estimated."""


@dataclass(frozen=True, slots=True)
class RecordMeans:
    """Means per record of an epoch: tokens, squared tokens, answer tokens, images."""

    tokens: float
    squared_tokens: float
    answer_tokens: float
    images: float


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


class RunPlan(NamedTuple):
    """The renderer of a run, its operations, the peak FLOP/s of all ranks, and lines that describe the run."""

    renderer: Renderer
    flops: Flops
    peak_flops: float
    lines: list[str]


def plan_run(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, split: stream.Split, last_step: int, device: torch.device,
    world_size: int,
) -> RunPlan:  # fmt: skip
    """Estimate a run, without the weights of its model.

    Raises:
        UsageError: as `VisionLanguageModel`, `validate_max_tokens` and `validate_memory`.
    """
    model = meta_model(recipe, tokenizer)
    renderer = Renderer(tokenizer, recipe.text, model.image_tokens, recipe.vision.max_images)
    validate_max_tokens(recipe, renderer, model.base.config.max_position_embeddings)
    means = survey(split, renderer)
    validate_memory(model, recipe, means, device, world_size, renderer.max_record_tokens())
    flops, peak = count_flops(model, recipe), devices.peak(device, matmul_dtype(recipe))
    lines = _lines(model, recipe, split, means, last_step, flops, peak, device, world_size)
    return RunPlan(renderer, flops, peak.flops * world_size, lines)


def meta_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    """Make the recipe's model without its weights, on the meta device.

    Raises:
        UsageError: as `VisionLanguageModel`.
    """
    with torch.device("meta"):
        return VisionLanguageModel(recipe, tokenizer)


def survey(split: stream.Split, renderer: Renderer, size: int = SURVEY_SIZE) -> RecordMeans:
    """Tokenise the first `size` records of each source; give means, sources weighted by their share of an epoch."""
    sums: dict[str, Counter[str]] = {}
    for record in _first_records(split, size):
        ids, labels = renderer.encode(record)
        counter = sums.setdefault(record["source"], Counter())
        counter["records"] += 1
        counter["tokens"] += len(ids)
        counter["squared_tokens"] += len(ids) ** 2
        counter["answer_tokens"] += sum(label != IGNORE_INDEX for label in labels)
        counter["images"] += min(count_images(record), renderer.max_images)
    epoch = split.epoch_counts().items()

    def mean(key: str) -> float:
        return sum(count * sums[source][key] / sums[source]["records"] for source, count in epoch) / len(split)

    return RecordMeans(mean("tokens"), mean("squared_tokens"), mean("answer_tokens"), mean("images"))


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


def estimate_memory(model: VisionLanguageModel, recipe: Recipe, means: RecordMeans, world_size: int = 1) -> int:
    """Estimate the bytes that training takes on one rank.

    Weights, and for trainable ones a gradient and AdamW's two moments; activations of one pack, 8 D + 4 F
    values per token and decoder layer (F the width of its feed-forward part), the inputs of LoRA layers once more with
    a byte for their dropout mask, and 16 W per token and tower layer, or of one layer and every layer's input
    under gradient checkpointing; the logits of its answer tokens, three times.
    """
    run, config = recipe.run, model.base.config
    width, inner, depth, vocab_size = (
        config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.vocab_size
    )  # fmt: skip
    weights = sum(p.numel() * (p.itemsize * 2 + 8 if p.requires_grad else p.itemsize) for p in model.parameters())
    value = 2 if run.precision == "bf16" else 4
    tokens = run.pack_tokens or (run.micro_batch_size or 1) * means.tokens
    samples = tokens / means.tokens
    dropped = _lora_input_width(model) * (value + 1) if recipe.lora and recipe.lora.dropout else 0
    per_layer = ((8 * width + 4 * inner) * value + dropped) * tokens
    layers = depth * width * value * tokens + per_layer if run.gradient_checkpointing else depth * per_layer
    tower_tokens, tower_depth = samples * means.images * (model.tower.num_tokens + 1), len(model.tower.layers)
    kept = 1 + tower_depth / 16 if run.gradient_checkpointing else tower_depth
    tower = 16 * model.tower.width * value * tower_tokens * (kept if "tower" in recipe.train else 1)
    logits = 3 * 4 * vocab_size * means.answer_tokens * samples
    shards = {"ddp": 1, "fsdp": world_size, "hsdp": local_world_size(world_size)}[run.parallel]
    return int(weights / shards + layers + tower + logits)


def validate_memory(
    model: VisionLanguageModel, recipe: Recipe, means: RecordMeans, device: torch.device, world_size: int,
    max_record_tokens: int,
) -> None:  # fmt: skip
    """Raise unless the device has enough memory.

    Raises:
        UsageError: it has not; names settings that fit.
    """
    available, needed = devices.free_memory(device), estimate_memory(model, recipe, means, world_size)
    if needed <= available:
        return
    fitting = next(
        (text for text, other, ranks in _smaller_settings(recipe, world_size, max_record_tokens)
         if estimate_memory(model, other, means, ranks) <= available),
        "no packing and no number of ranks; choose a smaller language model",
    )  # fmt: skip
    raise UsageError(
        f"{recipe.name} needs about {needed / GIB:.1f} GiB on a {devices.name(device)} with {available / GIB:.1f} GiB; "
        f"what would fit: {fitting}"
    )


def matmul_dtype(recipe: Recipe) -> torch.dtype:
    """Give the dtype of a recipe's matrix products."""
    return torch.bfloat16 if recipe.run.precision == "bf16" else torch.float32


def _lines(
    model: VisionLanguageModel, recipe: Recipe, split: stream.Split, means: RecordMeans, last_step: int,
    flops: Flops, peak: devices.Peak, device: torch.device, world_size: int,
) -> list[str]:  # fmt: skip
    """Describe the run: records, steps, parameters, operations, device."""
    batch = recipe.run.global_batch_size
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    trainable, total = sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)
    sources = ", ".join(f"{source} {records}" for source, records in split.epoch_counts().items())
    seen = min(last_step * batch, (recipe.run.epochs or last_step * batch) * len(split))
    operations = flops.of(means) * seen
    hours = operations * flops.recompute_factor / (peak.flops * world_size * ASSUMED_MFU) / 3600
    needed, available = estimate_memory(model, recipe, means, world_size), devices.free_memory(device)
    return [
        f"records: {len(split)} per epoch ({sources}), {seen / len(split):.2f} epochs",
        f"steps: {last_step} of {batch} records, about {means.tokens * batch:.0f} tokens per step "
        f"({means.tokens:.0f} per record, {means.answer_tokens:.0f} of them answer, {means.images:.2f} images)",
        f"parameters: {total:,}, trainable {trainable:,} ({', '.join(recipe.train)})",
        f"operations: {operations:.3g} FLOPs ({flops.token:.3g} per token, {flops.image:.3g} per image; "
        f"{'6N' if 'language' in recipe.train else 'LoRA, 4N'} per token)",
        f"device: {world_size} x {devices.name(device)}, {peak.flops / 1e12:.3g} TFLOP/s ({peak.origin}), "
        f"about {needed / GIB:.2f} of {available / GIB:.1f} GiB, about {hours:.3g} hours at {ASSUMED_MFU:.0%} MFU",
    ]


def _lora_input_width(model: VisionLanguageModel) -> int:
    """Add up the input widths of the LoRA layers of one decoder layer."""
    named = model.decoder_layers[0].named_modules()
    return sum(module.in_features for name, module in named if isinstance(module, nn.Linear) and "lora_A" in name)


def _smaller_settings(recipe: Recipe, world_size: int, max_record_tokens: int) -> Iterator[tuple[str, Recipe, int]]:
    """Yield settings that take less memory, the smallest change first, as text, recipe and number of ranks."""
    key = "micro_batch_size" if recipe.run.pack_tokens is None else "pack_tokens"
    least = 1 if recipe.run.pack_tokens is None else max_record_tokens
    run, text = replace(recipe.run, gradient_checkpointing=True), "--set run.gradient_checkpointing=true"
    yield text, replace(recipe, run=run), world_size
    while (size := getattr(run, key) // 2) >= least:
        run = replace(run, **{key: size})
        yield f"{text} --set run.{key}={size}", replace(recipe, run=run), world_size
    text, run = f"{text} --set run.{key}={getattr(run, key)} --set run.parallel=fsdp", replace(run, parallel="fsdp")
    for ranks in (2, 4, 8, 16, 32):
        if ranks > world_size:
            yield f"{text} on {ranks} such devices", replace(recipe, run=run), ranks


def _first_records(split: stream.Split, size: int) -> Iterator[dict[str, Any]]:
    taken: Counter[str] = Counter()
    reader = stream.Reader(split, TEXT_COLUMNS)
    for number, shard in enumerate(split.shards):
        for row_group, rows in enumerate(shard.row_groups):
            for row in range(min(rows, size - taken[shard.source])):
                taken[shard.source] += 1
                yield reader.row(stream.RowPosition(number, row_group, row))
