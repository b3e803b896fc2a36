"""The folders of the families, made once, and recipes for them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from medmix.curate.config import override
from medmix.train.recipe import Recipe
from medmix.train.recipes import from_dict

from ..conftest import _one_thread, mix
from .families import FAMILIES, write

__all__ = ["_one_thread", "mix"]

needs_num2words = pytest.mark.skipif(find_spec("num2words") is None, reason="SmolVLM's processor needs num2words")

NAMES = [pytest.param(name, marks=needs_num2words if name == "smolvlm" else ()) for name in FAMILIES]
PACKING = [pytest.param(*part.values, marks=part.marks) for part in NAMES if FAMILIES[part.values[0]].packs]


@pytest.fixture(scope="session")
def folder_of(once: Any) -> Any:
    """The folder of a family by its name."""
    return lambda name: once(f"family-{name}", lambda folder: write(name, folder))


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
