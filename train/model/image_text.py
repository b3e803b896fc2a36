"""A transformers model for images and text, with the interface of `VisionLanguageModel`, so that one loop trains both.

Its own forward pass gives the logits. Samples of a packed row are kept apart by a mask of T x T.
"""

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import peft
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from medmix.curate.errors import UsageError

from ..data.chat import ChatRenderer, make_renderer
from ..data.chat_batches import ChatBatch
from ..data.chat_template import assistant_turn
from ..recipe import ImageText, Recipe
from .attention import block_mask
from .image_text_weights import adapt, language_name, load_pretrained, matches

PACKABLE = ("idefics3", "internvl", "llava", "qwen2_5_vl", "qwen2_vl", "smolvlm")
"""Model types whose attention is causal over text and images, so that a mask can keep packed samples apart."""


class Tower(NamedTuple):
    """The layers of the tower that are sharded one by one: none, because a step without images does not run them."""

    layers: tuple[nn.Module, ...] = ()


class ImageTextModel(nn.Module):
    """A transformers model; B rows of T tokens, vocabulary V.

    `model` is the transformers model, wrapped by peft if the recipe has LoRA. On the meta device it has no weights.

    Attributes:
        processor: of the model, with its tokenizer.

    Raises:
        UsageError: the model cannot be loaded, or trained as the recipe says.
    """

    tower = Tower()

    def __init__(self, recipe: Recipe, processor: Any) -> None:
        super().__init__()
        self.processor = processor
        self.mixed_precision = recipe.run.precision == "bf16"
        base = load_pretrained(recipe)
        validate_packing(recipe, base)
        validate_image_token(recipe, base, processor)
        self.model: peft.PeftModel | PreTrainedModel = adapt(base, recipe.lora) if recipe.lora else base
        self._freeze_all_but(recipe.train)
        tokenizer = processor.tokenizer
        ends = {assistant_turn(processor).end[-1], tokenizer.eos_token_id} - {None}
        base.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=sorted(ends), pad_token_id=tokenizer.pad_token_id
        )

    @property
    def base(self) -> Any:
        """The transformers model inside `model`, with the LoRA layers."""
        return self.model.get_base_model() if isinstance(self.model, peft.PeftModel) else self.model

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.base.get_input_embeddings().weight.device
        return device

    @property
    def max_positions(self) -> int:
        """How many tokens the language model takes."""
        return int(getattr(self.base.config.get_text_config(), "max_position_embeddings", 0) or 1 << 30)

    def forward(self, batch: ChatBatch) -> Tensor:
        """Give each sample's cross-entropy summed over its answer tokens, in nats: [samples] float32."""
        arguments = {name: self._cast(value) for name, value in batch.inputs.items()}
        arguments["attention_mask"] = (
            block_mask(batch.seq_lens, self.device) if batch.seq_lens else batch.attention_mask
        )
        columns = batch.logit_columns
        kept = "logits_to_keep" in inspect.signature(type(self.base).forward).parameters
        if kept:
            arguments["logits_to_keep"] = columns
        with self._autocast():
            logits = self.base(**arguments, use_cache=False).logits
        logits = (logits if kept else logits[:, columns]).flatten(0, 1)[batch.loss_positions]
        losses = F.cross_entropy(logits.float(), batch.targets, reduction="none")
        return losses.new_zeros(len(batch.ids)).index_add(0, batch.target_samples, losses)

    @torch.inference_mode()
    def generate(self, batch: ChatBatch, max_new_tokens: int, stop: StoppingCriteria | None = None) -> Tensor:
        """Decode greedily, [B, at most `max_new_tokens`] int64; `stop` may end rows before their end token."""
        inputs = {name: self._cast(value) for name, value in batch.inputs.items() if name != "position_ids"}
        width = inputs["input_ids"].shape[1]
        with self._autocast():
            ids: Tensor = self.base.generate(
                **inputs,
                attention_mask=batch.attention_mask,
                max_new_tokens=max_new_tokens,
                stopping_criteria=StoppingCriteriaList([AfterPrompt(stop, width)] if stop else []),
            )
        return ids[:, width:]

    def base_parameters(self) -> dict[str, nn.Parameter]:
        """Give the transformers model's own parameters, without LoRA's, by their transformers names."""
        return {
            name.replace(".base_layer.", "."): parameter
            for name, parameter in self.base.named_parameters(remove_duplicate=False)
            if "lora_" not in name
        }

    @property
    def reloadable_weights(self) -> frozenset[str]:
        """State dict names of weights that can be loaded from the pretrained model's files: all that do not train."""
        trained = {name for name, parameter in self.named_parameters(remove_duplicate=False) if parameter.requires_grad}
        return frozenset(name for name in self.state_dict() if name not in trained)

    @property
    def decoder_layers(self) -> list[nn.Module]:
        """The layers of the language model."""
        return list(cast(nn.ModuleList, self.base.get_submodule(language_name(self.base)).layers))

    @property
    def layers(self) -> list[nn.Module]:
        """The layers that are compiled one by one: those of the language model; images differ in shape."""
        return self.decoder_layers

    def checkpoint_activations(self) -> None:
        """Keep the activations of one layer at a time, and recompute the others in the backward pass."""
        base = self.base  # transformers 5.23 renamed the method
        enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable
        enable({"use_reentrant": False})

    def part_of(self, name: str) -> str:
        """Give the part of `rules.PARTS` that a parameter of the transformers model belongs to."""
        if "lora_" in name:
            return "lora"
        return matches(self.base, name.replace(".base_layer.", "."))

    def _autocast(self) -> torch.autocast:
        """Give the context in which frozen weights in bf16 and trained ones in fp32 fit together, as in training."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision)

    def _cast(self, value: Tensor) -> Tensor:
        return value.to(self.base.dtype) if value.is_floating_point() else value

    def _freeze_all_but(self, train: tuple[str, ...]) -> None:
        for name, parameter in self.base.named_parameters():
            part = self.part_of(name)
            trains = part in train or (part == "embeddings" and "language" in train)
            parameter.requires_grad_(trains)
            if trains and parameter.dtype == torch.bfloat16:
                parameter.data = parameter.data.float()  # AdamW's small updates are lost in bf16


class AfterPrompt(StoppingCriteria):
    """Hides the prompt of `width` tokens from another criterion."""

    def __init__(self, inner: StoppingCriteria, width: int) -> None:
        self.inner, self.width = inner, width

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        """Return which rows are finished, [B] bool."""
        finished: Tensor = self.inner(input_ids[:, self.width :], scores, **kwargs)
        return finished


class Positions:
    """Gives the positions of a sample: [1, T], or [3, 1, T] by the model's own rule for multimodal rotary positions.

    Only the configuration of the model is kept, so that data loading processes have no weights.
    """

    def __init__(self, base: PreTrainedModel) -> None:
        inner: Any = getattr(base, "model", base)
        self.kind: Any = type(inner) if hasattr(inner, "get_rope_index") else None
        self.config = inner.config

    def __call__(self, tokens: Mapping[str, Tensor], images: Mapping[str, Tensor]) -> Tensor:
        """Give the positions of a sample from its token columns and the processor's other outputs."""
        ids = tokens["input_ids"]
        if self.kind is None:
            return torch.arange(ids.shape[1]).unsqueeze(0)
        shell = self.kind.__new__(self.kind)
        nn.Module.__init__(shell)
        shell.config = self.config
        known = inspect.signature(self.kind.get_rope_index).parameters
        given = {"mm_token_type_ids": torch.zeros_like(ids), **tokens, **images}
        positions: Tensor = shell.get_rope_index(
            input_ids=ids, **{name: value for name, value in given.items() if name in known and name != "input_ids"}
        )[0]
        return positions


