"""A real LLaMA, whose heads share keys and values: its documented text, and packing on it."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from medmix.train import recipe
from medmix.train.data import tokenizer as tokenizers
from medmix.train.data.collate import Sample, collate, collate_packed
from medmix.train.model.vision_language import VisionLanguageModel


@pytest.fixture(scope="module")
def stories() -> Any:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "stories.py"
    spec = importlib.util.spec_from_file_location("stories", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def converted(stories: Any, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stories") / "language"
    stories.convert(real_data / "stories260K/stories260K.bin", real_data / "stories260K/tok512.bin", out)
    return out


def test_it_generates_the_documented_story(stories: Any, converted: Path, real_data: Path) -> None:
    text = stories.story(converted, max_new_tokens=120)
    assert text.startswith(stories.QUOTED)
    assert text in (real_data / "stories260K/doc/stories260K.md").read_text()


def test_packing_is_exact(stories: Any, converted: Path, tmp_path: Path) -> None:
    made: recipe.Recipe = stories.train_recipe(tmp_path, converted, 1)
    tokenizer = tokenizers.load(converted, made.language)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 0)
    torch.manual_seed(0)
    model = VisionLanguageModel(made, tokenizer).eval()
    texts = ["Once upon a time, there was a cat.", "Lily saw a big, red ball and", "One day"]
    samples = [Sample(text, [1, *ids], [-100, *ids], []) for text in texts for ids in [tokenizer(text)["input_ids"]]]
    with torch.no_grad():
        packed = model(collate_packed(samples, 0, 64))
        alone = torch.cat([model(collate([sample], 0, 64)) for sample in samples])
    assert torch.allclose(packed, alone, atol=1e-4)
    assert (packed / torch.tensor([len(sample.input_ids) - 1 for sample in samples])).max() < 4  # it knows English
