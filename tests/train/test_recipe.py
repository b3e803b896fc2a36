from pathlib import Path

import pytest
import yaml

from medmix.curate.config import yaml_names
from medmix.curate.errors import UsageError
from medmix.train.recipe import as_dict
from medmix.train.recipes import from_dict, load
from medmix.train.run import loop

from .conftest import tiny_recipe


def test_every_recipe_loads_and_survives_the_way_to_yaml_and_back() -> None:
    assert yaml_names("recipes/train") == [
        "medgemma-4b-lora", "mid-170m", "openmedq-7b", "qwen2.5-vl-7b-lora", "smoke-cpu", "smolvlm-256m",
    ]  # fmt: skip
    for name in yaml_names("recipes/train"):
        recipe = load(name)
        assert recipe.name == name
        assert from_dict(yaml.safe_load(yaml.safe_dump(as_dict(recipe))), "again") == recipe


def test_openmedq_has_the_values_of_the_paper() -> None:
    recipe = load("openmedq-7b")
    assert (recipe.run.global_batch_size, recipe.run.epochs, recipe.optim.lr) == (64, 15, 5e-5)
    assert (recipe.vision.timm, recipe.vision.size) == ("vit_base_patch16_224", 224)
    assert recipe.lora is not None and recipe.lora.r == 8
    assert recipe.train == ("tower", "projector", "lora")
    longest = recipe.vision.max_images * 196 + recipe.text.max_prompt_tokens + recipe.text.max_answer_tokens
    assert longest < 2048 - 32


def test_tower_projector_and_lora_train_by_default() -> None:
    plain = as_dict(load("openmedq-7b"))
    del plain["train"]
    assert from_dict(plain, "mine.yaml").train == ("tower", "projector", "lora")


def test_a_value_is_overridden_from_the_first_equals_sign_on() -> None:
    recipe = load("smoke-cpu", ("optim.lr=0.5", "text.template='{prompt} ='", "run.steps=null", "run.epochs=2"))
    assert (recipe.optim.lr, recipe.text.template, recipe.run.epochs) == (0.5, "{prompt} =", 2)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (("optim.learning_rate=1.0",), "smoke-cpu.yaml: optim.learning_rate: unknown key"),
        (("optim.warmup_step=1",), "smoke-cpu.yaml: optim.warmup_step: unknown key (did you mean 'warmup_steps'?)"),
        (("run.global_batch_size=many",), "smoke-cpu.yaml: run.global_batch_size: must be a whole number, is 'many'"),
        (
            ("train=[tower, porjector, lora]",),
            "smoke-cpu.yaml: train: 'porjector' is no trainable part (did you mean 'projector'?)",
        ),
        (("train=[tower]",), "smoke-cpu.yaml: lora: give this section if and only if train names lora"),
        (("lora=null",), "smoke-cpu.yaml: lora: give this section if and only if train names lora"),
        (
            ("train=[language, lora]",),
            "smoke-cpu.yaml: train: lora is for a frozen language model; drop lora or language",
        ),
        (
            ("language.weights={repo: a/b, path: c}",),
            "smoke-cpu.yaml: language: weights bring their own shape and vocabulary; "
            "drop shape and vocab_size, or weights",
        ),
        (("language.shape=null",), "smoke-cpu.yaml: language: give either weights, or both shape and vocab_size"),
        (("run.epochs=1",), "smoke-cpu.yaml: run: give either epochs or steps"),
        (
            ("run.micro_batch_size=5", "optim.lr=0"),
            "smoke-cpu.yaml: optim.lr: must be above 0; "
            "smoke-cpu.yaml: run: give either pack_tokens or micro_batch_size",
        ),
        (("run.pack_tokens=null", "run.micro_batch_size=0"), "smoke-cpu.yaml: run.micro_batch_size: must be 1 or more"),
        (("vision.kwargs.img_size=32",), "smoke-cpu.yaml: vision.kwargs.img_size: set vision.size instead"),
        (("text.template=hello",), "smoke-cpu.yaml: text.template: must contain {prompt} once"),
        (("sources=[]",), "smoke-cpu.yaml: sources: names no source; leave it out to train on all"),
        (("sources=[slake, slake]",), "smoke-cpu.yaml: sources: names a source twice"),
        (("optim",), "--set optim: write it as key.sub=value"),
        (("name.x=1",), "--set name.x=1: 'name' is not a section of the recipe"),
        (("optim.lr=[",), "--set optim.lr=[: the value '[' is not YAML"),
        (("name=other",), "smoke-cpu.yaml: name: is 'other', but the file is called 'smoke-cpu'; make them equal"),
    ],
)
def test_a_mistake_gives_its_line(overrides: tuple[str, ...], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("smoke-cpu", overrides)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ("language.bos", "bos_token"),
        ("language.eos", "eos_token"),
        ("language.pad", "pad_token"),
        ("lora.targets", "target_modules"),
        ("optim.clip", "max_grad_norm"),
        ("optim.schedule", "lr_scheduler"),
        ("run.batch", "global_batch_size"),
        ("run.micro_batch", "micro_batch_size"),
        ("run.gpu", "require_gpu"),
        ("generation.batch", "batch_size"),
    ],
)
def test_a_former_key_names_the_new_one(former: str, current: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("smoke-cpu", (f"{former}=1",))
    assert str(caught.value) == f"smoke-cpu.yaml: {former}: is now called {current!r}"
    section, _, _ = former.partition(".")
    assert current in as_dict(load("smoke-cpu"))[section]


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        load("smoke-cup")
    assert str(caught.value) == (
        "recipe 'smoke-cup' is unknown (did you mean 'smoke-cpu'?); "
        "there are medgemma-4b-lora, mid-170m, openmedq-7b, qwen2.5-vl-7b-lora, smoke-cpu, smolvlm-256m, "
        "or give a path that ends in .yaml"
    )


def test_missing_weights_name_the_command_that_downloads_them(
    mix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        loop.train(mix, load("openmedq-7b", ("optim.warmup_steps=0", "run.require_gpu=false")), tmp_path / "run", False)
    assert str(caught.value) == (
        "vision.weights.path: weights/biomedclip/open_clip_pytorch_model.bin does not exist; "
        "type: hf download microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224 open_clip_pytorch_model.bin "
        "--local-dir weights/biomedclip, or give --set vision.weights.path=PATH; "
        "language.weights.path: weights/PMC_LLAMA_7B does not exist; "
        "type: hf download chaoyi-wu/PMC_LLAMA_7B --local-dir weights/PMC_LLAMA_7B, "
        "or give --set language.weights.path=PATH; "
        "if that is refused, ask for access on the repository's page, then type: hf auth login"
    )


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "lora.target_modules=[q_proj, query]",
            "lora.target_modules: the language model has no linear layer query; "
            "it has down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj",
        ),
        ("vision.timm=resnet18", "vision.timm: timm cannot build resnet18: "),
        ("vision.timm=vit_of_dreams", "vision.timm: timm cannot build vit_of_dreams: "),
        ("language.vocab_size=100", "language.vocab_size: must be at least 259"),
        ("optim.warmup_steps=6", "optim.warmup_steps: 6 is not below the 6 steps to train"),
    ],
)
def test_a_recipe_that_does_not_fit_the_model_is_a_usage_error(
    mix: Path, tmp_path: Path, override: str, line: str
) -> None:
    with pytest.raises(UsageError) as caught:
        loop.train(mix, tiny_recipe("run.steps=6", override), tmp_path / "run", False)
    assert str(caught.value).startswith(line)
