"""A vision-language model in the manner of LLaVA (Liu et al. 2023, arXiv 2304.08485).

The tokens of a vision tower pass one linear layer and take the places of the image tokens among the
embeddings of a language model.
"""

from typing import Any, cast

import peft
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from ..data.collate import Batch, image_tokens
from ..recipe import Recipe
from .attention import BY_SAMPLE, KERNEL_TYPES, VARLEN, block_mask, has_kernel
from .language import frozen_dtype, make_language, with_lora
from .towers import Tower, blank

ROUNDED = 256
"""The longest sample of a packed row is told to the attention kernel rounded up to a multiple of this."""


class VisionLanguageModel(nn.Module):
    """Tower, projector and language model; B rows of T tokens, N images of P tokens, width D, V words.

    `language` is the transformers model, in peft's wrapping where the recipe has LoRA.

    Raises:
        UsageError: tower, language model or adapters cannot be made as the recipe says.
    """

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.random_start = recipe.language.weights is None
        self.image_size = recipe.vision.size
        self.compiled = recipe.run.compile
        self.tower = Tower(recipe.vision)
        language = make_language(recipe.language, tokenizer, frozen_dtype(recipe))
        self.projector = nn.Linear(self.tower.width, language.config.hidden_size)
        self.language: peft.PeftModel | PreTrainedModel = with_lora(language, recipe.lora) if recipe.lora else language
        self._freeze_all_but(recipe.train)

    @property
    def base(self) -> Any:
        """The transformers model inside `language`; the LoRA layers sit in it."""
        return self.language.get_base_model() if isinstance(self.language, peft.PeftModel) else self.language

    @property
    def image_tokens(self) -> int:
        """How many tokens stand for one image, P."""
        return self.tower.tokens

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return self.projector.weight.device

    def forward(self, batch: Batch) -> Tensor:
        """Give each sample's cross-entropy summed over its answer tokens, in nats: [samples] float32.

        The output layer is applied to those positions alone.
        """
        logits = self.base.get_output_embeddings()(self.hidden(batch).flatten(0, 1)[batch.places])
        losses = F.cross_entropy(logits.float(), batch.answers, reduction="none")
        return losses.new_zeros(len(batch.ids)).index_add(0, batch.askers, losses)

    def logits(self, batch: Batch) -> Tensor:
        """Give the scores of the next token at every position, [B, T, V]."""
        scores: Tensor = self.base.get_output_embeddings()(self.hidden(batch))
        return scores

    def hidden(self, batch: Batch) -> Tensor:
        """Give the last hidden states, [B, T, D]; in a packed row no sample sees another."""
        self.base.config._attn_implementation, how = self._attention(batch)
        states: Tensor = self.base.get_decoder()(
            inputs_embeds=self.embed(batch), position_ids=batch.position_ids, use_cache=False, **how
        ).last_hidden_state
        return states

    def _attention(self, batch: Batch) -> tuple[str, dict[str, Any]]:
        """Give the attention implementation for a batch, and what it is told about the batch."""
        if batch.lengths is None:
            return "sdpa", {"attention_mask": batch.attention_mask}
        dropout = getattr(self.base.config, "attention_dropout", 0)
        if has_kernel(self.device) and self._products() in KERNEL_TYPES and not dropout:
            longest = -(-max(batch.lengths) // ROUNDED) * ROUNDED  # few values, so that few are compiled for
            return VARLEN, {"attention_mask": None, "sample_bounds": batch.bounds, "longest": longest}
        if self.compiled:
            return "sdpa", {"attention_mask": block_mask(batch.lengths, self.device)}
        return BY_SAMPLE, {"attention_mask": None, "sample_lengths": batch.lengths}

    def _products(self) -> torch.dtype:
        """Give the type in which matrices are multiplied now."""
        kind = self.device.type
        weights: torch.dtype = self.base.dtype
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weights

    def embed(self, batch: Batch) -> Tensor:
        """Give the embeddings of text and images, [B, T, D]; without images the tower does not run."""
        places = image_tokens(batch)
        text: Tensor = self.base.get_input_embeddings()(batch.input_ids.masked_fill(places, 0))
        if len(batch.pixels):
            images = self.projector(self.tower(batch.pixels))
            return text.masked_scatter(places.unsqueeze(-1), images.to(text.dtype))
        if batch.run_tower:
            return text + 0 * self.projector(self.tower(blank(self.image_size, text))).sum().to(text.dtype)
        return text

    @torch.inference_mode()
    def generate(self, batch: Batch, max_new_tokens: int, stop: StoppingCriteria | None = None) -> Tensor:
        """Answer greedily, [B, at most `max_new_tokens`] int64; the batch is padded on the left.

        `stop` may end rows before their end token.
        """
        self.base.config._attn_implementation = "sdpa"
        ids: Tensor = self.base.generate(
            inputs_embeds=self.embed(batch),
            attention_mask=batch.attention_mask,
            max_new_tokens=max_new_tokens,
            stopping_criteria=StoppingCriteriaList([stop] if stop else []),
        )
        return ids

    def base_parameters(self) -> dict[str, nn.Parameter]:
        """Give the language model's own parameters, without LoRA's, under the names of transformers."""
        return {
            name.replace(".base_layer.", "."): parameter
            for name, parameter in self.base.named_parameters(remove_duplicate=False)
            if "lora_" not in name
        }

    @property
    def given_back(self) -> frozenset[str]:
        """The names of frozen weights, as in the state dict, that a pretrained language model's own files give back."""
        if self.random_start:
            return frozenset()
        return frozenset(
            name
            for name, parameter in self.named_parameters(remove_duplicate=False)
            if name.startswith("language.") and not parameter.requires_grad
        )

    @property
    def decoder_layers(self) -> list[nn.Module]:
        """The layers of the language model."""
        return list(cast(nn.ModuleList, self.base.get_decoder().layers))

    @property
    def layers(self) -> list[nn.Module]:
        """The layers of the tower and of the language model: what is compiled one by one."""
        return [*self.tower.layers, *self.decoder_layers]

    def checkpoint_activations(self) -> None:
        """Keep the activations of one layer at a time, and compute the others again on the way back."""
        self.tower.checkpoint_activations()
        base = self.base  # transformers 5.23 gave the method another name
        enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable
        enable({"use_reentrant": False})

    def _freeze_all_but(self, train: tuple[str, ...]) -> None:
        self.requires_grad_(False)
        self.tower.requires_grad_("tower" in train)
        self.projector.requires_grad_("projector" in train)
        for name, parameter in self.base.named_parameters():
            part = "lora" if "lora_" in name else "language"
            embedding = part == "language" and ("embed_tokens" in name or "lm_head" in name)
            parameter.requires_grad_(part in train or (embedding and "embeddings" in train))
