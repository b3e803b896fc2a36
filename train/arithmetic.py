"""What a run will take, reckoned before it begins: records, tokens, steps, operations, memory and hours.

Conventions. A decoder costs 2 operations per weight and token forward, as much again for the gradient of its
input, and as much again for that of its weights: 4N per token under LoRA, 6N where it trains as a whole (Kaplan
et al. 2020, arXiv 2001.08361, without the gradient of frozen weights). Attention within a sample of T tokens
costs 6 T^2 D per layer, the causal half counted. The output layer counts at answer tokens alone. The tower's
forward pass is counted by torch's FlopCounterMode, three times where it trains. What gradient checkpointing
computes again is work for the hours, not for the MFU (Chowdhery et al. 2022, arXiv 2204.02311).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError

from . import device as devices
from .data import stream
from .data.batches import TEXT_COLUMNS, Step, longest
from .data.render import IGNORE, Renderer, image_parts
from .device import GIB
from .model.vision_language import VisionLanguageModel
from .recipe import Recipe

SURVEYED = 32
"""So many records of each source are rendered to know how long its records are."""

SHARE = 0.4
"""The part of a device's peak that the hours are reckoned with."""


@dataclass(frozen=True, slots=True)
class Means:
    """Means over an epoch's records: tokens, their square, answer tokens, images."""

    tokens: float
    tokens_squared: float
    answers: float
    images: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Floating-point operations, forward and backward.

    Attributes:
        token: of the decoder's weights, per token.
        square: of attention, per squared token of a sample.
        answer: of the output layer, per answer token.
        image: of the tower and the projector, per image.
        again: factor of what gradient checkpointing computes again, 1 without it.
    """

    token: float
    square: float
    answer: float
    image: float
    again: float

    def of(self, means: Means) -> float:
        """Give the operations of a mean record, what is computed again left out."""
        return (
            self.token * means.tokens
            + self.square * means.tokens_squared
            + self.answer * means.answers
            + self.image * means.images
        )

    def of_step(self, step: Step) -> float:
        """Give the operations of a step over all ranks, what is computed again left out."""
        return (
            self.token * step.tokens
            + self.square * step.squares
            + self.answer * step.answer_tokens
            + self.image * step.images
        )


def shape(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    """Make the recipe's model without its weights, on the meta device.

    Raises:
        UsageError: as `VisionLanguageModel`.
    """
    with torch.device("meta"):
        return VisionLanguageModel(recipe, tokenizer)


def survey(split: stream.Split, renderer: Renderer, surveyed: int = SURVEYED) -> Means:
    """Render the first `surveyed` records of each source, and weigh the sources by their share of an epoch."""
    sums: dict[str, Counter[str]] = {}
    for record in _first_records(split, surveyed):
        ids, labels = renderer.encode(record)
        mine = sums.setdefault(record["source"], Counter())
        mine["records"] += 1
        mine["tokens"] += len(ids)
        mine["squares"] += len(ids) ** 2
        mine["answers"] += sum(label != IGNORE for label in labels)
        mine["images"] += min(image_parts(record), renderer.max_images)
    epoch = split.epoch()

    def mean(what: str) -> float:
        return sum(takes * sums[source][what] / sums[source]["records"] for source, takes in epoch.items()) / len(split)

    return Means(mean("tokens"), mean("squares"), mean("answers"), mean("images"))


def costs(model: VisionLanguageModel, recipe: Recipe) -> Costs:
    """Count the operations of a model on the meta device."""
    train, config = set(recipe.train), model.base.config
    pixels = torch.zeros(1, 3, recipe.vision.size, recipe.vision.size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.projector(model.tower(pixels))
    decoder = sum(parameter.numel() for parameter in model.base.get_decoder().layers.parameters())
    width, words, depth = config.hidden_size, config.vocab_size, config.num_hidden_layers
    passes = 6 if "language" in train else 4
    return Costs(
        token=passes * decoder,
        square=6 * width * depth,
        answer=2 * width * words * (3 if train & {"language", "embeddings"} else 2),
        image=counter.get_total_flops() * (3 if "tower" in train else 1),
        again=1 + 2 / passes if recipe.run.gradient_checkpointing else 1,
    )


def memory(model: VisionLanguageModel, recipe: Recipe, means: Means, ranks: int = 1) -> int:
    """Estimate the bytes that training takes on one rank.

    Weights, and for those that train a gradient and AdamW's two moments; activations of one pack, 8 D + 4 F
    values a token and decoder layer (F the width of its feed-forward part), the inputs of LoRA layers once more with
    a byte for what is dropped of them, and 16 W a token and tower layer, or of one layer and every layer's input
    under gradient checkpointing; the scores of its answer tokens, three times.
    """
    run, config = recipe.run, model.base.config
    width, inner, depth, words = (
        config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.vocab_size
    )  # fmt: skip
    weights = sum(p.numel() * (p.itemsize * 2 + 8 if p.requires_grad else p.itemsize) for p in model.parameters())
    value = 2 if run.precision == "bf16" else 4
    tokens = run.pack_tokens or (run.micro_batch or 1) * means.tokens
    samples = tokens / means.tokens
    dropped = _adapted(model) * (value + 1) if recipe.lora and recipe.lora.dropout else 0
    per_layer = ((8 * width + 4 * inner) * value + dropped) * tokens
    layers = depth * width * value * tokens + per_layer if run.gradient_checkpointing else depth * per_layer
    seen, tower_depth = samples * means.images * (model.tower.tokens + 1), len(model.tower.layers)
    kept = 1 + tower_depth / 16 if run.gradient_checkpointing else tower_depth
    tower = 16 * model.tower.width * value * seen * (kept if "tower" in recipe.train else 1)
    scores = 3 * 4 * words * means.answers * samples
    return int(weights / (ranks if run.parallel == "fsdp" else 1) + layers + tower + scores)


def refuse_too_big(
    model: VisionLanguageModel, recipe: Recipe, means: Means, device: torch.device, ranks: int, renderer: Renderer
) -> None:
    """Raise unless the device has the memory; tries what could be set otherwise.

    Raises:
        UsageError: it has not; names what would fit.
    """
    have, need = devices.memory(device), memory(model, recipe, means, ranks)
    if need <= have:
        return
    fitting = next(
        (words for words, other, number in _smaller(recipe, ranks, longest(recipe, renderer))
         if memory(model, other, means, number) <= have),
        "no packing and no number of ranks; choose a smaller language model",
    )  # fmt: skip
    raise UsageError(
        f"{recipe.name} needs about {need / GIB:.1f} GiB on a {devices.name(device)} with {have / GIB:.1f} GiB; "
        f"what would fit: {fitting}"
    )


def lines(
    model: VisionLanguageModel, recipe: Recipe, split: stream.Split, means: Means, last_step: int,
    device: torch.device, ranks: int,
) -> list[str]:  # fmt: skip
    """Say what the run will take, a line for each matter."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    trained, total = sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)
    sources = ", ".join(f"{source} {records}" for source, records in split.epoch().items())
    seen = min(last_step * recipe.run.batch, (recipe.run.epochs or last_step * recipe.run.batch) * len(split))
    cost = costs(model, recipe)
    operations = cost.of(means) * seen
    peak, known_from = devices.peak(device, products(recipe))
    hours = operations * cost.again / (peak * ranks * SHARE) / 3600
    need, have = memory(model, recipe, means, ranks), devices.memory(device)
    return [
        f"records: {len(split)} an epoch ({sources}), {seen / len(split):.2f} epochs",
        f"steps: {last_step} of {recipe.run.batch} records, about {means.tokens * recipe.run.batch:.0f} tokens "
        f"({means.tokens:.0f} a record, {means.answers:.0f} of them answer, {means.images:.2f} images)",
        f"parameters: {total:,}, of them {trained:,} train ({', '.join(recipe.train)})",
        f"operations: {operations:.3g} FLOPs ({cost.token:.3g} a token, {cost.image:.3g} an image; "
        f"{'6N' if 'language' in recipe.train else 'LoRA, 4N'} a token)",
        f"device: {ranks} x {devices.name(device)}, {peak / 1e12:.3g} TFLOP/s ({known_from}), "
        f"about {need / GIB:.2f} of {have / GIB:.1f} GiB, about {hours:.3g} hours at {SHARE:.0%} of the peak",
    ]


