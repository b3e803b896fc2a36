"""A vision-language model in the manner of LLaVA (Liu et al. 2023, arXiv 2304.08485).

Patch tokens of a Vision Transformer pass one linear layer and take the places of the image tokens among
the embeddings of a LLaMA.
"""

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import peft
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
)

from medmix.curate.errors import UsageError

from .collate import Batch, image_tokens
from .recipe import Language, LlamaShape, Lora, Recipe, Vision, Weights
from .render import IGNORE

STATE_DICTS = (".safetensors", ".bin", ".pt")
"""How files with weights are called; other paths are folders."""


class VisionLanguageModel(nn.Module):
    """Tower, projector and language model; B records of T tokens, N images of P tokens, width D, V words.

    `language` is the transformers model, in peft's wrapping where the recipe has LoRA.
    """

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.random_start = recipe.language.weights is None
        self.tower = _tower(recipe.vision)
        language = _language(recipe.language, tokenizer, _frozen_dtype(recipe))
        self.projector = nn.Linear(self.tower.embed_dim, language.config.hidden_size)
        self.language: peft.PeftModel | LlamaForCausalLM = (
            _with_lora(language, recipe.lora) if recipe.lora else language
        )
        self.skipped_tokens = 0 if recipe.vision.cls_token else self.tower.num_prefix_tokens
        self._freeze_all_but(recipe.train)

    @property
    def base(self) -> LlamaForCausalLM:
        """The transformers model inside `language`; the LoRA layers sit in it."""
        if isinstance(self.language, peft.PeftModel):
            return cast(LlamaForCausalLM, self.language.get_base_model())
        return self.language

    @property
    def image_tokens(self) -> int:
        """How many tokens stand for one image, P."""
        return self.tower.num_prefix_tokens + self.tower.patch_embed.num_patches - self.skipped_tokens

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return self.projector.weight.device

    def forward(self, batch: Batch) -> Tensor:
        """Give the cross-entropy summed over the answer tokens, in nats: [] float32.

        The output layer is applied to those positions alone.
        """
        labels = batch.labels[:, 1:]
        answers = labels != IGNORE
        logits = self.base.lm_head(self.hidden(batch)[:, :-1][answers])
        return F.cross_entropy(logits.float(), labels[answers], reduction="sum")

    def logits(self, batch: Batch) -> Tensor:
        """Give the scores of the next token at every position, [B, T, V]."""
        scores: Tensor = self.base.lm_head(self.hidden(batch))
        return scores

    def hidden(self, batch: Batch) -> Tensor:
        """Give the last hidden states, [B, T, D]."""
        states: Tensor = self.base.model(
            inputs_embeds=self.embed(batch), attention_mask=batch.attention_mask, use_cache=False
        ).last_hidden_state
        return states

    def embed(self, batch: Batch) -> Tensor:
        """Give the embeddings of text and images, [B, T, D]; without images the tower does not run."""
        places = image_tokens(batch)
        text: Tensor = self.base.get_input_embeddings()(batch.input_ids.masked_fill(places, 0))
        if not len(batch.pixels):
            return text
        features = self.tower.forward_features(batch.pixels)[:, self.skipped_tokens :]  # [N, P, width of the tower]
        return text.masked_scatter(places.unsqueeze(-1), self.projector(features).to(text.dtype))

    @torch.inference_mode()
    def generate(self, batch: Batch, max_new_tokens: int) -> Tensor:
        """Answer greedily, [B, at most `max_new_tokens`] int64; the batch is padded on the left."""
        language: Any = self.base  # transformers types `generate` for none of its own models
        ids: Tensor = language.generate(
            inputs_embeds=self.embed(batch), attention_mask=batch.attention_mask, max_new_tokens=max_new_tokens
        )
        return ids

    def base_parameters(self) -> dict[str, nn.Parameter]:
        """Give the language model's own parameters, without LoRA's, under the names of transformers."""
        return {
            name.replace(".base_layer.", "."): parameter
            for name, parameter in self.base.named_parameters()
            if "lora_" not in name
        }

    def _freeze_all_but(self, train: tuple[str, ...]) -> None:
        self.requires_grad_(False)
        self.tower.requires_grad_("tower" in train)
        self.projector.requires_grad_("projector" in train)
        for name, parameter in self.base.named_parameters():
            part = "lora" if "lora_" in name else "language"
            embedding = part == "language" and ("embed_tokens" in name or "lm_head" in name)
            parameter.requires_grad_(part in train or (embedding and "embeddings" in train))


