"""Estimates what a run of a transformers model for images and text takes before it begins.

The decoder counts as in `estimate`. The tower counts 2 operations per weight of its linear and convolution layers and
patch, the projector per image token, and the tower's attention does not count; so the figures of images are lower
bounds. Memory is that of `estimate`, with the tower's patches and, for packed rows, the mask of T x T.
"""

from collections import Counter
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError

from . import device as devices
from .data import stream
from .data.batches import COLUMNS
from .data.chat import ChatRenderer, ChatSample
from .data.render import IGNORE_INDEX
from .device import GIB
from .estimate import ASSUMED_MFU, Flops, RecordMeans, RunPlan, matmul_dtype
from .model.image_text import ImageTextModel, make_model_renderer
from .recipe import Recipe

SURVEY_SIZE = 8
"""Records of each source whose text and images are prepared to estimate the length of its records."""

LAYERS = (nn.Linear, nn.Conv2d, nn.Conv3d)
"""Layers whose weights count."""

QUANTIZED_BYTES = {"bnb-4bit": 0.52, "bnb-8bit": 1.01, None: None}
"""Bytes per quantized weight with its scales: 4 bits with double quantization, 8 bits."""


class ImageMeans(NamedTuple):
    """Means per image: patches of the tower, and tokens of the language model."""

    patches: float
    tokens: float


def plan_run(
    recipe: Recipe, processor: PreTrainedTokenizerBase, split: stream.Split, last_step: int, device: torch.device,
    world_size: int,
) -> RunPlan:  # fmt: skip
    """Estimate a run, without the weights of its model.

    Raises:
        UsageError: as `ImageTextModel`; the device has not enough memory.
        WorkError: a record is broken or too long.
    """
    with torch.device("meta"):
        model = ImageTextModel(recipe, processor)
    renderer = make_model_renderer(recipe, model, processor)
    means, images = survey(split, renderer, model)
    needed, available = estimate_memory(model, recipe, means, images.patches, world_size), devices.free_memory(device)
    if needed > available:
        raise UsageError(
            f"{recipe.name} needs about {needed / GIB:.1f} GiB on a {devices.name(device)} with "
            f"{available / GIB:.1f} GiB; set run.gradient_checkpointing, a smaller run.pack_tokens or "
            "run.micro_batch_size, run.quantize, or run.parallel=fsdp on more devices"
        )
    flops, peak = count_flops(model, recipe, images), devices.peak(device, matmul_dtype(recipe))
    batch = recipe.run.global_batch_size
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    sources = ", ".join(f"{source} {records}" for source, records in split.epoch_counts().items())
    seen = min(last_step * batch, (recipe.run.epochs or last_step * batch) * len(split))
    operations = flops.of(means) * seen
    hours = operations * flops.recompute_factor / (peak.flops * world_size * ASSUMED_MFU) / 3600
    lines = [
        f"records: {len(split)} per epoch ({sources}), {seen / len(split):.2f} epochs",
        f"steps: {last_step} of {batch} records, about {means.tokens * batch:.0f} tokens per step "
        f"({means.tokens:.0f} per record, {means.answer_tokens:.0f} of them answer, {means.images:.2f} images; "
        f"from {SURVEY_SIZE} records of each source)",
        f"parameters: {total:,}, trainable {trainable:,} ({', '.join(recipe.train)}), {model.base.config.model_type}",
        f"operations: at least {operations:.3g} FLOPs ({flops.token:.3g} per token, {flops.image:.3g} per image of "
        f"{images.patches:.0f} patches without the tower's attention)",
        f"device: {world_size} x {devices.name(device)}, {peak.flops / 1e12:.3g} TFLOP/s ({peak.origin}), about "
        f"{needed / GIB:.2f} of {available / GIB:.1f} GiB (a rough estimate for this kind of model), about "
        f"{hours:.3g} hours at {ASSUMED_MFU:.0%} MFU",
    ]
    return RunPlan(cast(Any, renderer), flops, peak.flops * world_size, lines)