def _adapted(model: VisionLanguageModel) -> int:
    """Add up the input widths of the LoRA layers of one decoder layer."""
    named = model.decoder_layers[0].named_modules()
    return sum(module.in_features for name, module in named if isinstance(module, nn.Linear) and "lora_A" in name)


def products(recipe: Recipe) -> torch.dtype:
    """Give the type in which a recipe multiplies matrices."""
    return torch.bfloat16 if recipe.run.precision == "bf16" else torch.float32


def _smaller(recipe: Recipe, ranks: int, most: int) -> Iterator[tuple[str, Recipe, int]]:
    """Yield what else could be set, the least change first, as words, recipe and number of ranks."""
    key = "micro_batch" if recipe.run.pack_tokens is None else "pack_tokens"
    least = 1 if recipe.run.pack_tokens is None else most
    run, words = replace(recipe.run, gradient_checkpointing=True), "--set run.gradient_checkpointing=true"
    yield words, replace(recipe, run=run), ranks
    while (size := getattr(run, key) // 2) >= least:
        run = replace(run, **{key: size})
        yield f"{words} --set run.{key}={size}", replace(recipe, run=run), ranks
    words, run = f"{words} --set run.{key}={getattr(run, key)} --set run.parallel=fsdp", replace(run, parallel="fsdp")
    for number in (2, 4, 8, 16, 32):
        if number > ranks:
            yield f"{words} on {number} such devices", replace(recipe, run=run), number


def _first_records(split: stream.Split, surveyed: int) -> Iterator[dict[str, Any]]:
    taken: Counter[str] = Counter()
    reader = stream.Reader(split, TEXT_COLUMNS)
    for number, shard in enumerate(split.shards):
        for row_group, rows in enumerate(shard.row_groups):
            for row in range(min(rows, surveyed - taken[shard.source])):
                taken[shard.source] += 1
                yield reader.row(stream.Place(number, row_group, row))
