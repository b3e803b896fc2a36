"""Compares an exported folder with the model that was trained, from text and images to ids, logits and answers."""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from medmix.curate.errors import WorkError

from ..data.collate import Sample, collate, pixels
from ..data.render import IGNORE_INDEX, IMAGE_TOKEN_ID, Renderer
from ..run.checkpoint import Checkpoint

QUESTIONS = (
    ("What is seen in this image?", 1),
    ("Is there a pleural effusion", 0),
    ("Which of these findings is new?\nA. none\nB. a nodule of 12.5 mm\nC. pneumothorax", 2),
    (" is the café's naïve X-ray – 你好 – normal?  ", 1),
    ("\n\tα-fetoprotein > 400 µg/l: next step?", 0),
)
"""Prompts and their number of images: digits, blanks at both ends, line ends, other alphabets."""

NEW_TOKENS = 8
"""Tokens of each answer that is compared."""

PIXEL_TOLERANCE = 1e-6
"""Largest allowed difference between normalised pixels; they are equal but for the order of two roundings."""

LOGIT_TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Largest allowed difference between logits, by the dtype of the exported weights, in units of their standard
deviation where that is above 1. A weight of fp16 has 11 significant bits, one of bf16 has 8."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What the trained model makes of a prompt.

    Attributes:
        conversation: of transformers' chat templates.
        prompt_ids: token ids, `IMAGE_TOKEN_ID` for image tokens.
        pixels: of its images, each [3, S, S].
        answer: token ids of its greedy answer, at most `NEW_TOKENS`.
        logits: after every token of prompt and answer, [T, V] float32.
    """

    conversation: list[dict[str, Any]]
    prompt_ids: list[int]
    pixels: list[Tensor]
    answer: list[int]
    logits: Tensor


def references(loaded: Checkpoint) -> list[Reference]:
    """Ask the trained model `QUESTIONS`, with random images that are no squares."""
    whole = replace(loaded.recipe.text, max_prompt_tokens=sys.maxsize)  # the exported processor cuts no prompt
    renderer = Renderer(loaded.tokenizer, whole, loaded.model.image_tokens, loaded.recipe.vision.max_images)
    random = np.random.default_rng(0)
    found = []
    for question, count in QUESTIONS:
        shapes = ((37, 80, 3), (90, 64, 3))[: min(count, loaded.recipe.vision.max_images)]
        images = [Image.fromarray(random.integers(0, 256, shape, np.uint8)) for shape in shapes]
        found.append(_ask(loaded, renderer, question, images))
    return found


def compare(folder: Path, ours: Sequence[Reference], dtype: torch.dtype) -> float:
    """Load an exported folder with transformers alone, and ask it the same.

    Returns:
        The largest difference of its logits.

    Raises:
        WorkError: ids, pixels, logits or answers differ by more than rounding does.
    """
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).eval()
    processor = AutoProcessor.from_pretrained(folder)
    largest = 0.0
    for reference in ours:
        inputs = _inputs(processor, [reference])
        _compare_inputs(inputs, reference, processor.image_token_id)
        largest = max(largest, _compare_logits(model, inputs, reference, processor.image_token_id, dtype))
    _compare_answers(model, processor, ours, dtype)
    return largest


def _ask(loaded: Checkpoint, renderer: Renderer, question: str, images: list[Image.Image]) -> Reference:
    parts = [*({"type": "image"} for _ in images), {"type": "text", "text": question}]
    answer = {"role": "assistant", "content": [{"type": "text", "text": "yes"}]}
    record = {
        "id": "a question of the comparison",
        "messages": [{"role": "user", "content": parts}, answer],
        "images": [{"bytes": _png(image)} for image in images],
    }
    ids, shown = renderer.prompt_ids(record), pixels(record, loaded.recipe.vision)
    pad, size = loaded.tokenizer.pad_token_id, loaded.recipe.vision.size

    def batch(tokens: list[int]) -> Any:
        return collate([Sample("", tokens, [IGNORE_INDEX] * len(tokens), shown)], pad, size).to(loaded.model.device)

    answered: list[int] = loaded.model.generate(batch(ids), NEW_TOKENS)[0].tolist()
    with torch.inference_mode():
        logits = loaded.model.logits(batch(ids + answered))[0].float().cpu()
    shown_parts = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": question}]
    return Reference([{"role": "user", "content": shown_parts}], ids, shown, answered, logits)


def _inputs(processor: Any, some: Sequence[Reference]) -> Any:
    return processor.apply_chat_template(
        [reference.conversation for reference in some],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )


def _compare_inputs(inputs: Any, reference: Reference, image_token: int) -> None:
    wanted = [image_token if token == IMAGE_TOKEN_ID else token for token in reference.prompt_ids]
    found = inputs["input_ids"][0].tolist()
    question = reference.conversation[0]["content"][-1]["text"]
    if found != wanted:
        place = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), len(wanted))
        raise WorkError(
            f"the exported processor gives {question!r} other token ids than training, from token {place} on "
            f"({found[place : place + 5]}, not {wanted[place : place + 5]}); nothing was written"
        )
    if reference.pixels:
        difference = (inputs["pixel_values"] - torch.stack(reference.pixels)).abs().max().item()
        if not difference <= PIXEL_TOLERANCE:
            raise WorkError(f"the exported processor's pixels differ by {difference:.2g}; nothing was written")


def _compare_logits(model: Any, inputs: Any, reference: Reference, image_token: int, dtype: torch.dtype) -> float:
    answer = torch.tensor([reference.answer], dtype=torch.int64)
    whole = {name: value for name, value in inputs.items() if name in ("input_ids", "pixel_values")}
    whole["input_ids"] = torch.cat([whole["input_ids"], answer], dim=1)
    with torch.inference_mode():
        theirs = model(**_cast(whole, dtype)).logits[0].float()
    width = reference.logits.shape[-1]
    kept = torch.arange(width) != image_token
    found: float = (theirs[:, :width] - reference.logits).abs()[:, kept].max().item()
    if not found <= _tolerance(reference, dtype):
        raise WorkError(
            f"the exported model's logits differ by {found:.2g}, and {_tolerance(reference, dtype):.2g} is what "
            f"{dtype} explains; nothing was written"
        )
    return found


def _compare_answers(model: Any, processor: Any, ours: Sequence[Reference], dtype: torch.dtype) -> None:
    """Answer all prompts in one batch, and compare with the answers that each got alone."""
    inputs = _cast(_inputs(processor, ours), dtype)
    with torch.inference_mode():
        made = model.generate(**inputs, max_new_tokens=NEW_TOKENS)[:, inputs["input_ids"].shape[1] :].tolist()
    for reference, answer in zip(ours, made, strict=True):
        pairs = zip(reference.answer, answer, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        if place is None:
            continue
        scores = reference.logits[len(reference.prompt_ids) + place - 1]
        margin = (scores[reference.answer[place]] - scores[answer[place]]).item()
        if margin > 2 * _tolerance(reference, dtype):
            texts = [processor.decode(ids, skip_special_tokens=True) for ids in (answer, reference.answer)]
            raise WorkError(
                f"in a batch the exported model answers {texts[0]!r}, not {texts[1]!r}; nothing was written"
            )


def _tolerance(reference: Reference, dtype: torch.dtype) -> float:
    return LOGIT_TOLERANCE[dtype] * max(1.0, reference.logits.std().item())


def _cast(inputs: Any, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
