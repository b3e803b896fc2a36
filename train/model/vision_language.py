"""A vision-language model in the layout of LLaVA (Liu et al. 2023, arXiv 2304.08485).

A linear layer projects the tokens of a vision tower; they replace the embeddings of the image tokens in a language
model.
"""

from typing import Any, cast

import peft
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from ..data.collate import Batch, normalise
from ..data.render import IMAGE_TOKEN_ID
from ..recipe import Recipe
from .attention import KERNEL_DTYPES, block_mask, has_varlen_kernel
from .language import add_lora, build_language_model, weights_dtype
from .towers import VisionTower

MAX_SEQLEN_MULTIPLE = 256
"""`max_seqlen` of the attention kernel is rounded up to a multiple of this: few values, so few compilations."""


class VisionLanguageModel(nn.Module):
    """Tower, projector and language model; B rows of T tokens, N images of P tokens, width D, vocabulary V.

    `language` is the transformers model, wrapped by peft if the recipe has LoRA. `mean` and `std` normalise pixels.

    Raises:
        UsageError: tower, language model or adapters cannot be built from the recipe.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.pretrained = recipe.language.weights is not None
        self.image_size = recipe.vision.size
        self.compiled = recipe.run.compile
        self.tower = VisionTower(recipe.vision)
        language = build_language_model(recipe.language, tokenizer, weights_dtype(recipe))
        for name in ("mean", "std"):  # not in checkpoints: the recipe has them
            self.register_buffer(name, torch.tensor(getattr(recipe.vision, name)), persistent=False)
        self.projector = nn.Linear(self.tower.width, language.config.hidden_size)
        self.language: peft.PeftModel | PreTrainedModel = add_lora(language, recipe.lora) if recipe.lora else language
        self._freeze_all_but(recipe.train)

    @property
    def base(self) -> Any:
        """The transformers model inside `language`, with the LoRA layers."""
        return self.language.get_base_model() if isinstance(self.language, peft.PeftModel) else self.language

    @property
    def image_tokens(self) -> int:
        """Tokens per image, P."""
        return self.tower.num_tokens

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.projector.weight.device

    def forward(self, batch: Batch) -> Tensor:
        """Give each sample's cross-entropy summed over its answer tokens, in nats: [samples] float32.

        The output layer is applied to those positions alone.
        """
        logits = self.base.get_output_embeddings()(self.hidden_states(batch).flatten(0, 1)[batch.loss_positions])
        losses = F.cross_entropy(logits.float(), batch.targets, reduction="none")
        return losses.new_zeros(len(batch.ids)).index_add(0, batch.target_samples, losses)

    def logits(self, batch: Batch) -> Tensor:
        """Give the logits of the next token at every position, [B, T, V]."""
        scores: Tensor = self.base.get_output_embeddings()(self.hidden_states(batch))
        return scores

    def hidden_states(self, batch: Batch) -> Tensor:
        """Give the last hidden states, [B, T, D]; samples of a packed row do not see each other."""
        states: Tensor = self.base.get_decoder()(
            inputs_embeds=self.embed(batch),
            position_ids=batch.position_ids,
            use_cache=False,
            **self._attention_arguments(batch),
        ).last_hidden_state
        return states

    def _attention_arguments(self, batch: Batch) -> dict[str, Any]:
        """Give the arguments of `attention.attention` for a batch."""
        if batch.seq_lens is None:
            return {"attention_mask": batch.attention_mask}
        unused = batch.attention_mask[:, None, None]  # given four dimensions, transformers makes no mask of its own
        dropout = getattr(self.base.config, "attention_dropout", 0)
        if has_varlen_kernel(self.device) and self._matmul_dtype() in KERNEL_DTYPES and not dropout:
            max_seqlen = -(-max(batch.seq_lens) // MAX_SEQLEN_MULTIPLE) * MAX_SEQLEN_MULTIPLE
            return {"attention_mask": unused, "cu_seqlens": batch.cu_seqlens, "max_seqlen": max_seqlen}
        if self.compiled:
            return {"attention_mask": block_mask(batch.seq_lens, self.device)}
        return {"attention_mask": unused, "seq_lens": batch.seq_lens}

    def _matmul_dtype(self) -> torch.dtype:
        """Give the dtype of matrix products, under autocast or without."""
        kind = self.device.type
        weights: torch.dtype = self.base.dtype
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weights

    def embed(self, batch: Batch) -> Tensor:
        """Give the embeddings of text and images, [B, T, D]; without images the tower does not run.

        Pixels in uint8 are normalised here, on the device.
        """
        is_image = batch.input_ids == IMAGE_TOKEN_ID
        text: Tensor = self.base.get_input_embeddings()(batch.input_ids.masked_fill(is_image, 0))
        if len(batch.pixels):
            raw = batch.pixels.dtype == torch.uint8
            images = self.projector(self.tower(normalise(batch.pixels, self.mean, self.std) if raw else batch.pixels))
            rows = text.flatten(0, 1).index_copy(0, batch.image_positions, images.flatten(0, 1).to(text.dtype))
            return rows.view_as(text)
        if batch.run_tower:
            blank = torch.zeros(1, 3, self.image_size, self.image_size, device=text.device)
            return text + 0 * self.projector(self.tower(blank)).sum().to(text.dtype)
        return text

    @torch.inference_mode()
    def generate(self, batch: Batch, max_new_tokens: int, stop: StoppingCriteria | None = None) -> Tensor:
        """Decode greedily, [B, at most `max_new_tokens`] int64; the batch is padded on the left.

        `stop` may end rows before their end token.
        """
        ids: Tensor = self.base.generate(
            inputs_embeds=self.embed(batch),
            attention_mask=batch.attention_mask,
            max_new_tokens=max_new_tokens,
            stopping_criteria=StoppingCriteriaList([stop] if stop else []),
        )
        return ids

    def base_parameters(self) -> dict[str, nn.Parameter]:
        """Give the language model's own parameters, without LoRA's, by their transformers names."""
        return {
            name.replace(".base_layer.", "."): parameter
            for name, parameter in self.base.named_parameters(remove_duplicate=False)
            if "lora_" not in name
        }

    @property
    def reloadable_weights(self) -> frozenset[str]:
        """State dict names of frozen weights that can be loaded from the pretrained language model's files."""
        if not self.pretrained:
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
        """The layers of the tower and of the language model, which are compiled one by one."""
        return [*self.tower.layers, *self.decoder_layers]

    def checkpoint_activations(self) -> None:
        """Keep the activations of one layer at a time, and recompute the others in the backward pass."""
        self.tower.checkpoint_activations()
        base = self.base  # transformers 5.23 renamed the method
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
