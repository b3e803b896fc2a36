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
from .device import GIB, DeviceSpec
from .estimate import ASSUMED_MFU, Flops, Prediction, RunPlan, matmul_dtype
from .model.image_text import ImageTextModel, make_model_renderer
from .rank_zero import local_world_size
from .recipe import Recipe
from .survey import RecordMeans

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
    """Estimate a run on a device of this machine, without the weights of its model.

    Raises:
        UsageError: as `plan_for` and `validate_memory`.
        WorkError: as `plan_for`.
    """
    spec = devices.describe(device, matmul_dtype(recipe))
    plan = plan_for(recipe, processor, split, last_step, spec, world_size)
    validate_memory(recipe, plan.prediction, spec)
    return plan


def plan_for(
    recipe: Recipe, processor: PreTrainedTokenizerBase, split: stream.Split, last_step: int, device: DeviceSpec,
    world_size: int, per_node: int | None = None,
) -> RunPlan:  # fmt: skip
    """Estimate a run on `world_size` such devices, `per_node` on a machine, whether its memory suffices or not.

    Raises:
        UsageError: as `ImageTextModel`.
        WorkError: a record is broken or too long.
    """
    with torch.device("meta"):
        model = ImageTextModel(recipe, processor)
    renderer = make_model_renderer(recipe, model, processor)
    means, images = survey(split, renderer, model)
    flops, batch = count_flops(model, recipe, images), recipe.run.global_batch_size
    seen = min(last_step * batch, (recipe.run.epochs or last_step * batch) * len(split))
    operations, peak_flops = flops.of(means) * seen, device.peak.flops * world_size
    prediction = Prediction(
        steps=last_step,
        records=seen,
        tokens=means.tokens * seen,
        flops=operations,
        hours=operations * flops.recompute_factor / (peak_flops * ASSUMED_MFU) / 3600,
        memory=estimate_memory(model, recipe, means, images.patches, world_size, per_node),
    )
    lines = _lines(model, recipe, split, means, images, prediction, flops, device, world_size)
    return RunPlan(cast(Any, renderer), flops, peak_flops, lines, means, prediction, cast(Any, model))


def validate_memory(recipe: Recipe, prediction: Prediction, device: DeviceSpec) -> None:
    """Raise unless the device has enough memory.

    Raises:
        UsageError: it has not.
    """
    if prediction.memory > device.memory:
        raise UsageError(
            f"{recipe.name} needs about {prediction.memory / GIB:.1f} GiB on a {device.name} with "
            f"{device.memory / GIB:.1f} GiB; set run.gradient_checkpointing, a smaller run.pack_tokens or "
            "run.micro_batch_size, run.quantize, or run.parallel=fsdp on more devices"
        )


def _lines(
    model: ImageTextModel, recipe: Recipe, split: stream.Split, means: RecordMeans, images: ImageMeans,
    prediction: Prediction, flops: Flops, device: DeviceSpec, world_size: int,
) -> list[str]:  # fmt: skip
    batch = recipe.run.global_batch_size
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    sources = ", ".join(f"{source} {records}" for source, records in split.epoch_counts().items())
    return [
        f"records: {len(split)} per epoch ({sources}), {prediction.records / len(split):.2f} epochs",
        f"steps: {prediction.steps} of {batch} records, about {means.tokens * batch:.0f} tokens per step "
        f"({means.tokens:.0f} per record, {means.answer_tokens:.0f} of them answer, {means.images:.2f} images; "
        f"from {SURVEY_SIZE} records of each source)",
        f"parameters: {total:,}, trainable {trainable:,} ({', '.join(recipe.train)}), {model.base.config.model_type}",
        f"operations: at least {prediction.flops:.3g} FLOPs ({flops.token:.3g} per token, {flops.image:.3g} per image "
        f"of {images.patches:.0f} patches without the tower's attention)",
        f"device: {world_size} x {device.name}, {device.peak.flops / 1e12:.3g} TFLOP/s ({device.peak.origin}), about "
        f"{prediction.memory / GIB:.2f} of {device.memory / GIB:.1f} GiB (a rough estimate for this kind of model), "
        f"about {prediction.hours:.3g} hours at {ASSUMED_MFU:.0%} MFU",
    ]


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

    surveyed = sum(counter["records"] for counter in sums.values())
    means = RecordMeans(mean("tokens"), mean("squared_tokens"), mean("answer_tokens"), mean("images"), surveyed)
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
    model: ImageTextModel, recipe: Recipe, means: RecordMeans, patches: float, world_size: int = 1,
    per_node: int | None = None,
) -> int:  # fmt: skip
    """Estimate the bytes that training takes on one rank, by the formulas of `memory.estimate_memory`."""
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
    shards = {"ddp": 1, "fsdp": world_size, "hsdp": per_node or local_world_size(world_size)}[run.parallel]
    return int(weights / shards + layers + tower + logits + mask)


def _first_positions(split: stream.Split, size: int) -> list[stream.RowPosition]:
    taken: Counter[str] = Counter()
    found = []
    for number, shard in enumerate(split.shards):
        for row_group, rows in enumerate(shard.row_groups):
            for row in range(min(rows, size - taken[shard.source])):
                taken[shard.source] += 1
                found.append(stream.RowPosition(number, row_group, row))
    return found
