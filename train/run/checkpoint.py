"""A checkpoint: everything needed to go on training, or to answer, whole or absent.

step-00000100/
  checkpoint.json       step, records seen, the mix, versions; what the other files mean
  README.md             the card: what was trained, on what
  recipe.yaml           the resolved recipe; pixels and template are prepared as it says
  tokenizer/
  preprocessor_config.json   how pixels are prepared, for transformers' LLaVA image processor
  tower.safetensors  projector.safetensors
  language/             config.json, and weights.safetensors: what no upstream could give back
  adapter/              LoRA as peft saves it, where the recipe has it
  optimizer.pt          AdamW's state, to resume
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
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

import medmix
from medmix.curate.errors import UsageError, WorkError
from medmix.curate.shards import file_sha256

from ..data import tokenizer as tokenizers
from ..data.processor import image_processor
from ..model.vision_language import VisionLanguageModel
from ..recipe import Recipe, as_dict
from ..recipes import from_dict
from . import model_card
from .state import State

LITTLE = 1_000_000
"""A disk with fewer free bytes is full when something could not be written."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded checkpoint."""

    path: Path
    model: VisionLanguageModel
    tokenizer: PreTrainedTokenizerBase
    recipe: Recipe
    state: State


def versions() -> dict[str, str]:
    """Give the versions of medmix and of the libraries that numbers may depend on."""
    libraries = ("torch", "transformers", "peft", "timm", "tokenizers")
    return {"medmix": medmix.__version__, **{name: version(name) for name in libraries}}


def save(
    run: Path,
    model: VisionLanguageModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    state: State,
    tensors: dict[str, Tensor],
    optimizer: dict[str, Any],
) -> Path:
    """Write a checkpoint of this step into the run's folder, and remove all but as many last ones as the recipe keeps.

    Args:
        run: the run's folder.
        model: for names and configurations; its weights may lie in parts on other ranks.
        tokenizer: of the model.
        recipe: the resolved one.
        state: what `checkpoint.json` is to say.
        tensors: what `ranks.whole_tensors` gives.
        optimizer: what `ranks.optimizer_state` gives.

    Raises:
        WorkError: it cannot be written; earlier checkpoints are untouched.
    """
    path = run / f"step-{state.step:08d}"
    try:
        with _whole_folder(path) as folder:
            _save_model(folder, model, tensors)
            tokenizer.save_pretrained(folder / "tokenizer")
            image_processor(recipe.vision).save_pretrained(folder)
            torch.save(optimizer, folder / "optimizer.pt")
            (folder / "recipe.yaml").write_text(yaml.safe_dump(as_dict(recipe), sort_keys=False), encoding="utf-8")
            model_card.write(folder, run.resolve().name, recipe, state, run / "train_log.jsonl")
            (folder / "checkpoint.json").write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
        for old in steps(run)[: -recipe.run.keep_checkpoints]:
            shutil.rmtree(old)
    except _Full as error:
        raise WorkError(
            f"{path} cannot be written: the disk is full; make room and type the same command again: earlier "
            "checkpoints are kept"
        ) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        raise WorkError(f"{path} cannot be written ({error}); mend that and type the same command again") from error
    return path


def steps(run: Path) -> list[Path]:
    """List the checkpoints in a run's folder, the last one last."""
    return sorted(path for path in run.glob("step-*") if (path / "checkpoint.json").is_file())


def find(path: Path) -> Path:
    """Give the checkpoint that a path means: itself, or the last one of a run.

    Raises:
        UsageError: there is none.
    """
    if (path / "checkpoint.json").is_file():
        return path
    found = steps(path)
    if not found:
        raise UsageError(f"{path} holds no checkpoint; type: medmix train --mixture NAME --out {path}")
    return found[-1]


def read(path: Path) -> tuple[Recipe, State]:
    """Read a checkpoint's recipe and state, without its weights.

    Raises:
        UsageError: a file of it is missing or broken.
    """
    try:
        state = State(**json.loads((path / "checkpoint.json").read_bytes()))
        return from_dict(yaml.safe_load((path / "recipe.yaml").read_bytes()), f"{path / 'recipe.yaml'}"), state
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is no checkpoint that can be read ({error})") from error


def load_tokenizer(path: Path, recipe: Recipe) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a checkpoint.

    Raises:
        UsageError: it is missing or broken.
    """
    return tokenizers.load(path / "tokenizer", recipe.language)


def load(path: Path) -> Checkpoint:
    """Load a checkpoint, or the last one of a run, onto the CPU, in evaluation mode.

    Raises:
        UsageError: there is none, a file of it is missing or broken, or the weights of a pretrained
            language model that it builds on are not there.
    """
    path = find(path)
    recipe, state = read(path)
    tokenizer = load_tokenizer(path, recipe)
    model = VisionLanguageModel(recipe, tokenizer)
    try:
        model.tower.timm.load_state_dict(load_file(path / "tower.safetensors"))
        model.projector.load_state_dict(load_file(path / "projector.safetensors"))
        _load_parameters(model.base_parameters(), load_file(path / "language" / "weights.safetensors"))
        if isinstance(model.language, peft.PeftModel):
            peft.set_peft_model_state_dict(model.language, load_file(path / "adapter" / "adapter_model.safetensors"))
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise UsageError(f"{path} is no checkpoint that can be read ({error})") from error
    return Checkpoint(path, model.eval(), tokenizer, recipe, state)


def load_optimizer(path: Path) -> dict[str, Any]:
    """Read the optimiser's state of a checkpoint."""
    state: dict[str, Any] = torch.load(path / "optimizer.pt", "cpu", weights_only=True)
    return state


def digest(path: Path) -> str:
    """Give the SHA-256 over recipe, tokenizer and weights of a checkpoint, 64 hex digits."""
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.suffix == ".safetensors" or file.name in ("recipe.yaml", "tokenizer.json"):
            total.update(f"{file.relative_to(path).as_posix()} {file_sha256(file)}\n".encode())
    return total.hexdigest()


def _save_model(folder: Path, model: VisionLanguageModel, tensors: dict[str, Tensor]) -> None:
    save_file(_under("tower.timm.", tensors), folder / "tower.safetensors")
    save_file(_under("projector.", tensors), folder / "projector.safetensors")
    model.base.config.save_pretrained(folder / "language")
    language = _under("language.", tensors)
    base = {name.removeprefix("base_model.model."): t for name, t in language.items() if "lora_" not in name}
    save_file({n.replace(".base_layer.", "."): t for n, t in base.items()}, folder / "language" / "weights.safetensors")
    if isinstance(model.language, peft.PeftModel):
        # without the flag peft asks the Hub whether the base model's vocabulary has grown
        model.language.save_pretrained(str(folder / "adapter"), save_embedding_layers=False, state_dict=language)
        (folder / "adapter" / "README.md").unlink()  # a form that nobody has filled in; the card is one folder up


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the tensors under a prefix, without it; safetensors refuses tensors that share memory."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            shared = tensor.data_ptr() in seen
            seen.add(tensor.data_ptr())
            found[name.removeprefix(prefix)] = tensor.clone() if shared else tensor.contiguous()
    return found


def _load_parameters(parameters: dict[str, nn.Parameter], saved: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in saved.items():
            parameters[name].copy_(tensor)


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """Give a folder to write to beside `path`; it becomes `path` only when the block ends well."""
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        try:
            yield temporary
        except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors do not say why
            if shutil.disk_usage(temporary).free < LITTLE:
                raise _Full from error
            raise
        for written in [*temporary.rglob("*"), temporary]:
            _sync(written)
        temporary.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Full(Exception):
    """The disk has no room left."""


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
