"""Bad input is one line, and exit code 2 where it is a recipe or a folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import LlamaConfig, LlamaForCausalLM

from medmix.cli import main
from medmix.curate.errors import UsageError, WorkError
from medmix.train.data.chat_template import load_processor
from medmix.train.model import image_text_weights, quantize
from medmix.train.model.image_text_weights import load_pretrained
from medmix.train.recipe import ImageText, Weights, as_dict
from medmix.train.recipes import from_dict, load
from medmix.train.run import loop

from ..conftest import png, record, records, tiny_recipe, write_mix
from ..family_runs import recipe_of


def refused(call: Any) -> str:
    with pytest.raises(UsageError) as caught:
        call()
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    return str(caught.value)


def changed(folder: Path, copy: Path, file: str, change: Any) -> Path:
    """A copy of a folder with one file changed."""
    shutil.copytree(folder, copy)
    (copy / file).write_text(change((copy / file).read_text()))
    return copy


def test_both_kinds_of_model_and_none(folder_of: Any) -> None:
    both = as_dict(load("smoke-cpu")) | {"model": as_dict(recipe_of(folder_of("llava")))["model"]}
    assert refused(lambda: from_dict(both, "r.yaml")) == (
        "r.yaml: model: brings its own tower and language model; drop vision and language, or model"
    )
    none = {key: value for key, value in both.items() if key not in ("vision", "language", "model")}
    assert refused(lambda: from_dict(none, "r.yaml")) == (
        "r.yaml: vision: is missing, or give model instead; r.yaml: language: is missing, or give model instead"
    )


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (("text.template='Q: {prompt}'",), "text.template: model has its own chat template; drop it"),
        (("run.quantize=bnb-4bit", "train=[lora, projector]"),
         "run.quantize: is for frozen weights; train lora alone, or drop it"),
        (("lora.init=pissa",), "lora.init: must be one of default, gaussian, orthogonal, is 'pissa'"),
        (("model.max_images=0",), "model.max_images: must be 1 or more"),
    ],
)  # fmt: skip
def test_a_recipe_that_contradicts_itself(overrides: tuple[str, ...], line: str, folder_of: Any) -> None:
    assert refused(lambda: recipe_of(folder_of("llava"), *overrides)).endswith(f"family.yaml: {line}")


def test_quantized_weights_are_not_for_tower_and_language_model() -> None:
    line = "smoke-cpu.yaml: run.quantize: is for model, a model of transformers; drop it"
    assert refused(lambda: tiny_recipe("run.quantize=bnb-4bit", "train=[lora]")) == line


def test_a_folder_without_a_model_for_images_and_text(tmp_path: Path, folder_of: Any) -> None:
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=32, **shape)).save_pretrained(tmp_path / "llama")
    line = refused(lambda: load_pretrained(recipe_of(tmp_path / "llama")))
    assert line == (
        f"{tmp_path / 'llama'} has a llama model, and transformers has no model for images and text of that type; give "
        "a folder that AutoModelForImageTextToText loads, or vision and language instead of model"
    )


def test_missing_weights_name_the_download(tmp_path: Path, mix: Path, folder_of: Any) -> None:
    line = refused(lambda: loop.train(mix, recipe_of(tmp_path / "none"), tmp_path / "run", False))
    assert f"none does not exist; type: hf download owner/family --local-dir {tmp_path / 'none'}, or give" in line
    copy = shutil.copytree(folder_of("llava"), tmp_path / "llava")
    (copy / "model.safetensors").unlink()
    line = refused(lambda: loop.train(mix, recipe_of(copy), tmp_path / "run", False))
    assert line.startswith(f"{copy}: no model for images and text can be loaded from it: ")
    assert line.endswith(f"; type: hf download owner/family --local-dir {copy}")
    (copy / "config.json").unlink()
    assert "hf download" in refused(lambda: load_pretrained(recipe_of(copy)))


def test_a_template_or_a_tokenizer_without_the_image_token(tmp_path: Path, folder_of: Any) -> None:
    def processor(folder: Path) -> Any:
        return lambda: load_processor(folder, ImageText(Weights("owner/family", str(folder))))

    def bared(text: str) -> str:
        return text.replace("<image>", "")

    bare = changed(folder_of("llava"), tmp_path / "bare", "chat_template.jinja", bared)
    assert refused(processor(bare)) == (
        f"{bare}: the chat template does not write the image token '<image>'; take the model's own template and "
        "tokenizer"
    )

    none = shutil.copytree(folder_of("llava"), tmp_path / "none")
    (none / "chat_template.jinja").unlink()
    assert refused(processor(none)) == (
        f"{none}: the processor has no chat template; add chat_template.jinja to that folder"
    )
    broken = changed(folder_of("llava"), tmp_path / "broken", "processor_config.json", lambda text: "{")
    assert refused(processor(broken)).startswith(f"{broken}: no processor can be loaded from it: ")


def test_a_tokenizer_of_another_model(tmp_path: Path, folder_of: Any, mix: Path) -> None:
    def renamed(text: str) -> str:
        return text.replace("<image>", "<picture>")

    folder = changed(folder_of("llava"), tmp_path / "other", "tokenizer.json", renamed)
    line = refused(lambda: loop.train(mix, recipe_of(folder), tmp_path / "run", False))
    assert line == (f"{folder}: the model's image token is 366, the tokenizer's is 367; take the model's own tokenizer")


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        ("[q_prj]", "no linear layer q_prj (did you mean 'q_proj'?); its language model has down_proj, gate_proj, "),
        ("['.*visoin.*q_proj']", "no linear layer that matches '.*visoin.*q_proj'; its language model has down_proj, "),
        ("['(']", "'(' is no regular expression (missing ), unterminated subpattern at position 0)"),
    ],
)
def test_target_modules_that_do_not_exist(targets: str, line: str, folder_of: Any, mix: Path, tmp_path: Path) -> None:
    recipe = recipe_of(folder_of("llava"), f"lora.target_modules={targets}")
    found = refused(lambda: loop.train(mix, recipe, tmp_path / "run", False))
    assert found.startswith("lora.target_modules: ") and line in found


def test_plain_names_are_of_the_language_model_and_patterns_of_any_part(folder_of: Any) -> None:
    def adapted(targets: str) -> set[str]:
        recipe = recipe_of(folder_of("llava"), f"lora.target_modules={targets}")
        assert recipe.lora is not None
        model = image_text_weights.adapt(load_pretrained(recipe), recipe.lora)
        return {name.split(".")[3] for name, _ in model.named_parameters() if "lora_" in name}

    assert adapted("[q_proj]") == {"language_model"}
    assert adapted("[q_proj, 'model.vision_tower.*q_proj']") == {"language_model", "vision_tower"}


def test_a_family_that_cannot_pack_names_micro_batch_size(folder_of: Any, tmp_path: Path, capsys: Any) -> None:
    mix = write_mix(tmp_path / "mix", {"train": records(2, "train")})
    file = tmp_path / "packs.yaml"
    recipe = as_dict(recipe_of(folder_of("gemma-3"), "run.pack_tokens=600", "run.micro_batch_size=null"))
    file.write_text(yaml.safe_dump(recipe | {"name": "packs"}))
    with pytest.raises(SystemExit) as stop:
        main(["train", "--mixture", str(mix), "--recipe", str(file), "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "medmix: error: run.pack_tokens: samples of a gemma3 model cannot share a row, because of its attention; give "
        "run.micro_batch_size instead (--set run.pack_tokens=null --set run.micro_batch_size=1)"
    )


def test_a_window_over_tokens_cannot_pack(folder_of: Any, tmp_path: Path, mix: Path) -> None:
    def windowed(text: str) -> str:
        config = json.loads(text)
        config["text_config"] |= {"model_type": "mistral", "sliding_window": 8}
        return json.dumps(config)

    folder = changed(folder_of("llava"), tmp_path / "window", "config.json", windowed)
    recipe = recipe_of(folder, "run.pack_tokens=600", "run.micro_batch_size=null")
    line = refused(lambda: loop.train(mix, recipe, tmp_path / "run", False))
    assert line.startswith("run.pack_tokens: samples of a llava model cannot share a row")


def test_quantize_needs_its_library_and_a_gpu(folder_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(folder_of("llava"), "run.quantize=bnb-4bit")
    monkeypatch.setattr(quantize, "find_spec", lambda name: None)
    assert refused(lambda: load_pretrained(recipe)) == (
        "run.quantize: bnb-4bit needs bitsandbytes; type: pip install 'medmix[qlora]'"
    )
    monkeypatch.setattr(quantize, "find_spec", lambda name: name)
    assert refused(lambda: load_pretrained(recipe)) == (
        "run.quantize: bnb-4bit needs a GPU; leave it out with --set run.quantize=null"
    )


@pytest.mark.parametrize("kind", ["bnb-4bit", "bnb-8bit"])
def test_quantize_is_handed_to_transformers(kind: str, folder_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is not installed here, so the call of transformers is looked at."""
    seen: dict[str, Any] = {}

    class Stop(Exception):
        pass

    def from_pretrained(folder: Path, **options: Any) -> Any:
        seen.update(options)
        raise Stop

    monkeypatch.setattr(quantize, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(image_text_weights.AutoModelForImageTextToText, "from_pretrained", from_pretrained)
    recipe = recipe_of(folder_of("llava"), f"run.quantize={kind}", "run.precision=bf16")
    with pytest.raises(Stop):
        load_pretrained(recipe)
    config = seen["quantization_config"]
    assert (config.load_in_4bit, config.load_in_8bit) == (kind == "bnb-4bit", kind == "bnb-8bit")
    assert kind == "bnb-8bit" or config.bnb_4bit_compute_dtype is torch.bfloat16


def test_a_broken_image_names_the_record(folder_of: Any, tmp_path: Path) -> None:
    rows = [record("s/1", "vqa", "Why?", "so", png((1, 2, 3))[:60])]
    mix = write_mix(tmp_path / "mix", {"train": rows})
    with pytest.raises(WorkError, match=r"^s/1: an image cannot be used \(.*\); type: medmix check$"):
        loop.train(mix, recipe_of(folder_of("llava")), tmp_path / "run", False)
