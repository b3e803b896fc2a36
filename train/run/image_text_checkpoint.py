"""The part of a checkpoint that has the weights of a transformers model for images and text.

model/      config.json, and weights.safetensors with the trained weights that are no adapter's, by transformers' names
adapter/    LoRA as peft saves it, if the recipe has it
"""

from pathlib import Path

import peft
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..model.image_text import ImageTextModel


def save(folder: Path, model: ImageTextModel, tensors: dict[str, Tensor]) -> None:
    """Write the trained weights into a folder; the others are those of the pretrained model's files."""
    mine = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    model.base.config.save_pretrained(folder / "model")
    trained: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in mine.items():
        if "lora_" not in name:
            plain = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
            trained[plain] = tensor.clone() if tensor.data_ptr() in seen else tensor.contiguous()
            seen.add(tensor.data_ptr())
    save_file(trained, folder / "model" / "weights.safetensors")
    if isinstance(model.model, peft.PeftModel):
        # without the flag peft asks the Hub for the base model's vocabulary size
        model.model.save_pretrained(str(folder / "adapter"), save_embedding_layers=False, state_dict=mine)
        (folder / "adapter" / "README.md").unlink()  # an empty template; the card is one folder up


def load(folder: Path, model: ImageTextModel, with_adapter: bool = True) -> None:
    """Load the trained weights from a folder into a model that was built from the pretrained files.

    Those of an adapter are loaded only if asked.

    Raises:
        OSError, KeyError, RuntimeError: a file is missing or does not fit.
    """
    parameters = model.base_parameters()
    with torch.no_grad():
        for name, tensor in load_file(folder / "model" / "weights.safetensors").items():
            parameters[name].copy_(tensor)
    if with_adapter and isinstance(model.model, peft.PeftModel):
        peft.set_peft_model_state_dict(model.model, load_file(folder / "adapter" / "adapter_model.safetensors"))
