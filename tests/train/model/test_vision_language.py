from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError
from medmix.train.data.collate import Batch, Sample, collate, pixels
from medmix.train.data.render import IGNORE_INDEX, Renderer
from medmix.train.data.tokenizer import train_bpe
from medmix.train.model.vision_language import VisionLanguageModel
from medmix.train.model.weights import load_tower
from medmix.train.recipe import Language, Weights

from ..conftest import COLOURS, png, record, tiny_recipe


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_bpe(["What colour is it?", "red green blue"], Language(vocab_size=300))


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    torch.manual_seed(0)
    return VisionLanguageModel(tiny_recipe(), tokenizer).eval()


def batch(model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase, *rows: dict[str, Any]) -> Batch:
    recipe = tiny_recipe()
    renderer = Renderer(tokenizer, recipe.text, model.image_tokens, recipe.vision.max_images)
    samples = [Sample(row["id"], *renderer.encode(row), pixels(row, recipe.vision)) for row in rows]
    return collate(samples, tokenizer.pad_token_id, recipe.vision.size)


RED = record("s/1", "vqa", "What colour is it?", "red", png(COLOURS["red"]))
BLUE = {**RED, "images": [{"bytes": png(COLOURS["blue"]), "path": None}]}
TEXT = record("s/2", "qa", "Is it even?", "no")


def test_the_image_matters(model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase) -> None:
    red, blue = (model.logits(batch(model, tokenizer, row)) for row in (RED, BLUE))
    assert red.shape[-1] == len(tokenizer)
    assert torch.equal(red[:, 0], blue[:, 0])  # the begin token stands before the image
    assert (red[:, -1] - blue[:, -1]).abs().max() > 1e-4


def test_the_loss_is_that_of_the_answer_tokens(model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase) -> None:
    both = batch(model, tokenizer, RED, TEXT)
    logits, labels = model.logits(both)[:, :-1], both.labels[:, 1:]
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE_INDEX, reduction="sum")
    assert model(both).sum().item() == pytest.approx(expected.item(), rel=1e-6)
    alone = sum(model(batch(model, tokenizer, row)).sum().item() for row in (RED, TEXT))
    assert model(both).sum().item() == pytest.approx(alone, rel=1e-5)


def test_text_alone_does_not_run_the_tower(
    model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.tower, "forward", None)
    assert model(batch(model, tokenizer, TEXT)).sum().item() > 0


def test_the_recipe_selects_the_class_token(tokenizer: PreTrainedTokenizerBase) -> None:
    with_class = VisionLanguageModel(tiny_recipe("vision.cls_token=true"), tokenizer)
    assert with_class.image_tokens == 5
    assert VisionLanguageModel(tiny_recipe(), tokenizer).image_tokens == 4
    assert with_class(batch(with_class, tokenizer, RED)).sum().item() > 0


@pytest.mark.parametrize(
    ("overrides", "trained"),
    [
        (("train=[projector]", "lora=null"), {"projector"}),
        (("train=[tower, projector, lora]",), {"tower", "projector", "lora"}),
        (("train=[embeddings, lora]",), {"embeddings", "lora"}),
        (("train=[language]", "lora=null"), {"embeddings", "language"}),
    ],
)
def test_the_recipe_selects_the_trained_parts(
    tokenizer: PreTrainedTokenizerBase, overrides: tuple[str, ...], trained: set[str]
) -> None:
    found = set()
    for name, parameter in VisionLanguageModel(tiny_recipe(*overrides), tokenizer).named_parameters():
        if parameter.requires_grad:
            inside = "lora" if "lora_" in name else "embeddings" if "embed_tokens" in name or "lm_head" in name else ""
            found.add(inside or name.split(".")[0])
    assert found == trained


def test_a_tower_loads_from_a_plain_file_and_from_open_clips_layout(model: VisionLanguageModel, tmp_path: Path) -> None:
    state = {name: torch.randn_like(tensor) for name, tensor in model.tower.timm.state_dict().items()}
    save_file(state, tmp_path / "plain.safetensors")
    clip = {"logit_scale": torch.ones(1), "visual.head.proj.weight": torch.ones(2, 2)}
    torch.save(clip | {f"visual.trunk.{name}": tensor for name, tensor in state.items()}, tmp_path / "clip.bin")
    for name in ("plain.safetensors", "clip.bin"):
        tower = VisionLanguageModel(tiny_recipe(), _tokenizer_of(model)).tower.timm
        load_tower(tower, Weights("a/b", str(tmp_path / name)))
        assert all(torch.equal(tensor, state[key]) for key, tensor in tower.state_dict().items())


def test_a_tower_that_does_not_fit_is_refused(model: VisionLanguageModel, tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        UsageError, match=r"other\.safetensors does not fit the tower of the recipe \(timm layout\): has no cls_token, "
    ):
        load_tower(model.tower.timm, Weights("a/b", str(tmp_path / "other.safetensors")))
    (tmp_path / "broken.bin").write_bytes(b"no pickle")
    with pytest.raises(UsageError, match=r"broken\.bin cannot be read as a state dict"):
        load_tower(model.tower.timm, Weights("a/b", str(tmp_path / "broken.bin")))
    (tmp_path / "pointer.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(
        UsageError, match=r"pointer\.bin: is a Git LFS pointer and not the file itself; run git lfs pull"
    ):
        load_tower(model.tower.timm, Weights("a/b", str(tmp_path / "pointer.bin")))


def test_a_pretrained_language_model_loads_from_its_folder(
    model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    base = VisionLanguageModel(tiny_recipe("train=[language]", "lora=null"), tokenizer).base
    base.config.update({"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": -1})  # as PMC-LLaMA's config has them
    base.save_pretrained(tmp_path)
    recipe = tiny_recipe()
    recipe = replace(recipe, language=Language(weights=Weights("a/b", str(tmp_path))))
    loaded = VisionLanguageModel(recipe, tokenizer)
    assert loaded.base.config.eos_token_id == tokenizer.eos_token_id
    assert torch.equal(loaded.base.lm_head.weight, base.lm_head.weight)


def _tokenizer_of(model: VisionLanguageModel) -> PreTrainedTokenizerBase:
    return train_bpe(["a"], Language(vocab_size=model.base.config.vocab_size))
