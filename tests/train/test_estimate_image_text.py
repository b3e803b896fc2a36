"""The estimate of operations against torch's count of a forward pass, and the lines that a user reads."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from medmix.curate.errors import UsageError
from medmix.train import estimate_image_text
from medmix.train.data import stream
from medmix.train.data.chat_batches import collate
from medmix.train.data.chat_template import load_processor
from medmix.train.estimate import RecordMeans
from medmix.train.estimate_image_text import ImageMeans, count_flops, count_image_tokens, count_patches, plan_run

from .family_runs import NAMES, ROWS, model_and_renderer, recipe_of


@pytest.mark.parametrize("name", NAMES)
def test_operations_are_those_that_torch_counts(name: str, folder_of: Any) -> None:
    """All parts train, so a third of the estimate is the forward pass; attention is left out."""
    recipe = recipe_of(folder_of(name), "train=[tower, projector, language]", "lora=null")
    model, renderer = model_and_renderer(folder_of(name), recipe)
    counted, estimated = [], []
    for row in ROWS[:2]:
        sample = renderer.encode(row)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(collate([sample], 0))
        counted.append(counter.get_total_flops())
        images = max(1, sample.num_images)
        means_of_images = ImageMeans(count_patches(sample, model) / images, count_image_tokens(sample, model) / images)
        answer = int((sample.labels != -100).sum())
        means = RecordMeans(sample.length, 0, answer, sample.num_images)  # torch counts no attention on a CPU
        estimated.append(count_flops(model, recipe, means_of_images).of(means) / 3)
    assert estimated[1] == counted[1]
    assert estimated[0] == pytest.approx(counted[0], rel=0.03)  # a class token is no patch


def test_the_plan_says_what_it_leaves_out(mix: Path, folder_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(folder_of("gemma-3"))
    assert recipe.model is not None
    processor = load_processor(folder_of("gemma-3"), recipe.model)
    split = stream.open_split(mix, "train")
    arguments = (recipe, processor, split, 3, torch.device("cpu"), 1)
    plan = plan_run(*arguments)
    assert plan.lines[2] == "parameters: 70,928, trainable 1,536 (lora), gemma3"
    assert plan.lines[3].endswith("per image of 16 patches without the tower's attention)")
    assert "(a rough estimate for this kind of model)" in plan.lines[4]
    monkeypatch.setattr(estimate_image_text.devices, "free_memory", lambda device: 1 << 10)
    with pytest.raises(UsageError, match=r"^family needs about 0\.0 GiB on a cpu with 0\.0 GiB; set run.gradient"):
        plan_run(*arguments)
