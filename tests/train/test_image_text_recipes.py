"""The arithmetic in the recipes' comments, from the published configurations, on the meta device.

The configurations are those of the repositories' config.json, without what transformers has as a default.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, Gemma3Config, Idefics3Config, Qwen2_5_VLConfig

from medmix.curate.config import yaml_path
from medmix.train.data.chat_template import load_processor
from medmix.train.model.image_text import validate_packing
from medmix.train.model.image_text_weights import adapt
from medmix.train.recipe import ImageText, Weights
from medmix.train.recipes import load

CONFIGS: dict[str, Any] = {
    "qwen2.5-vl-7b-lora": Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 128000,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]},
        },
        vision_config={"hidden_size": 1280, "out_hidden_size": 3584},
    ),
    "medgemma-4b-lora": Gemma3Config(
        text_config={
            "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024,
        },
        vision_config={
            "model_type": "siglip_vision_model", "hidden_size": 1152, "image_size": 896, "intermediate_size": 4304,
            "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14, "vision_use_head": False,
        },
        mm_tokens_per_image=256,
    ),
    "smolvlm-256m": Idefics3Config(
        text_config={
            "model_type": "llama", "vocab_size": 49280, "hidden_size": 576, "intermediate_size": 1536,
            "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "pad_token_id": 2,
            "max_position_embeddings": 8192,
        },
        vision_config={
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "image_size": 512, "patch_size": 16,
        },
        scale_factor=4, image_token_id=49190, tie_word_embeddings=False,
    ),
}  # fmt: skip
PARAMETERS = {
    "qwen2.5-vl-7b-lora": 8_292_166_656, "medgemma-4b-lora": 4_300_079_472, "smolvlm-256m": 256_484_928,
}  # fmt: skip
"""As the Hub shows for each repository: 8.29, 4.30 and 0.256 billion."""

LORA = {"qwen2.5-vl-7b-lora": 40_370_176, "medgemma-4b-lora": 29_802_496}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_parameters_are_those_in_the_recipe(name: str) -> None:
    recipe = load(name)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(CONFIGS[name])
    validate_packing(recipe, model)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == PARAMETERS[name]
    text = yaml_path("recipes/train", name).read_text(encoding="utf-8")
    assert f"{total:,}" in text
    if recipe.lora:
        with torch.device("meta"):
            adapted = adapt(model, recipe.lora)
        lora = sum(parameter.numel() for key, parameter in adapted.named_parameters() if "lora_" in key)
        assert lora == LORA[name] and f"{lora:,}" in text
        assert not any("lora_" in key for key, _ in adapted.named_parameters() if "vision" in key or "visual" in key)


@pytest.mark.parametrize(("name", "arguments", "tokens"), [
    ("qwen2.5-vl", {"size": {"shortest_edge": 28 * 28, "longest_edge": 28 * 28}}, 1),
    ("idefics3", {"size": {"longest_edge": 28}}, 4),
])  # fmt: skip
def test_the_size_of_images_is_an_argument_of_the_processor(
    name: str, arguments: dict[str, Any], tokens: int, folder_of: Any
) -> None:
    counts = []
    for given in (arguments, {}):
        folder: Path = folder_of(name)
        processor = load_processor(folder, ImageText(Weights("owner/family", str(folder)), processor=given))
        content = [{"type": "image", "image": Image.new("RGB", (84, 56))}, {"type": "text", "text": "Why?"}]
        ids = processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=True, return_dict=True, return_tensors="pt"
        )["input_ids"]
        image = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
        counts.append(int((ids == image).sum()))
    assert counts[0] == tokens < counts[1]
