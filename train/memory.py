"""Estimates the memory that training takes on one rank, and names settings that fit a device."""

from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from medmix.curate.errors import UsageError

from .device import GIB, DeviceSpec
from .model.vision_language import VisionLanguageModel
from .rank_zero import local_world_size
from .recipe import Recipe
from .survey import RecordMeans


def estimate_memory(
    model: VisionLanguageModel, recipe: Recipe, means: RecordMeans, world_size: int = 1, per_node: int | None = None
) -> int:
    """Estimate the bytes that training takes on one of `world_size` ranks, `per_node` of them on a node.

    None for `per_node` takes the number of this machine.

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
    shards = {"ddp": 1, "fsdp": world_size, "hsdp": per_node or local_world_size(world_size)}[run.parallel]
    return int(weights / shards + layers + tower + logits)


def validate_memory(
    model: VisionLanguageModel, recipe: Recipe, means: RecordMeans, device: DeviceSpec, world_size: int,
    max_record_tokens: int, per_node: int | None = None,
) -> None:  # fmt: skip
    """Raise unless the device has enough memory.

    Raises:
        UsageError: it has not; names settings that fit.
    """
    available, needed = device.memory, estimate_memory(model, recipe, means, world_size, per_node)
    if needed <= available:
        return
    fitting = next(
        (text for text, other, ranks in _smaller_settings(recipe, world_size, max_record_tokens)
         if estimate_memory(model, other, means, ranks) <= available),
        "no packing and no number of ranks; choose a smaller language model",
    )  # fmt: skip
    raise UsageError(
        f"{recipe.name} needs about {needed / GIB:.1f} GiB on a {device.name} with {available / GIB:.1f} GiB; "
        f"what would fit: {fitting}"
    )


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
