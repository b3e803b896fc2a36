"""Recipes, models and records for the tests of the families."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from medmix.curate.config import override
from medmix.train.data.chat import ChatRenderer, decode_images, make_renderer
from medmix.train.data.chat_template import load_processor
from medmix.train.model.image_text import ImageTextModel, Positions
from medmix.train.recipe import Recipe
from medmix.train.recipes import from_dict

from .conftest import COLOURS, png, record
from .families import FAMILIES

needs_num2words = pytest.mark.skipif(find_spec("num2words") is None, reason="SmolVLM's processor needs num2words")

NAMES = [pytest.param(name, marks=needs_num2words if name == "smolvlm" else ()) for name in FAMILIES]
PACKING = [pytest.param(*part.values, marks=part.marks) for part in NAMES if FAMILIES[part.values[0]].packs]

TWO = [png(colour, (30, 56)) for colour in list(COLOURS.values())[1:]]

ROWS = [
    record("s/1", "vqa", "What colour is it?", "red", png(COLOURS["red"])),
    record("s/2", "qa", "Is it even?", "no, it is not even at all"),
    record(
        "s/3", "caption", "Describe both.", "blue\nand green", *(png(c, (30, 56)) for c in list(COLOURS.values())[1:])
    ),
    record("s/4", "vqa", "Why is it of this colour, and not of another one?", "so", png(COLOURS["blue"], (90, 20))),
]
"""Records with one, no, two and one image, of several lengths."""

PARTS = "train=[lora, projector, embeddings]"


def recipe_of(folder: Path, *overrides: str) -> Recipe:
    """A recipe for LoRA on a family's language model, padded, with overrides."""
    data = {
        "name": "family",
        "train": ["lora"],
        "model": {"weights": {"repo": "owner/family", "path": str(folder)}, "max_images": 2},
        "lora": {"r": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"]},
        "optim": {"lr": 0.01},
        "run": {"steps": 3, "global_batch_size": 8, "micro_batch_size": 3, "checkpoint_every": 2},
        "generation": {"batch_size": 4, "max_new_tokens": 6},
    }
    for change in overrides:
        override(data, change)
    return from_dict(data, "family.yaml")


def model_and_renderer(folder: Path, recipe: Recipe) -> tuple[ImageTextModel, ChatRenderer]:
    """The model of a recipe, with random adapters, and its renderer."""
    assert recipe.model is not None
    processor = load_processor(folder, recipe.model)
    torch.manual_seed(0)
    model = ImageTextModel(recipe, processor).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)  # peft starts it at zero
    return model, make_renderer(recipe, recipe.model, processor, Positions(model.base), model.max_positions)


def own_inputs(processor: Any, row: dict[str, Any], renderer: ChatRenderer) -> Any:
    """What a family's processor gives for a record's user turn."""
    images = decode_images(row, renderer.model)
    content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": row["question"]}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt",
    )  # fmt: skip
