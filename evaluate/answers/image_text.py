"""Inputs and option likelihoods of a transformers model for images and text, with its own processor."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from PIL import Image

from medmix.train.data.chat import ChatRenderer, ChatSample
from medmix.train.data.chat_batches import collate
from medmix.train.model.image_text import ImageTextModel, make_model_renderer
from medmix.train.run.checkpoint import Checkpoint

from .batching import Batch
from .images import QuestionImages

GREY = (127, 127, 127)
"""Colour of a blank image."""


def renderer_of(loaded: Checkpoint) -> ChatRenderer:
    """Make the renderer of a checkpoint."""
    model = cast(Any, loaded.model)
    return make_model_renderer(loaded.recipe, model, model.processor)


def prompt_samples(renderer: ChatRenderer, batch: Batch, image_store: QuestionImages) -> list[ChatSample]:
    """Make the prompts of a batch; a blank image is grey and has the size of the question's own."""
    samples = []
    for question, keys in zip(batch.questions, batch.images, strict=True):
        images = [image_store.image(key) for key in (keys or question.images)[: renderer.max_images]]
        if keys is None:
            images = [Image.new("RGB", image.size, GREY) for image in images]
        samples.append(renderer.sample(question.record, images, ()))
    return samples


@torch.inference_mode()
def option_logliks(
    loaded: Checkpoint, samples: Sequence[ChatSample], options: Sequence[Sequence[Sequence[int]]]
) -> list[list[float]]:
    """Return the log-probability, in nats, of each option's tokens after its prompt.

    Each prompt passes the model once for each of its options.

    Args:
        loaded: the model.
        samples: prompts with their images, B.
        options: token ids of the options of each prompt, none empty; their number may differ.

    Returns:
        A list for each prompt with the sum over each option's tokens.
    """
    model: ImageTextModel = cast(Any, loaded.model)
    renderer = renderer_of(loaded)
    rows = [renderer.extended(sample, ids) for sample, some in zip(samples, options, strict=True) for ids in some]
    losses = model(collate(rows, loaded.tokenizer.pad_token_id).to(model.device)).tolist()
    found, start = [], 0
    for some in options:
        found.append([-loss for loss in losses[start : start + len(some)]])
        start += len(some)
    return found
