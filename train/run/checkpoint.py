"""Checkpoints: everything needed to resume training or to run the model, written completely or not at all.

step-00000100/
  checkpoint.json       step, records seen, the mix, versions
  README.md             the model card
  recipe.yaml           the resolved recipe, with image preprocessing and prompt template
  tokenizer/
  preprocessor_config.json   image preprocessing, for transformers' LLaVA image processor
  tower.safetensors  projector.safetensors
  language/             config.json, and weights.safetensors without weights of a pretrained model that stayed frozen
  adapter/              LoRA as peft saves it, if the recipe has it
  optimizer.pt          AdamW's state, to resume

A transformers model for images and text has its processor in tokenizer/, and model/ as in `image_text_checkpoint`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import peft
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

import medmix
from medmix.curate.errors import UsageError, WorkError
from medmix.curate.shards import file_sha256

from ..data.collate import image_processor
from ..model import kinds
from ..model.image_text import ImageTextModel
from ..model.vision_language import VisionLanguageModel
from ..recipe import Recipe, as_dict
from ..recipes import from_dict
from . import image_text_checkpoint, model_card
from .metrics_logger import LOG_NAME
from .state import TrainerState, best_checkpoint, find_checkpoint, list_checkpoints

DISK_FULL_BYTES = 1_000_000
"""A failed write is blamed on a full disk if the disk has fewer free bytes."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded checkpoint."""

    path: Path
    model: VisionLanguageModel
    tokenizer: PreTrainedTokenizerBase
    recipe: Recipe
    state: TrainerState


def versions() -> dict[str, str]:
    """Give the versions of medmix and of the libraries that numbers may depend on."""
    libraries = ("torch", "transformers", "peft", "timm", "tokenizers")
    return {"medmix": medmix.__version__, **{name: version(name) for name in libraries}}


def save(
    run: Path,
    model: VisionLanguageModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    state: TrainerState,
    tensors: dict[str, Tensor],
    optimizer: dict[str, Any],
) -> Path:
    """Write a checkpoint of this step into the run's folder, and remove those that the recipe does not keep.

    Args:
        run: the run's folder.
        model: for names and configurations; its weights may be sharded over the ranks.
        tokenizer: of the model.
        recipe: the resolved one.
        state: content of `checkpoint.json`.
        tensors: from `ranks.full_state_dict`.
        optimizer: from `ranks.full_optimizer_state`.

    Raises:
        WorkError: it cannot be written; earlier checkpoints are untouched.
    """
    path = run / f"step-{state.step:08d}"
    with _atomic_folder(path) as folder:
        _save_model(folder, model, tensors)
        tokenizer.save_pretrained(folder / "tokenizer")
        if recipe.model is None:
            image_processor(recipe.vision).save_pretrained(folder)
        torch.save(optimizer, folder / "optimizer.pt")
        (folder / "recipe.yaml").write_text(yaml.safe_dump(as_dict(recipe), sort_keys=False), encoding="utf-8")
        model_card.write(folder, run.resolve().name, recipe, state, run / LOG_NAME)
        (folder / "checkpoint.json").write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    best = best_checkpoint(run) if recipe.run.keep == "best" else None
    for old in list_checkpoints(run)[: -recipe.run.keep_checkpoints]:
        if old != best:
            shutil.rmtree(old)
    return path


def read(path: Path) -> tuple[Recipe, TrainerState]:
    """Read a checkpoint's recipe and state, without its weights.

    Raises:
        UsageError: a file of it is missing or broken, or its recipe has a former key.
    """
    try:
        state = TrainerState(**json.loads((path / "checkpoint.json").read_bytes()))
        return from_dict(yaml.safe_load((path / "recipe.yaml").read_bytes()), f"{path / 'recipe.yaml'}"), state
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as a checkpoint ({error})") from error


