"""The two kinds of model by the recipe: tower and language model, or a transformers model for images and text.

Both have what training, checkpoints and generation use of `VisionLanguageModel`, after which the types here are named.
"""

from pathlib import Path
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from ..data import chat_template, stream
from ..data import tokenizer as tokenizers
from ..data.batches import StepBuilder
from ..data.chat_batches import ChatStepBuilder
from ..data.render import Renderer
from ..recipe import Recipe
from .image_text import ImageTextModel
from .vision_language import VisionLanguageModel
from .weights import load_tower, validate_weights


def load_tokenizer(folder: Path, recipe: Recipe) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a checkpoint, or the processor of a transformers model.

    Raises:
        UsageError: it cannot be loaded, or does not fit the recipe.
    """
    if recipe.model:
        return cast(Any, chat_template.load_processor(folder, recipe.model))
    return tokenizers.load(folder, recipe.language)


def pretrained_processor(recipe: Recipe) -> PreTrainedTokenizerBase | None:
    """Load the processor of the recipe's transformers model; None if the recipe has another kind of model.

    Raises:
        UsageError: the folder is missing, or its processor cannot be used.
    """
    if recipe.model is None:
        return None
    validate_weights({"model.weights.path": recipe.model.weights})
    return load_tokenizer(Path(recipe.model.weights.path), recipe)


def build(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    """Build the model, with the pretrained weights of its language model or transformers model.

    Raises:
        UsageError: as `VisionLanguageModel` and `ImageTextModel`.
    """
    if recipe.model:
        return cast(Any, ImageTextModel(recipe, tokenizer))
    return VisionLanguageModel(recipe, tokenizer)


def build_new(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    """Build the model of a new run, with all pretrained weights.

    Raises:
        UsageError: as `build` and `load_tower`.
    """
    model = build(recipe, tokenizer)
    if recipe.model is None and recipe.vision.weights:
        load_tower(model.tower.timm, recipe.vision.weights)
    return model


def step_builder(
    split: stream.Split, recipe: Recipe, renderer: Renderer, seen: int, rank: int, world_size: int
) -> StepBuilder:
    """Make the builder of steps for the recipe's kind of model."""
    kind = ChatStepBuilder if recipe.model else StepBuilder
    return kind(split, recipe, renderer, seen, rank, world_size)