def make_model_renderer(recipe: Recipe, model: ImageTextModel, processor: Any) -> ChatRenderer:
    """Make the renderer of a model, which may be on the meta device."""
    section = cast(ImageText, recipe.model)
    return make_renderer(recipe, section, processor, Positions(model.base), model.max_positions)


def validate_image_token(recipe: Recipe, base: PreTrainedModel, processor: Any) -> None:
    """Raise unless the tokenizer's image token is the one that the model replaces by images.

    Raises:
        UsageError: it is another.
    """
    own = base.config.image_token_id
    parts = (processor, processor.tokenizer)
    ids = sorted({part.image_token_id for part in parts if getattr(part, "image_token_id", None) is not None})
    if own not in ids:
        raise UsageError(
            f"{cast(ImageText, recipe.model).weights.path}: the model's image token is {own}, the tokenizer's is "
            f"{' or '.join(map(str, ids))}; take the model's own tokenizer"
        )


def validate_packing(recipe: Recipe, base: PreTrainedModel) -> None:
    """Raise unless the model's attention can keep packed samples apart.

    Raises:
        UsageError: the recipe packs, and it cannot.
    """
    if recipe.run.pack_tokens is None:
        return
    kind, text = str(base.config.model_type), base.config.get_text_config()
    layers = getattr(text, "layer_types", None) or ["full_attention"]
    if kind not in PACKABLE or {*layers} != {"full_attention"} or getattr(text, "sliding_window", None):
        raise UsageError(
            f"run.pack_tokens: samples of a {kind} model cannot share a row, because of its attention; "
            "give run.micro_batch_size instead (--set run.pack_tokens=null --set run.micro_batch_size=1)"
        )
