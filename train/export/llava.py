"""Converts a checkpoint's model to transformers' `LlavaForConditionalGeneration`.

LoRA is merged into the weights. Our linear projector becomes LLaVA's two layers: itself and the identity.
"""

from collections.abc import Iterator
from typing import Any

import peft
import torch
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import LlavaConfig, LlavaForConditionalGeneration, PreTrainedModel

from ..model.vision_language import VisionLanguageModel
from ..recipe import Recipe
from .processor import feature_strategy
from .vision import Layout, to_transformers


def to_llava(
    ours: VisionLanguageModel, recipe: Recipe, layout: Layout, image_token: int, dtype: torch.dtype
) -> LlavaForConditionalGeneration:
    """Convert a model, in place where it can: afterwards it is the exported one that holds the weights.

    Args:
        ours: a trained model.
        recipe: that of the run.
        layout: of the tower, from `find_layout`.
        image_token: id of the image token, which the vocabulary may lack.
        dtype: of the exported weights.

    Raises:
        WorkError: as `to_transformers`.
    """
    base = _merged(ours, dtype)
    base.set_attn_implementation("sdpa")
    tower = to_transformers(ours.tower.timm.to(dtype), recipe.vision.size, layout)
    _make_room(base, image_token)
    has_class = ours.tower.timm.num_prefix_tokens == 1
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=base.config,
        image_token_index=image_token,
        image_seq_length=ours.image_tokens,
        projector_hidden_act="linear",
        vision_feature_layer=-1,
        vision_feature_select_strategy=feature_strategy(recipe, has_class),
    )
    with torch.device("meta"):
        exported = LlavaForConditionalGeneration(config)
    exported.model.vision_tower, exported.model.language_model = tower, base.model
    exported.lm_head = base.lm_head
    exported.model.multi_modal_projector.linear_1 = ours.projector.to(dtype)
    exported.model.multi_modal_projector.linear_2 = _identity(base.config.hidden_size, dtype)
    exported.config.dtype = dtype
    exported.generation_config = base.generation_config
    exported.generation_config.suppress_tokens = [image_token]
    return exported.eval()


def _merged(ours: VisionLanguageModel, dtype: torch.dtype) -> Any:
    """Merge LoRA into the language model and convert it to a dtype, one layer after the other.

    The sum of weight and adapter is computed in fp32, and rounded once.
    """
    for module in _lora_layers(ours.language):
        module.get_base_layer().float()
        module.float()
        module.merge()
        module.get_base_layer().to(dtype)
    language: Any = ours.language
    if isinstance(language, peft.PeftModel):
        language = language.unload()  # what is merged stays merged
    return language.to(dtype)


def _lora_layers(language: nn.Module) -> Iterator[Any]:
    return (module for module in language.modules() if isinstance(module, LoraLayer))


def _make_room(base: PreTrainedModel, token: int) -> None:
    """Give the embeddings and the output layer rows up to a token; rows that they get are 0."""
    inputs: Any = base.get_input_embeddings()
    known = inputs.num_embeddings
    if token < known:
        return
    base.resize_token_embeddings(token + 1, mean_resizing=False)
    with torch.no_grad():
        for layer in (base.get_input_embeddings(), base.get_output_embeddings()):
            rows: Any = layer.weight
            rows[known:] = 0


def _identity(width: int, dtype: torch.dtype) -> nn.Linear:
    layer = nn.Linear(width, width, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(width))
        nn.init.zeros_(layer.bias)
    return layer
