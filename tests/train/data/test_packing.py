import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError
from medmix.train.data import packing, stream
from medmix.train.data.batches import StepBuilder
from medmix.train.data.collate import Sample, collate, collate_packed, pixels
from medmix.train.data.render import Renderer
from medmix.train.data.tokenizer import train_bpe
from medmix.train.model.vision_language import VisionLanguageModel
from medmix.train.recipe import Language
from medmix.train.run import loop

from ..conftest import COLOURS, png, record, tiny_recipe

ROWS = [
    record("s/1", "vqa", "What colour is it?", "red", png(COLOURS["red"])),
    record("s/2", "qa", "Is it even?", "no"),
    record(
        "s/3", "caption", "Describe both of these images.", "blue\nand green", *map(png, list(COLOURS.values())[1:])
    ),
    record("s/4", "qa", "Why?", "because it is so"),
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_bpe(["What colour is it?", "red green blue"], Language(vocab_size=300))


def a_model(tokenizer: PreTrainedTokenizerBase, *overrides: str) -> VisionLanguageModel:
    torch.manual_seed(0)
    return VisionLanguageModel(tiny_recipe(*overrides), tokenizer).eval()


def samples(model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
    recipe = tiny_recipe()
    renderer = Renderer(tokenizer, recipe.text, model.image_tokens, recipe.vision.max_images)
    return [Sample(row["id"], *renderer.encode(row), pixels(row, recipe.vision), row["source"]) for row in ROWS]


@pytest.mark.parametrize("kind", ["per sample", "by mask", "grouped heads"])
def test_a_packed_row_equals_its_samples_one_by_one(tokenizer: PreTrainedTokenizerBase, kind: str) -> None:
    model = a_model(tokenizer)
    if kind == "grouped heads":
        model.base.config.num_key_value_heads = 1
        model.base.model.layers[0].self_attn = type(model.base.model.layers[0].self_attn)(model.base.config, 0)
    model.compiled = kind == "by mask"
    parts = samples(model, tokenizer)
    packed = collate_packed(parts, tokenizer.pad_token_id, 32, multiple=64)
    assert packed.input_ids.shape[1] % 64 == 0
    with torch.no_grad():
        together, sums = model.logits(packed)[0].split(list(packed.seq_lens or ())), model(packed)
        for place, part in enumerate(parts):
            one = collate([part], tokenizer.pad_token_id, 32)
            assert torch.allclose(together[place], model.logits(one)[0], atol=1e-5)
            assert sums[place].item() == pytest.approx(model(one).item(), rel=1e-5)


def test_no_gradient_crosses_from_sample_to_sample(tokenizer: PreTrainedTokenizerBase) -> None:
    model = a_model(tokenizer, "train=[tower, projector, embeddings, lora]")
    parts = samples(model, tokenizer)
    model(collate_packed(parts, tokenizer.pad_token_id, 32))[1].backward()
    assert model.projector.weight.grad is not None and not model.projector.weight.grad.any()  # the second has no image
    rows = model.base.get_input_embeddings().weight.grad.any(dim=1).nonzero().flatten().tolist()
    assert set(rows) <= set(parts[1].input_ids)


def test_text_alone_costs_no_vision(tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch) -> None:
    model = a_model(tokenizer)
    text = [part for part in samples(model, tokenizer) if not part.pixels]
    monkeypatch.setattr(model.tower, "forward", None)
    assert model(collate_packed(text, tokenizer.pad_token_id, 32)).min() > 0


def test_a_rank_without_records_still_takes_part(tokenizer: PreTrainedTokenizerBase) -> None:
    model = a_model(tokenizer)
    idle = collate_packed([], tokenizer.pad_token_id, 32, run_tower=True)
    model(idle).sum().backward()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert model(idle).shape == (0,)
    assert all(p.grad is not None and not p.grad.any() for p in trained if p is not model.tower.timm.norm.weight)


many = st.lists(st.integers(1, 100), min_size=1, max_size=60)


@given(many, st.integers(100, 400), st.integers(1, 4))
def test_every_record_is_packed_once_within_the_budget(lengths: list[int], budget: int, ranks: int) -> None:
    plan = packing.pack(lengths, budget, ranks)
    assert sorted(chain.from_iterable(chain.from_iterable(plan))) == list(range(len(lengths)))
    assert {len(packs) for packs in plan} == {ranks}
    assert all(sum(lengths[m] for m in pack) <= budget for packs in plan for pack in packs)
    assert plan == packing.pack(lengths, budget, ranks)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 4))
def test_every_record_is_in_one_micro_batch(count: int, micro_batch_size: int, ranks: int) -> None:
    plan = packing.split(count, micro_batch_size, ranks)
    packs = list(chain.from_iterable(plan))
    assert list(chain.from_iterable(packs)) == list(range(count))
    assert max(map(len, packs)) <= micro_batch_size
    assert {len(packs) for packs in plan} == {ranks}


