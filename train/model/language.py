"""The language model: randomly initialised or loaded from a transformers folder, with LoRA if the recipe has it."""

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError

from ..recipe import Language, LlamaShape, Lora, Recipe, Weights
from .attention import IMPLEMENTATION
from .weights import validate_weights

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
"""Supported model types of transformers: a decoder and an output layer, with nothing between embeddings, decoder and
output layer."""


def build_language_model(language: Language, tokenizer: PreTrainedTokenizerBase, dtype: torch.dtype) -> PreTrainedModel:
    """Build or load the language model, with the special tokens of the tokenizer.

    On the meta device a pretrained model is built without its weights.

    Raises:
        UsageError: the weights are missing or incomplete, or their model type is not in `MODEL_TYPES`.
    """
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    if language.weights:
        model = _load_pretrained(language.weights, dtype)
        model.config.update(special)
        rows = cast(nn.Embedding, model.get_input_embeddings()).num_embeddings
        if len(tokenizer) > rows:
            raise UsageError(f"{language.weights.path}: the tokenizer has {len(tokenizer)} tokens, the model {rows}")
    else:
        shape = asdict(cast(LlamaShape, language.shape))  # a valid recipe has weights or a shape
        config = LlamaConfig(vocab_size=len(tokenizer), **shape, **special)
        model = cast(PreTrainedModel, AutoModelForCausalLM.from_config(config, dtype=dtype))
    model.set_attn_implementation(IMPLEMENTATION)
    model.generation_config = GenerationConfig(do_sample=False, **special)
    return model


def add_lora(language: PreTrainedModel, lora: Lora) -> peft.PeftModel:
    """Add LoRA adapters to the linear layers in `lora.target_modules`.

    Raises:
        UsageError: the model has no linear layer of such a name.
    """
    linear = {name.rpartition(".")[2] for name, module in language.named_modules() if isinstance(module, nn.Linear)}
    available = sorted(linear - {"lm_head"})
    unknown = sorted(set(lora.target_modules) - set(available))
    if unknown:
        named = ", ".join(f"{name}{nearest(name, available)}" for name in unknown)
        raise UsageError(
            f"lora.target_modules: the language model has no linear layer {named}; it has {', '.join(available)}"
        )
    # a pattern, because peft writes a list in random order
    config = lora_config(lora, rf".*\.({'|'.join(sorted(lora.target_modules))})")
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 for an attribute under its old name
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return peft.get_peft_model(language, config)


def lora_config(lora: Lora, target_modules: str) -> peft.LoraConfig:
    """Give peft's configuration of the adapters; `target_modules` is a regular expression for module names."""
    return peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        init_lora_weights=True if lora.init == "default" else lora.init,
        target_modules=target_modules,
        task_type="CAUSAL_LM",
    )


def disable_input_upcast(model: nn.Module) -> None:
    """Keep peft from copying the inputs of adapters to fp32; under autocast the products are in bf16 anyway."""
    adapted: list[Any] = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    for module in adapted:
        module.cast_input_dtype_enabled = False


def weights_dtype(recipe: Recipe) -> torch.dtype:
    """Give the dtype of the language model's own weights: bf16 if they are frozen and the precision is bf16."""
    frozen = not {"language", "embeddings"} & set(recipe.train)
    return torch.bfloat16 if frozen and recipe.run.precision == "bf16" else torch.float32


def _load_pretrained(weights: Weights, dtype: torch.dtype) -> PreTrainedModel:
    validate_weights({"language.weights.path": weights})
    folder = Path(weights.path)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type not in MODEL_TYPES:
            raise UsageError(f"{folder} has a {config.model_type} model; it must be one of {', '.join(MODEL_TYPES)}")
        if torch.get_default_device().type == "meta":
            empty: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
            return empty
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{folder}: no language model can be loaded from it: {reason}") from None
    model, loading = loaded
    if loading["missing_keys"]:
        raise UsageError(f"{folder} lacks weights: {', '.join(sorted(loading['missing_keys'])[:5])}")
    return cast(PreTrainedModel, model)
