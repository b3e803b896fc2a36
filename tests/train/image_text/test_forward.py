"""One step's loss equals the family's own forward pass with labels, one record by one record."""

from pathlib import Path
from typing import Any

import pytest
import torch

from medmix.train.data.chat import ChatRenderer, ChatSample, make_renderer
from medmix.train.data.chat_batches import collate, collate_packed
from medmix.train.data.chat_template import load_processor
from medmix.train.model.image_text import ImageTextModel, Positions
from medmix.train.recipe import Recipe

from ..conftest import COLOURS, png, record
from .conftest import NAMES, recipe_of
from .families import FAMILIES

ROWS = [
    record("s/1", "vqa", "What colour is it?", "red", png(COLOURS["red"])),
    record("s/2", "qa", "Is it even?", "no, it is not even at all"),
    record(
        "s/3", "caption", "Describe both.", "blue\nand green", *(png(c, (30, 56)) for c in list(COLOURS.values())[1:])
    ),
    record("s/4", "vqa", "Why is it of this colour, and not of another one?", "so", png(COLOURS["blue"], (90, 20))),
]


def model_and_renderer(folder: Path, recipe: Recipe) -> tuple[ImageTextModel, ChatRenderer]:
    assert recipe.model is not None
    processor = load_processor(folder, recipe.model)
    torch.manual_seed(0)
    model = ImageTextModel(recipe, processor).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)  # peft starts it at zero
    return model, make_renderer(recipe, recipe.model, processor, Positions(model.base), model.max_positions)


def own_loss(model: ImageTextModel, renderer: ChatRenderer, sample: ChatSample, row: dict[str, Any]) -> float:
    """The sum of the loss that the family's forward pass gives for labels, with its own positions."""
    tokens = {name: value for name, value in sample.tokens.items() if name != "position_ids"}
    labels = sample.labels.unsqueeze(0)
    mask = torch.ones_like(tokens["input_ids"])
    for module in model.modules():
        if hasattr(module, "rope_deltas"):
            module.rope_deltas = None
    loss = model.model(**tokens, **sample.images, attention_mask=mask, labels=labels).loss
    return float(loss * (labels[:, 1:] != -100).sum())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_has_the_loss_of_its_records_one_by_one(name: str, packed: bool, folder_of: Any) -> None:
    if packed and not FAMILIES[name].packs:
        return
    folder = folder_of(name)
    limits = ("run.pack_tokens=600", "run.micro_batch_size=null") if packed else ()
    model, renderer = model_and_renderer(folder, recipe_of(folder, *limits))
    samples = [renderer.encode(row) for row in ROWS]
    assert [sample.num_images for sample in samples] == [1, 0, 2, 1]
    with torch.no_grad():
        expected = [own_loss(model, renderer, sample, row) for sample, row in zip(samples, ROWS, strict=True)]
        pad = renderer.tokenizer.pad_token_id
        batch = collate_packed(samples, pad) if packed else collate(samples, pad)
        found = model(batch).tolist()
    assert found == pytest.approx(expected, rel=1e-5)
