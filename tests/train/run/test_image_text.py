"""The one loop trains transformers' models for images and text: resume, packing, precision, generation."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoProcessor

from medmix.evaluate.answers import suite
from medmix.evaluate.answers.image_text import renderer_of
from medmix.train.data import stream
from medmix.train.data.batches import load_steps
from medmix.train.data.chat import decode_images
from medmix.train.data.chat_batches import collate
from medmix.train.export.image_text import export
from medmix.train.model import kinds
from medmix.train.run import checkpoint, loop
from medmix.train.run.state import find_checkpoint

from ..family_runs import NAMES, PACKING, PARTS, ROWS, own_inputs, recipe_of
from .test_loop import losses, weights

Loaded = Any


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_run_resumes_exactly(
    name: str, mix: Path, folder_of: Any, run_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, run = run_of(name), tmp_path / "run"
    recipe = recipe_of(folder_of(name), PARTS)
    train_step, done = loop.train_step, []

    def killed(*arguments: Any) -> Any:
        done.append(1)
        if len(done) == 3:
            raise MemoryError
        return train_step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", killed)
        with pytest.raises(MemoryError):
            loop.train(mix, recipe, run, False)
    assert find_checkpoint(run).name == "step-00000002"
    loop.train(mix, recipe, run, False)
    before, after = weights(whole), weights(run)
    assert losses(run) == losses(whole)
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert len({losses(run)[0], *losses(run)[1:]}) == 3


@pytest.mark.parametrize("name", PACKING)
def test_packing_and_checkpointing_do_not_change_the_result(
    name: str, mix: Path, folder_of: Any, run_of: Any, tmp_path: Path
) -> None:
    packed = ("run.pack_tokens=300", "run.micro_batch_size=null", "run.gradient_checkpointing=true")
    recipe = recipe_of(folder_of(name), PARTS, *packed)
    loop.train(mix, recipe, tmp_path / "run", False)
    assert losses(tmp_path / "run") == pytest.approx(losses(run_of(name)), rel=1e-4)


def test_loading_processes_give_the_same_steps(mix: Path, folder_of: Any, run_of: Any) -> None:
    renderer = renderer_of(checkpoint.load(run_of("qwen2.5-vl")))
    split = stream.open_split(mix, "train")
    steps = []
    for workers in (0, 1):
        made = recipe_of(folder_of("qwen2.5-vl"), f"run.workers={workers}", "run.steps=null", "run.epochs=1")
        steps.append(next(load_steps(kinds.step_builder(split, made, renderer, 0, 0, 1))))
    assert steps[0].ids == steps[1].ids
    for one, other in zip(steps[0].batches, steps[1].batches, strict=True):
        a, b = one.inputs, other.inputs  # type: ignore[attr-defined]
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", NAMES)
def test_generation_gives_what_the_family_generates_for_each_prompt_alone(
    name: str, folder_of: Any, run_of: Any
) -> None:
    loaded: Loaded = checkpoint.load(run_of(name))
    renderer, model = renderer_of(loaded), loaded.model
    samples = [renderer.sample(row, decode_images(row, renderer.model), ()) for row in ROWS]
    assert len({sample.length for sample in samples}) == len(ROWS)
    processor = AutoProcessor.from_pretrained(folder_of(name))
    together = model.generate(collate(samples, loaded.tokenizer.pad_token_id), 8)
    for row, found in zip(ROWS, together.tolist(), strict=True):
        own = own_inputs(processor, row, renderer)
        alone = model.base.generate(**own, max_new_tokens=8)[0, own["input_ids"].shape[1] :].tolist()
        assert found[: len(alone)] == alone
        assert {*found[len(alone) :]} <= {loaded.tokenizer.pad_token_id}


def test_a_batch_of_text_after_one_of_images_generates_the_same(run_of: Any) -> None:
    """Qwen2.5-VL keeps the offset of its positions between calls."""
    loaded: Loaded = checkpoint.load(run_of("qwen2.5-vl"))
    renderer, pad = renderer_of(loaded), loaded.tokenizer.pad_token_id
    image, text = (renderer.sample(row, decode_images(row, renderer.model), ()) for row in ROWS[:2])
    first = loaded.model.generate(collate([text], pad), 8)
    loaded.model.generate(collate([image, image], pad), 8)
    assert torch.equal(loaded.model.generate(collate([text], pad), 8), first)


def test_generation_ends_at_the_end_of_the_turn(run_of: Any) -> None:
    loaded: Loaded = checkpoint.load(run_of("gemma-3"))
    end = loaded.tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert loaded.model.base.generation_config.eos_token_id == sorted({end, loaded.tokenizer.eos_token_id})


@pytest.mark.parametrize("name", NAMES)
def test_all_parts_train_in_bf16_and_are_evaluated(name: str, mix: Path, folder_of: Any, tmp_path: Path) -> None:
    parts = ("train=[lora, tower, projector, embeddings]", "run.precision=bf16", "run.steps=2")
    summary = loop.train(mix, recipe_of(folder_of(name), *parts), tmp_path / "run", False)
    exact = loop.train(mix, recipe_of(folder_of(name), parts[0], parts[2]), tmp_path / "exact", False)
    assert summary["first_loss"] == pytest.approx(exact["first_loss"], rel=0.01)
    loaded: Loaded = checkpoint.load(tmp_path / "run")
    dtypes = {parameter.dtype for parameter in loaded.model.parameters() if parameter.requires_grad}
    assert dtypes == {torch.float32} and loaded.model.decoder_layers[0].self_attn.o_proj.weight.dtype is torch.bfloat16
    assert suite.evaluate(tmp_path / "run", tmp_path / "eval", suite.EvalOptions(limit=6))["scores"]


@pytest.mark.parametrize("options", ["use_rslora=true", "use_dora=true", "init=gaussian", "init=orthogonal"])
def test_options_of_peft_are_handed_through(options: str, mix: Path, folder_of: Any, tmp_path: Path) -> None:
    loop.train(mix, recipe_of(folder_of("llava"), f"lora.{options}", "run.steps=2"), tmp_path / "run", False)
    config = json.loads((find_checkpoint(tmp_path / "run") / "adapter" / "adapter_config.json").read_text())
    key, _, value = options.partition("=")
    assert config[{"init": "init_lora_weights"}.get(key, key)] == (True if value == "true" else value)
    loaded: Loaded = checkpoint.load(tmp_path / "run")
    assert export(find_checkpoint(tmp_path / "run"), tmp_path / "model") < 1e-4
    magnitudes = [name for name, _ in loaded.model.named_parameters() if "magnitude" in name]
    assert bool(magnitudes) == (key == "use_dora")
