from pathlib import Path

import pytest
import torch

from medmix.evaluate.answers.images import QuestionImages
from medmix.evaluate.answers.likelihood import option_logliks
from medmix.evaluate.answers.mix_split import read_questions
from medmix.train.data.collate import Sample, collate
from medmix.train.run.checkpoint import Checkpoint

from .test_generation import prompts_of


def naive(loaded: Checkpoint, sample: Sample, option: list[int]) -> float:
    """One option after its whole prompt, on its own."""
    ids = [*sample.input_ids, *option]
    batch = collate([Sample(sample.id, ids, ids, sample.pixels)], loaded.tokenizer.pad_token_id, 64)
    with torch.inference_mode():
        scores = loaded.model.logits(batch)[0].log_softmax(dim=1)
    start = len(sample.input_ids) - 1
    return sum(float(scores[start + place, token]) for place, token in enumerate(option))


@pytest.mark.parametrize("size", [1, 5, 12])
def test_options_that_share_a_prompt_are_as_likely_as_each_alone(
    mix: Path, loaded: Checkpoint, tmp_path: Path, size: int
) -> None:
    image_store = QuestionImages(tmp_path, loaded.recipe.vision)
    samples = prompts_of(loaded, read_questions(mix, "test", (), image_store), image_store)
    words = loaded.tokenizer("yes no red A. yes B. no, it is not even", add_special_tokens=False)["input_ids"]
    options = [[words[: 1 + place % 3], words[2 : 4 + place % 5], words[5:6]][: 2 + place % 2] for place in range(12)]
    found = []
    for start in range(0, 12, size):
        found += option_logliks(loaded, samples[start : start + size], options[start : start + size])
    expected = [
        [naive(loaded, sample, option) for option in some] for sample, some in zip(samples, options, strict=True)
    ]
    assert [len(some) for some in found] == [len(some) for some in options]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
