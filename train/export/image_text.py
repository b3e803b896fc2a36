"""Exports a run of a transformers model for images and text as the family's own folder, with adapters merged.

The processor is that of training, with padding on the left. The folder is read again: its processor must give the
token ids of training for 0, 1 and 2 images, its weights must be the merged ones, and merging must keep the logits.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import peft
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from medmix.curate.errors import UsageError, WorkError

from ..model import kinds
from ..model.image_text import ImageTextModel, make_model_renderer
from ..rank_zero import say
from ..recipe import Recipe
from ..run import checkpoint as checkpoints
from ..run import image_text_checkpoint, model_card
from ..run.metrics_logger import LOG_NAME
from .folder import DTYPES, SHARD_SIZE, dtype_name, new_folder, validate_empty
from .processor import pad_left

TOLERANCE = 1e-4
"""Largest allowed difference of logits by merging adapters in fp32, relative to the largest logit."""

QUESTION = "What is seen in these images?"


def export(checkpoint: Path, out: Path, dtype: str | None = None) -> float:
    """Write a checkpoint as the family's folder, load it again and compare.

    Adapters are merged in fp32, also those that were trained on quantized weights.

    Args:
        checkpoint: a checkpoint of a run with `model`.
        out: folder to write; must be missing or empty.
        dtype: of the weights, one of `DTYPES`; None takes that of the pretrained folder.

    Returns:
        The largest difference between the logits of the next token before and after merging.

    Raises:
        UsageError: there is no checkpoint, the pretrained weights are missing, or `out` is not empty.
        WorkError: the folder cannot be written, or does not equal the checkpoint.
    """
    validate_empty(out)
    recipe, state = checkpoints.read(checkpoint)
    plain = replace(recipe, run=replace(recipe.run, precision="fp32", quantize=None))
    processor: Any = kinds.load_tokenizer(checkpoint / "tokenizer", plain)
    model = ImageTextModel(plain, processor)
    try:
        image_text_checkpoint.load(checkpoint, model)
    except (OSError, RuntimeError, KeyError) as error:
        raise UsageError(f"{checkpoint} cannot be read as a checkpoint ({error})") from error
    pad_left(processor.tokenizer)
    samples = _samples(plain, model.eval(), processor)
    before = [_logits(model.base, sample) for sample in samples]
    merged = model.model.merge_and_unload() if isinstance(model.model, peft.PeftModel) else model.base
    difference = max(
        float((_logits(merged, sample) - ours).abs().max()) for sample, ours in zip(samples, before, strict=True)
    )
    if not difference <= TOLERANCE * max(float(ours.abs().max()) for ours in before):
        raise WorkError(f"merging the adapters changed the logits by {difference:.2g}; nothing was written")
    target = DTYPES[dtype] if dtype else _dtype_of(recipe)
    merged.to(target)
    with new_folder(out) as folder:
        merged.save_pretrained(folder, max_shard_size=SHARD_SIZE)
        processor.save_pretrained(folder)
        _validate(folder, merged, processor)
        facts = model_card.Exported(difference, dtype_name(target), merged.config.model_type, served=True)
        model_card.write(folder, out.name, recipe, state, checkpoint.parent / LOG_NAME, facts)
    say(f"merging the adapters changed the logits by at most {difference:.1g}; the folder has the same ids and weights")
    return difference


def _dtype_of(recipe: Recipe) -> torch.dtype:
    """Give the dtype of the pretrained folder, or that of training where it does not say."""
    from transformers import AutoConfig

    section = cast(Any, recipe.model)
    named = AutoConfig.from_pretrained(section.weights.path, local_files_only=True).dtype
    return cast(torch.dtype, named or (torch.bfloat16 if recipe.run.precision == "bf16" else torch.float32))


def _messages(images: int) -> list[dict[str, Any]]:
    noise = np.random.default_rng(0)
    pictures = [Image.fromarray(noise.integers(0, 256, (60, 45 + 20 * i, 3), np.uint8)) for i in range(images)]
    content = [*({"type": "image", "image": picture} for picture in pictures), {"type": "text", "text": QUESTION}]
    return [{"role": "user", "content": content}]


def _samples(recipe: Recipe, model: ImageTextModel, processor: Any) -> list[Any]:
    """Give prompts with 0, 1 and 2 images as training renders them."""
    renderer = make_model_renderer(recipe, model, processor)
    made = []
    for count in range(3):
        content = [{"type": part["type"], "text": part.get("text")} for part in _messages(count)[0]["content"]]
        answer = [{"type": "text", "text": ""}]
        turns = [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
        images = [part["image"] for part in _messages(count)[0]["content"] if part["type"] == "image"]
        made.append(renderer.sample({"id": "export", "messages": turns}, images, ()))
    return made


@torch.inference_mode()
def _logits(base: Any, sample: Any) -> torch.Tensor:
    mask = torch.ones_like(sample.tokens["input_ids"])
    scores: torch.Tensor = base(**sample.tokens, **sample.images, attention_mask=mask, use_cache=False).logits
    return scores.float()


def _validate(folder: Path, merged: Any, processor: Any) -> None:
    """Raise unless a folder loads as what was saved.

    Raises:
        WorkError: token ids or weights differ.
    """
    again = AutoProcessor.from_pretrained(folder, local_files_only=True)
    for count in range(3):
        ours, theirs = (
            each.apply_chat_template(
                _messages(count), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
            for each in (processor, again)
        )
        if ours.keys() != theirs.keys() or any(not torch.equal(ours[name], theirs[name]) for name in ours):
            raise WorkError(f"the exported processor gives other inputs for {count} images; nothing was written")
    loading: Any = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=merged.dtype, local_files_only=True, output_loading_info=True
    )
    model, info = loading
    own, read = merged.state_dict(), model.state_dict()
    differ = [name for name in own if name not in read or not torch.equal(own[name], read[name])]
    if info["missing_keys"] or differ:
        raise WorkError(
            f"the exported folder has other weights ({(info['missing_keys'] or differ)[:3]}); nothing was written"
        )
