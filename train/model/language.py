"""The language model: made at random or loaded from transformers' layout, with LoRA where the recipe has it."""

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
from .weights import require_weights

KINDS = ("llama", "mistral", "qwen2", "qwen3")
"""Model types of transformers that may be the language model.

All are a decoder and one output layer, and nothing happens between embeddings, decoder and output layer."""


def make_language(language: Language, tokenizer: PreTrainedTokenizerBase, frozen_dtype: torch.dtype) -> PreTrainedModel:
    """Make or load the language model, with the special tokens of the tokenizer.

    On the meta device a pretrained model is only shaped, not loaded.

    Raises:
        UsageError: the weights are not there, are not complete, or are of a kind that is not in `KINDS`.
    """
    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if language.weights:
        model = _pretrained(language.weights, frozen_dtype)
        model.config.update(special)
        rows = cast(nn.Embedding, model.get_input_embeddings()).num_embeddings
        if len(tokenizer) > rows:
            raise UsageError(f"{language.weights.path}: the tokenizer has {len(tokenizer)} tokens, the model {rows}")
    else:
        shape = asdict(cast(LlamaShape, language.shape))  # a checked recipe has one of the two
        config = LlamaConfig(vocab_size=len(tokenizer), **shape, **special)
        model = cast(PreTrainedModel, AutoModelForCausalLM.from_config(config, dtype=frozen_dtype))
    model.generation_config = GenerationConfig(do_sample=False, **special)
    return model


def with_lora(language: PreTrainedModel, lora: Lora) -> peft.PeftModel:
    """Put adapters on the linear layers that the recipe names.

    Raises:
        UsageError: the model has no layer of such a name.
    """
    linear = {name.rpartition(".")[2] for name, module in language.named_modules() if isinstance(module, nn.Linear)}
    available = sorted(linear - {"lm_head"})
    unknown = sorted(set(lora.targets) - set(available))
    if unknown:
        named = ", ".join(f"{name}{nearest(name, available)}" for name in unknown)
        raise UsageError(f"lora.targets: the language model has no linear layer {named}; it has {', '.join(available)}")
    config = peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=rf".*\.({'|'.join(sorted(lora.targets))})",  # peft writes a list in random order
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 for an attribute under its old name
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return peft.get_peft_model(language, config)


def stay_in_bf16(model: nn.Module) -> None:
    """Keep peft from copying the inputs of adapters to fp32; under autocast the products are in bf16 all the same."""
    adapted: list[Any] = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    for module in adapted:
        module.cast_input_dtype_enabled = False


def frozen_dtype(recipe: Recipe) -> torch.dtype:
    """Give the type in which the language model's own weights are held: bf16 where they are frozen and may be."""
    frozen = not {"language", "embeddings"} & set(recipe.train)
    return torch.bfloat16 if frozen and recipe.run.precision == "bf16" else torch.float32


def _pretrained(weights: Weights, dtype: torch.dtype) -> PreTrainedModel:
    require_weights({"language.weights.path": weights})
    folder = Path(weights.path)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type not in KINDS:
            raise UsageError(f"{folder} holds a {config.model_type} model; it must be one of {', '.join(KINDS)}")
        if torch.get_default_device().type == "meta":
            shaped: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
            return shaped
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{folder} holds no language model that can be loaded: {reason}") from None
    model, loading = loaded
    if loading["missing_keys"]:
        raise UsageError(f"{folder} lacks weights: {', '.join(sorted(loading['missing_keys'])[:5])}")
    return cast(PreTrainedModel, model)
