"""Checks of a train recipe: values out of range, and settings that contradict each other."""

from typing import Any

from medmix.curate.config import flatten, nearest

from .recipe import Language, Recipe, Text, Vision, as_dict

PARTS = ("tower", "projector", "embeddings", "language", "lora")
"""The trainable parts: the vision tower, the projector, the token embeddings with the output layer, the whole
language model, LoRA adapters on the language model."""

COUNTS = (
    "vision.size", "vision.max_images", "vision.max_pixels", "language.vocab_size", "lora.r",
    "model.max_images", "model.max_pixels",
    "text.max_prompt_tokens", "text.max_answer_tokens", "run.global_batch_size", "run.pack_tokens",
    "run.micro_batch_size", "run.epochs", "run.steps", "run.checkpoint_every", "run.keep_checkpoints",
    "run.timeout_minutes", "run.evaluate_every", "run.evaluate_records",
    "generation.batch_size", "generation.max_new_tokens",
)  # fmt: skip
"""Settings that must be 1 or more."""


def problems(recipe: Recipe) -> list[str]:
    """List the values out of range and the settings that contradict each other."""
    lora, text, optim, run = recipe.lora, recipe.text, recipe.optim, recipe.run
    train = set(recipe.train)
    rules = [
        *_model_rules(recipe),
        (not train, "train: names nothing to train"),
        (len(train) < len(recipe.train), "train: names a part twice"),
        (recipe.sources == (), "sources: names no source; leave it out to train on all"),
        (recipe.sources and len({*recipe.sources}) < len(recipe.sources), "sources: names a source twice"),
        (("lora" in train) != (lora is not None), "lora: give this section if and only if train names lora"),
        ("language" in train and "lora" in train, "train: lora is for a frozen language model; drop lora or language"),
        ("language" in train and "embeddings" in train, "train: language includes embeddings; drop one"),
        (bool(run.quantize) and train - {"lora"}, "run.quantize: is for frozen weights; train lora alone, or drop it"),
        (lora and not lora.target_modules, "lora.target_modules: names no layer"),
        (lora and not 0 <= lora.dropout < 1, "lora.dropout: must be in 0 <= dropout < 1"),
        (text.template.count("{prompt}") != 1, "text.template: must contain {prompt} once"),
        (optim.lr <= 0, "optim.lr: must be above 0"),
        (optim.lr_tower is not None and optim.lr_tower <= 0, "optim.lr_tower: must be above 0"),
        (optim.lr_projector is not None and optim.lr_projector <= 0, "optim.lr_projector: must be above 0"),
        (optim.lr_tower is not None and "tower" not in train, "optim.lr_tower: train does not name tower; drop one"),
        (optim.lr_projector is not None and "projector" not in train,
         "optim.lr_projector: train does not name projector; drop one"),
        (optim.max_grad_norm <= 0, "optim.max_grad_norm: must be above 0"),
        (optim.weight_decay < 0, "optim.weight_decay: must be 0 or more"),
        (optim.warmup_steps < 0, "optim.warmup_steps: must be 0 or more"),
        (not all(0 <= beta < 1 for beta in optim.betas), "optim.betas: must be in 0 <= beta < 1"),
        ((run.epochs is None) == (run.steps is None), "run: give either epochs or steps"),
        ((run.pack_tokens is None) == (run.micro_batch_size is None),
         "run: give either pack_tokens or micro_batch_size"),
        (run.keep == "best" and run.evaluate_every is None, "run.keep: best needs run.evaluate_every"),
        (run.workers < 0, "run.workers: must be 0 or more"),
    ]  # fmt: skip
    values = flatten(as_dict(recipe))
    return [
        *(f"train: {part!r} is no trainable part{nearest(part, PARTS)}" for part in recipe.train if part not in PARTS),
        *(problem for broken, problem in rules if broken),
        *(f"{key}: must be 1 or more" for key in COUNTS if values.get(key) is not None and values[key] < 1),
    ]


def _model_rules(recipe: Recipe) -> list[tuple[bool, str]]:
    """Give the rules of the sections that describe the model."""
    parts: dict[str, Any] = {"vision": recipe.vision, "language": recipe.language}
    if recipe.model is None:
        if recipe.run.quantize:
            return [(True, "run.quantize: is for model, a model of transformers; drop it")]
        missing = [(part is None, f"{name}: is missing, or give model instead") for name, part in parts.items()]
        return missing if any(broken for broken, _ in missing) else _part_rules(recipe.vision, recipe.language)
    given = [name for name, part in parts.items() if part is not None]
    return [
        (bool(given), f"model: brings its own tower and language model; drop {' and '.join(given)}, or model"),
        (recipe.optim.lr_tower is not None or recipe.optim.lr_projector is not None,
         "optim.lr_tower, optim.lr_projector: are for vision and language; model has one rate, optim.lr"),
        (recipe.text.template != Text().template, "text.template: model has its own chat template; drop it"),
    ]  # fmt: skip


def _part_rules(vision: Vision, language: Language) -> list[tuple[bool, str]]:
    """Give the rules of a tower and a language model."""
    from_scratch, shape = language.weights is None, language.shape
    return [
        (from_scratch and (not shape or not language.vocab_size),
         "language: give either weights, or both shape and vocab_size"),
        (not from_scratch and bool(shape or language.vocab_size),
         "language: weights bring their own shape and vocabulary; drop shape and vocab_size, or weights"),
        (shape is not None and shape.hidden_size % (2 * shape.num_attention_heads) != 0,
         "language.shape: hidden_size must be a multiple of twice num_attention_heads"),
        ("img_size" in vision.kwargs, "vision.kwargs.img_size: set vision.size instead"),
        ("num_classes" in vision.kwargs, "vision.kwargs.num_classes: the tower has no classifier; drop it"),
        (min(vision.std) <= 0, "vision.std: must be above 0"),
    ]  # fmt: skip