def load(path: Path, changed: Recipe | None = None) -> Checkpoint:
    """Load a checkpoint, or the latest one of a run, on the CPU, in evaluation mode.

    Args:
        path: of the checkpoint or the run.
        changed: the recipe to build the model from, if it is not the checkpoint's own.

    Raises:
        UsageError: there is none, a file of it is missing or broken, or the weights of its pretrained language model
            are missing.
    """
    path = find_checkpoint(path)
    recipe, state = read(path)
    recipe = changed or recipe
    tokenizer = kinds.load_tokenizer(path / "tokenizer", recipe)
    model = kinds.build(recipe, tokenizer)
    load_weights(model, path)
    if isinstance(model, ImageTextModel):
        tokenizer = model.processor.tokenizer
    return Checkpoint(path, model.eval(), tokenizer, recipe, state)


def load_weights(model: VisionLanguageModel, path: Path, with_adapter: bool = True) -> None:
    """Load a checkpoint's weights into a model, those of its adapter only if asked.

    Raises:
        UsageError: a file is missing or broken, or of a model of another shape.
    """
    try:
        if isinstance(model, ImageTextModel):
            image_text_checkpoint.load(path, model, with_adapter)
            return
        model.tower.timm.load_state_dict(load_file(path / "tower.safetensors"))
        model.projector.load_state_dict(load_file(path / "projector.safetensors"))
        parameters = model.base_parameters()
        with torch.no_grad():
            for name, tensor in load_file(path / "language" / "weights.safetensors").items():
                parameters[name].copy_(tensor)
        if with_adapter and isinstance(model.language, peft.PeftModel):
            peft.set_peft_model_state_dict(model.language, load_file(path / "adapter" / "adapter_model.safetensors"))
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise UsageError(f"{path} cannot be read as a checkpoint ({error})") from error


def digest(path: Path) -> str:
    """Give the SHA-256 over recipe, tokenizer and weights of a checkpoint, 64 hex digits."""
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.suffix == ".safetensors" or file.name in ("recipe.yaml", "tokenizer.json"):
            total.update(f"{file.relative_to(path).as_posix()} {file_sha256(file)}\n".encode())
    return total.hexdigest()


def _save_model(folder: Path, model: VisionLanguageModel, tensors: dict[str, Tensor]) -> None:
    if isinstance(model, ImageTextModel):
        image_text_checkpoint.save(folder, model, tensors)
        return
    save_file(_select("tower.timm.", tensors), folder / "tower.safetensors")
    save_file(_select("projector.", tensors), folder / "projector.safetensors")
    model.base.config.save_pretrained(folder / "language")
    language = _select("language.", tensors)
    base = {name.removeprefix("base_model.model."): t for name, t in language.items() if "lora_" not in name}
    save_file({n.replace(".base_layer.", "."): t for n, t in base.items()}, folder / "language" / "weights.safetensors")
    if isinstance(model.language, peft.PeftModel):
        # without the flag peft asks the Hub for the base model's vocabulary size
        model.language.save_pretrained(str(folder / "adapter"), save_embedding_layers=False, state_dict=language)
        (folder / "adapter" / "README.md").unlink()  # an empty template; the card is one folder up


def _select(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors whose names have a prefix, without it; safetensors needs copies of tensors that share memory."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            shared = tensor.data_ptr() in seen
            seen.add(tensor.data_ptr())
            found[name.removeprefix(prefix)] = tensor.clone() if shared else tensor.contiguous()
    return found


@contextmanager
def _atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to write to; it is renamed to `path` only if the block succeeds.

    Raises:
        WorkError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for written in [*temporary.rglob("*"), temporary]:
            _fsync(written)
        temporary.rename(path)
        _fsync(path.parent)
    except (OSError, RuntimeError, SafetensorError) as error:
        full = shutil.disk_usage(path.parent).free < DISK_FULL_BYTES  # torch and safetensors do not say so
        problem = ": the disk is full; make room" if full else f" ({error}); fix that"
        raise WorkError(
            f"{path} cannot be written{problem} and type the same command again: earlier checkpoints are kept"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
