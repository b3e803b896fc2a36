from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from medmix.curate.errors import UsageError
from medmix.train import device, estimate
from medmix.train.data import stream
from medmix.train.data.collate import Sample, collate_packed
from medmix.train.data.render import IGNORE_INDEX, Renderer
from medmix.train.data.tokenizer import train_bpe
from medmix.train.memory import estimate_memory, validate_memory
from medmix.train.model.vision_language import VisionLanguageModel
from medmix.train.recipe import Language, Recipe
from medmix.train.recipes import load
from medmix.train.run import loop
from medmix.train.run.ranks import Ranks
from medmix.train.survey import RecordMeans, survey

from .conftest import tiny_recipe

MEANS = RecordMeans(tokens=100.0, squared_tokens=12_000.0, answer_tokens=10.0, images=1.0)
TOKENIZER = train_bpe(["a"], Language(vocab_size=300))


def test_a_lora_step_costs_four_operations_a_weight_and_token() -> None:
    recipe = tiny_recipe("train=[projector, lora]", "vision.kwargs.depth=0")
    model = estimate.meta_model(recipe, TOKENIZER)
    layer = 4 * 32 * 32 + 3 * 32 * 64 + 2 * 32  # attention, feed-forward, norms
    lora = 4 * 2 * 8 * 32 + 2 * 8 * (32 + 64) + 8 * (64 + 32)
    flops = estimate.count_flops(model, recipe)
    assert flops.token == 4 * (layer + lora)
    assert flops.squared_token == 6 * 32
    assert flops.answer_token == 4 * 32 * len(TOKENIZER)
    assert flops.image == 2 * 4 * 32 * 3 * 16**2 + 2 * 4 * 32 * 32  # four patches, their projection
    assert estimate.count_flops(model, tiny_recipe()).image == 3 * estimate.count_flops(model, recipe).image
    whole = tiny_recipe("train=[language]", "lora=null")
    assert estimate.count_flops(estimate.meta_model(whole, TOKENIZER), whole).token == 6 * layer
    assert flops.of(MEANS) == flops.token * 100 + flops.squared_token * 12_000 + flops.answer_token * 10 + flops.image


def test_the_survey_weighs_sources_by_their_share(mix: Path) -> None:
    split = stream.open_split(mix, "train")
    renderer = Renderer(TOKENIZER, tiny_recipe().text, 4, 2)
    rows = [renderer.encode(row)[0] for row in stream.rows(split, ("id", "messages"))]
    means = survey(split, renderer)
    assert means.tokens == pytest.approx(sum(map(len, rows)) / 36)
    assert means.images == 1.0  # one, two, none


def test_the_plan_is_printed_before_training(mix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop.train(mix, tiny_recipe("run.steps=9"), tmp_path / "run", False)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "name: smoke-cpu"
    plan = {line.partition(": ")[0]: line for line in said}
    assert plan["records"] == "records: 36 per epoch (colours 12, pictures 12, texts 12), 2.00 epochs"
    assert plan["steps"].startswith("steps: 9 of 8 records, about ")
    assert "LoRA, 4N per token" in plan["operations"]
    assert "matrix product measured here" in plan["device"]


def test_a_recipe_for_a_gpu_is_refused_without_one(mix: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        loop.train(mix, load("openmedq-7b"), tmp_path / "run", False)
    assert str(caught.value) == (
        "openmedq-7b needs a GPU, and PyTorch finds none here; train another recipe (--recipe smoke-cpu), "
        "or insist with --set run.require_gpu=false"
    )


def needed(recipe: object, ranks: int = 1) -> int:
    return estimate_memory(estimate.meta_model(recipe, TOKENIZER), recipe, MEANS, ranks)  # type: ignore[arg-type]


def test_hsdp_shards_the_weights_within_a_node() -> None:
    recipe = tiny_recipe("run.steps=2")
    model = estimate.meta_model(recipe, TOKENIZER)

    def memory(parallel: Literal["ddp", "fsdp", "hsdp"], ranks: int, per_node: int | None = None) -> int:
        other = replace(recipe, run=replace(recipe.run, parallel=parallel))
        return estimate_memory(model, other, MEANS, ranks, per_node)

    assert memory("hsdp", 16, 8) == memory("fsdp", 8) > memory("fsdp", 16)
    assert memory("hsdp", 16, 1) == memory("ddp", 16)


def test_too_little_memory_names_settings_that_fit() -> None:
    big = tiny_recipe("run.steps=2", "run.pack_tokens=65536")
    checked = replace(big, run=replace(big.run, gradient_checkpointing=True, pack_tokens=8192))
    cases = [
        (needed(checked), "--set run.gradient_checkpointing=true --set run.pack_tokens=8192"),
        (1000, "no packing and no number of ranks; choose a smaller language model"),
    ]
    for have, remedy in cases:
        spec = device.DeviceSpec("cpu", device.Peak(1e12, "test"), have)
        with pytest.raises(UsageError, match=r"^smoke-cpu needs about \d+\.\d GiB on a cpu with ") as caught:
            renderer = Renderer(TOKENIZER, big.text, 4, 2)
            longest = renderer.max_record_tokens()
            validate_memory(estimate.meta_model(big, TOKENIZER), big, MEANS, spec, 1, longest)
        assert str(caught.value).endswith(f"what would fit: {remedy}")


@pytest.mark.parametrize("dropout", [0.0, 0.05])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_activations_of_a_decoder_layer_match_the_estimate(precision: str, dropout: float) -> None:
    """Measured by what autograd keeps, of two and of four layers."""
    shape = "hidden_size: 256, intermediate_size: 688, num_attention_heads: 4"

    def settings(depth: int) -> Recipe:
        layers = f"language.shape={{{shape}, num_hidden_layers: {depth}}}"
        targets = "lora.target_modules=[q_proj, k_proj, v_proj, o_proj]"
        run = (f"run.precision={precision}", f"lora.dropout={dropout}", "train=[tower, projector, lora]")
        return tiny_recipe(layers, targets, *run)

    row = [Sample(str(number), [5] * 128, [IGNORE_INDEX] * 120 + [6] * 8, []) for number in range(4)]
    means = RecordMeans(tokens=128.0, squared_tokens=128.0**2, answer_tokens=8.0, images=0.0)

    def kept(recipe: Recipe) -> int:
        torch.manual_seed(0)
        model = loop.prepare_model(VisionLanguageModel(recipe, TOKENIZER), recipe, Ranks(0, 1, torch.device("cpu")))
        weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        storages: dict[int, torch.UntypedStorage] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        with (
            torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
        ):
            model(collate_packed(row, TOKENIZER.pad_token_id, 32))
        return sum(storage.nbytes() for place, storage in storages.items() if place not in weights)

    def reckoned(recipe: Recipe) -> int:
        model = estimate.meta_model(recipe, TOKENIZER)
        packed = replace(recipe, run=replace(recipe.run, pack_tokens=512))
        weights = sum(p.numel() * (p.itemsize * 2 + 8 if p.requires_grad else p.itemsize) for p in model.parameters())
        return estimate_memory(model, packed, means) - weights

    two, four = settings(2), settings(4)
    assert reckoned(four) - reckoned(two) == pytest.approx(kept(four) - kept(two), rel=0.2)


def test_every_recipe_in_house_can_be_shaped() -> None:
    model = estimate.meta_model(load("mid-170m"), train_bpe(["a"], Language(vocab_size=300)))
    assert 100e6 < sum(p.numel() for p in model.parameters()) < 200e6