def require_weights(needed: dict[str, Weights | None]) -> None:
    """Check that weights, under the recipe's keys for their paths, are on this machine.

    Raises:
        UsageError: some are not; names each one and the command that fetches it.
    """
    missing = []
    for key, weights in needed.items():
        if weights and not Path(weights.path).exists():
            path = Path(weights.path)
            folder, file = (path.parent, f" {path.name}") if path.suffix in STATE_DICTS else (path, "")
            fetch = f"hf download {weights.repo}{file} --local-dir {folder}"
            missing.append(f"{key}: {path} is not there; type: {fetch}, or give --set {key}=PATH")
    if missing:
        raise UsageError("; ".join(missing))


def load_tower(tower: nn.Module, weights: Weights) -> None:
    """Load a tower's weights; of an open_clip checkpoint (BiomedCLIP) only the keys of its timm trunk.

    Raises:
        UsageError: the file is not there, is no state dict, or does not fit the tower.
    """
    require_weights({"vision.weights.path": weights})
    path = Path(weights.path)
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a broken pickle or header can raise nearly anything
        raise UsageError(f"{path} is no state dict that can be read: {_first_line(error)}") from error
    trunk = {key.removeprefix("visual.trunk."): value for key, value in state.items() if "visual.trunk." in key}
    try:
        tower.load_state_dict(trunk or state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:500]
        raise UsageError(f"{path} does not fit the tower of the recipe: {reason}") from None


def _tower(vision: Vision) -> Any:
    try:
        tower = timm.create_model(vision.timm, num_classes=0, img_size=vision.size, **vision.kwargs)
    except (RuntimeError, TypeError, AssertionError, ValueError) as error:
        raise UsageError(f"vision.timm: timm cannot make {vision.timm}: {_first_line(error)}") from None
    if not isinstance(tower, timm.models.VisionTransformer):
        raise UsageError(f"vision.timm: {vision.timm} is no Vision Transformer of timm")
    return tower


def _language(language: Language, tokenizer: PreTrainedTokenizerBase, frozen_dtype: torch.dtype) -> LlamaForCausalLM:
    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if language.weights:
        model = _pretrained(language.weights, frozen_dtype)
        model.config.update(special)
    else:
        shape = asdict(cast(LlamaShape, language.shape))  # a checked recipe has one of the two
        model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape, **special))
    model.generation_config = GenerationConfig(do_sample=False, **special)
    return model


def _pretrained(weights: Weights, dtype: torch.dtype) -> LlamaForCausalLM:
    require_weights({"language.weights.path": weights})
    folder = Path(weights.path)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} holds no language model that can be loaded: {_first_line(error)}") from None
    model, loading = loaded
    if not isinstance(model, LlamaForCausalLM):
        raise UsageError(f"{folder} holds a {type(model).__name__}, not a LLaMA")
    if loading["missing_keys"]:
        raise UsageError(f"{folder} lacks weights: {', '.join(sorted(loading['missing_keys'])[:5])}")
    return model


def _frozen_dtype(recipe: Recipe) -> torch.dtype:
    frozen = not {"language", "embeddings"} & set(recipe.train)
    return torch.bfloat16 if frozen and recipe.run.precision == "bf16" else torch.float32


def _with_lora(language: LlamaForCausalLM, lora: Lora) -> peft.PeftModel:
    linear = {name.rpartition(".")[2] for name, module in language.named_modules() if isinstance(module, nn.Linear)}
    available = sorted(linear - {"lm_head"})
    unknown = sorted(set(lora.targets) - set(available))
    if unknown:
        raise UsageError(
            f"lora.targets: the language model has no linear layer {', '.join(unknown)}; it has {', '.join(available)}"
        )
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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