def survey(
    split: stream.Split, renderer: ChatRenderer, model: ImageTextModel, size: int = SURVEY_SIZE
) -> tuple[RecordMeans, ImageMeans]:
    """Prepare the first `size` records of each source; give means of records, by their share, and of images."""
    sums: dict[str, Counter[str]] = {}
    images, patches, image_tokens, reader = 0, 0.0, 0, stream.Reader(split, COLUMNS)
    for position in _first_positions(split, size):
        record = reader.row(position)
        sample = renderer.encode(record)
        counter = sums.setdefault(record["source"], Counter())
        counter["records"] += 1
        counter["tokens"] += sample.length
        counter["squared_tokens"] += sample.length**2
        counter["answer_tokens"] += int((sample.labels != IGNORE_INDEX).sum())
        counter["images"] += sample.num_images
        images, patches = images + sample.num_images, patches + count_patches(sample, model)
        image_tokens += count_image_tokens(sample, model)
    epoch = split.epoch_counts().items()

    def mean(key: str) -> float:
        return sum(count * sums[source][key] / sums[source]["records"] for source, count in epoch) / len(split)

    means = RecordMeans(mean("tokens"), mean("squared_tokens"), mean("answer_tokens"), mean("images"))
    return means, ImageMeans(patches / max(1, images), image_tokens / max(1, images))


def count_image_tokens(sample: ChatSample, model: ImageTextModel) -> int:
    """Count the tokens that images replace."""
    return int((sample.tokens["input_ids"] == model.base.config.image_token_id).sum())


def count_patches(sample: ChatSample, model: ImageTextModel) -> float:
    """Count the patches that the tower makes of a sample's images."""
    if "pixel_values" not in sample.images:
        return 0.0
    vision = model.base.config.vision_config
    side = getattr(vision, "patch_size", 14)
    height, width = (side, side) if isinstance(side, int) else side
    size = height * width * 3 * getattr(vision, "temporal_patch_size", 1)
    return float(sample.images["pixel_values"].numel() / size)


def count_flops(model: ImageTextModel, recipe: Recipe, images: ImageMeans) -> Flops:
    """Count the operations of a model, per token and per image."""
    train, config = set(recipe.train), model.base.config.get_text_config()
    parts: Counter[str] = Counter()
    for name, module in model.base.named_modules():
        if isinstance(module, LAYERS) and "lora_" not in name:
            parts[model.part_of(f"{name}.weight")] += module.weight.numel()
    decoder = parts["language"]
    passes = 6 if "language" in train else 4
    tower = 2 * images.patches * parts["tower"] * (3 if "tower" in train else 1)
    projector = 2 * images.tokens * parts["projector"] * (3 if train & {"tower", "projector"} else 1)
    return Flops(
        token=passes * decoder,
        squared_token=6 * config.hidden_size * config.num_hidden_layers,
        answer_token=2 * config.hidden_size * config.vocab_size * (3 if train & {"language", "embeddings"} else 2),
        image=tower + projector,
        recompute_factor=1 + 2 / passes if recipe.run.gradient_checkpointing else 1,
    )


def estimate_memory(
    model: ImageTextModel, recipe: Recipe, means: RecordMeans, patches: float, world_size: int = 1
) -> int:
    """Estimate the bytes that training takes on one rank, by the formulas of `estimate.estimate_memory`."""
    run, config = recipe.run, model.base.config.get_text_config()
    width, inner, depth = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    quantized = QUANTIZED_BYTES[run.quantize]
    weights = sum(
        p.numel() * (p.itemsize * 2 + 8 if p.requires_grad else quantized or p.itemsize) for p in model.parameters()
    )
    value = 2 if run.precision == "bf16" else 4
    tokens = run.pack_tokens or (run.micro_batch_size or 1) * means.tokens
    samples = tokens / means.tokens
    per_layer = (8 * width + 4 * inner) * value * tokens
    layers = depth * width * value * tokens + per_layer if run.gradient_checkpointing else depth * per_layer
    vision = model.base.config.vision_config
    vision_depth = getattr(vision, "num_hidden_layers", None) or getattr(vision, "depth", 24)
    kept = vision_depth if {"tower", "projector"} & set(recipe.train) and not run.gradient_checkpointing else 1
    tower = 16 * vision.hidden_size * value * samples * means.images * patches * kept
    logits = 3 * 4 * config.vocab_size * means.answer_tokens * samples
    mask = (run.pack_tokens or 0) ** 2
    return int(weights / (world_size if run.parallel == "fsdp" else 1) + layers + tower + logits + mask)


def _first_positions(split: stream.Split, size: int) -> list[stream.RowPosition]:
    taken: Counter[str] = Counter()
    found = []
    for number, shard in enumerate(split.shards):
        for row_group, rows in enumerate(shard.row_groups):
            for row in range(min(rows, size - taken[shard.source])):
                taken[shard.source] += 1
                found.append(stream.RowPosition(number, row_group, row))
    return found
