"""Loads a transformers model for images and text, names its parts, and adds adapters."""

import re
import warnings
from pathlib import Path
from typing import Any, cast

import peft
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError

from ..recipe import ImageText, Lora, Recipe
from .language import lora_config
from .quantize import quantization_arguments
from .weights import validate_weights


def load_pretrained(recipe: Recipe) -> PreTrainedModel:
    """Load the model of `recipe.model`; on the meta device without its weights.

    Raises:
        UsageError: the folder is missing, has no such model, or lacks weights.
    """
    section = cast(ImageText, recipe.model)
    validate_weights({"model.weights.path": section.weights})
    folder = Path(section.weights.path)
    dtype = torch.bfloat16 if recipe.run.precision == "bf16" else torch.float32
    fetch = f"type: hf download {section.weights.repo} --local-dir {folder}"
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if type(config) not in AutoModelForImageTextToText._model_mapping:
            raise UsageError(
                f"{folder} has a {config.model_type} model, and transformers has no model for images and text of that "
                "type; give a folder that AutoModelForImageTextToText loads, or vision and language instead of model"
            )
        if torch.get_default_device().type == "meta":
            empty: PreTrainedModel = AutoModelForImageTextToText.from_config(config, dtype=dtype)
            return empty
        quantized = quantization_arguments(recipe.run)
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True, **quantized
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{folder}: no model for images and text can be loaded from it: {reason}; {fetch}") from None
    model, loading = loaded
    if loading["missing_keys"]:
        raise UsageError(f"{folder} lacks weights: {', '.join(sorted(loading['missing_keys'])[:5])}; {fetch}")
    return cast(PreTrainedModel, model)


def language_name(base: Any) -> str:
    """Give the module name of the language model inside a transformers model."""
    decoder = base.get_decoder()
    return next(name for name, module in base.named_modules() if module is decoder)


def matches(base: Any, name: str) -> str:
    """Give the part that a parameter belongs to: embeddings, language, tower or projector."""
    if "lm_head" in name or name == f"{language_name(base)}.embed_tokens.weight":
        return "embeddings"
    if name.startswith(f"{language_name(base)}."):
        return "language"
    tower = base.get_encoder(modality="image")
    tower_name = next((path for path, module in base.named_modules() if module is tower), "")
    inside = tower_name and name.startswith(f"{tower_name}.")
    return "tower" if inside and ".merger." not in name else "projector"


def adapt(base: PreTrainedModel, lora: Lora) -> peft.PeftModel:
    """Add LoRA adapters to the linear layers in `lora.target_modules`; plain names are of the language model.

    Raises:
        UsageError: the model has no such linear layer.
    """
    language = language_name(base)
    linear = [name for name, module in base.named_modules() if isinstance(module, nn.Linear)]
    inside = [name for name in linear if name.startswith(f"{language}.")]
    known = sorted({name.rpartition(".")[2] for name in inside})
    plain = [target for target in lora.target_modules if target.isidentifier()]
    patterns = [target for target in lora.target_modules if target not in plain]
    problems = [f"no linear layer {name}{nearest(name, known)}" for name in plain if name not in known]
    for pattern in patterns:
        try:
            found = any(re.fullmatch(pattern, name) for name in linear)
        except re.error as error:
            raise UsageError(f"lora.target_modules: {pattern!r} is no regular expression ({error})") from None
        problems += [] if found else [f"no linear layer that matches {pattern!r}"]
    if problems:
        raise UsageError(
            f"lora.target_modules: the model has {', '.join(problems)}; its language model has {', '.join(known)}, "
            f"and its other layers are named like {next((n for n in linear if n not in inside), language)}"
        )
    names = [rf"{re.escape(language)}\..*\.({'|'.join(sorted(plain))})"] if plain else []
    config = lora_config(lora, "|".join(f"(?:{pattern})" for pattern in [*names, *sorted(patterns)]))
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 for an attribute under its old name
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return peft.get_peft_model(base, config)
