"""One step's loss equals the family's own forward pass with labels, one record by one record."""

from typing import Any

import pytest
import torch
from PIL import Image
from transformers import StoppingCriteria

from medmix.train.data.chat import ChatSample
from medmix.train.data.chat_batches import collate, collate_packed
from medmix.train.model.image_text import ImageTextModel

from ..families import FAMILIES
from ..family_runs import NAMES, ROWS, model_and_renderer, recipe_of


def own_loss(model: ImageTextModel, sample: ChatSample) -> torch.Tensor:
    """The sum of the loss that the family's forward pass gives for labels, with its own positions."""
    tokens = {name: value for name, value in sample.tokens.items() if name != "position_ids"}
    labels = sample.labels.unsqueeze(0)
    mask = torch.ones_like(tokens["input_ids"])
    for module in model.modules():
        if hasattr(module, "rope_deltas"):
            module.rope_deltas = None
    loss = model.model(**tokens, **sample.images, attention_mask=mask, labels=labels).loss
    total: torch.Tensor = loss * (labels[:, 1:] != -100).sum()
    return total


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_has_the_loss_and_gradient_of_its_records_one_by_one(name: str, packed: bool, folder_of: Any) -> None:
    if packed and not FAMILIES[name].packs:
        return
    limits = ("run.pack_tokens=600", "run.micro_batch_size=null") if packed else ()
    model, renderer = model_and_renderer(folder_of(name), recipe_of(folder_of(name), "train=[lora, tower]", *limits))
    samples = [renderer.encode(row) for row in ROWS]
    assert [sample.num_images for sample in samples] == [1, 0, 2, 1]
    expected = [own_loss(model, sample) for sample in samples]
    sum(expected, torch.zeros(())).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    gradients = {name: parameter.grad.clone() for name, parameter in trained.items() if parameter.grad is not None}
    model.zero_grad()
    pad = renderer.tokenizer.pad_token_id
    found = model(collate_packed(samples, pad) if packed else collate(samples, pad))
    found.sum().backward()
    assert found.tolist() == pytest.approx(torch.stack(expected).tolist(), rel=1e-5)
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    assert len(gradients) > 10
    for name, parameter in trained.items():
        assert parameter.grad is not None and (parameter.grad - gradients[name]).abs().max() < 1e-5 * largest


@pytest.mark.parametrize("name", NAMES)
def test_a_record_depends_on_its_image_and_on_no_other_record(name: str, folder_of: Any) -> None:
    model, renderer = model_and_renderer(folder_of(name), recipe_of(folder_of(name)))
    red, blue = (
        renderer.sample(ROWS[0], [Image.new("RGB", (40, 30), colour)], [1, 2, 3]) for colour in ("red", "navy")
    )
    pad = renderer.tokenizer.pad_token_id
    with torch.no_grad():
        losses = [model(collate([renderer.encode(ROWS[2]), sample], pad)).tolist() for sample in (red, blue)]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-6)
    assert abs(losses[0][1] - losses[1][1]) > 1e-4


def test_a_stop_criterion_sees_the_answer_alone(folder_of: Any) -> None:
    model, renderer = model_and_renderer(folder_of("llava"), recipe_of(folder_of("llava")))
    seen = []

    class Stop(StoppingCriteria):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **options: Any) -> torch.Tensor:
            seen.append(input_ids.clone())
            return torch.ones(len(input_ids), dtype=torch.bool)

    samples = [renderer.sample(ROWS[1], [], ()), renderer.sample(ROWS[3], [Image.new("RGB", (9, 9))], ())]
    found = model.generate(collate(samples, renderer.tokenizer.pad_token_id), 8, Stop())
    assert found.shape == (2, 1) and torch.equal(seen[0], found) and len(seen) == 1