@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_packing_uses_97_percent_where_padding_uses_half(ranks: int) -> None:
    random = np.random.default_rng(0)
    lengths = (random.lognormal(4, 1, 64).clip(8, 1500) + 197 * random.integers(0, 2, 64)).astype(int).tolist()
    packed, padded = packing.pack(lengths, 4096, ranks), packing.split(len(lengths), 8, ranks)
    if ranks < 8:  # eight ranks have eight records each: the longest one sets the pace
        assert sum(lengths) / packing.computed_tokens(packed, lengths, padded=False) >= 0.97
    assert sum(lengths) / packing.computed_tokens(padded, lengths, padded=True) < 0.6


def test_a_record_longer_than_a_pack() -> None:
    with pytest.raises(ValueError, match="a record of 11 tokens does not fit a pack of 10"):
        packing.pack([3, 11], 10)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "run.pack_tokens=100",
            r"run.pack_tokens: a record may have \d+ tokens, a pack 100; raise it, or lower vision",
        ),
        ("language.shape.max_position_embeddings=100", r"a record may have \d+ tokens, .* has 100 positions; lower"),
    ],
)
def test_what_cannot_fit_is_an_error_before_training(mix: Path, tmp_path: Path, override: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        loop.train(mix, tiny_recipe("run.steps=6", override), tmp_path / "run", False)


def steps_of(mix: Path, tokenizer: PreTrainedTokenizerBase, **where: Any) -> StepBuilder:
    recipe = tiny_recipe("run.steps=null", "run.epochs=2")
    renderer = Renderer(tokenizer, recipe.text, 4, recipe.vision.max_images)
    return StepBuilder(stream.open_split(mix, "train"), recipe, renderer, **where)


def identities(steps: Any) -> list[list[tuple[str, ...]]]:
    return [[batch.ids for batch in step.batches] for step in steps]


def test_packs_depend_on_the_order_of_the_records_alone(mix: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    whole = identities(steps_of(mix, tokenizer).worker_steps())
    assert len(whole) == 9  # 72 records
    assert identities(steps_of(mix, tokenizer, seen=24).worker_steps()) == whole[3:]
    assert identities(steps_of(mix, tokenizer).worker_steps(1, 2)) == whole[1::2]


def test_ranks_share_the_records_of_each_step(mix: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    ranks = [list(steps_of(mix, tokenizer, rank=rank, world_size=2).worker_steps()) for rank in (0, 1)]
    for one, other in zip(*ranks, strict=True):
        mine, theirs = ({key for batch in step.batches for key in batch.ids} for step in (one, other))
        assert not mine & theirs and mine | theirs == set(one.ids)
        assert replace(one, batches=()) == replace(other, batches=())
        assert [batch.run_tower for batch in one.batches] == [batch.run_tower for batch in other.batches]
    seen = [key for step in ranks[0] for key in step.ids]
    assert len(seen) == 72 and len(set(seen)) == 36


def test_all_tensors_of_a_batch_are_pinned(mix: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """There is no GPU here, so the method of tensors is replaced."""
    step = next(steps_of(mix, tokenizer).worker_steps())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "pin_memory", lambda self: self + 0)
        pinned = step.pin_memory()
    assert replace(pinned, batches=()) == replace(step, batches=())
    for batch, there in zip(step.batches, pinned.batches, strict=True):
        for name in (
            "input_ids",
            "position_ids",
            "labels",
            "loss_positions",
            "targets",
            "target_samples",
            "pixels",
            "image_positions",
            "cu_seqlens",
        ):
            before, after = getattr(batch, name), getattr(there, name)
            assert before.equal(after) and before.data_ptr() != after.data_ptr(), name


def test_padding_up_to_a_multiple_counts_as_padding() -> None:
    plan = packing.pack([40, 30, 50], 100)
    assert plan == [[(0, 1)], [(2,)]]
    assert packing.computed_tokens(plan, [40, 30, 50], padded=False) == 120
    assert packing.computed_tokens(plan, [40, 30, 50], padded=False, multiple=64) == 128 + 64


def test_packing_real_records_uses_97_percent(real_data: Path) -> None:
    """Lengths of the real questions of VQA-RAD and of MedQA, with the 196 tokens of an image or none."""
    rows = json.loads((real_data / "vqa_rad/data_RAD/trainset.json").read_text())
    lengths = [196 + len(str(row["question"]).split()) + len(str(row["answer"]).split()) for row in rows]
    texts = next((real_data / "medqa").rglob("*.jsonl")).read_text().splitlines()
    lengths += [len(json.loads(line)["question"].split()) for line in texts]
    order = np.random.default_rng(0).permutation(lengths).tolist()
    shares = []
    for start in range(0, len(order) - 63, 64):
        step = order[start : start + 64]
        shares.append(sum(step) / packing.computed_tokens(packing.pack(step, 4096, world_size=2), step, padded=False))
    assert len(shares) > 3 and min(shares) >= 0.97
