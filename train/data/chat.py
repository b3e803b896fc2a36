"""Turns a record into the inputs of a transformers model for images and text, by its processor and chat template.

The prompt is what the processor makes of the user's turn, with the start of the assistant's turn. The answer is the
assistant's text and what the template writes after it, through the end-of-turn token.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from transformers import ProcessorMixin

from medmix.curate.errors import RowError, WorkError
from medmix.curate.measure.images import decode_rgb

from ..recipe import ImageText, Recipe, Text
from .chat_template import AssistantTurn, assistant_turn, control_tokens, rendered
from .render import IGNORE_INDEX, count_images, turn_texts


class ChatSample(NamedTuple):
    """One record ready for the model.

    Attributes:
        id, source: of the record.
        tokens: inputs with one value per token, [1, T], or [3, 1, T] for multimodal positions: `input_ids`,
            `position_ids`, and what else the processor gives, such as `token_type_ids`.
        labels: [T] int64; `IGNORE_INDEX` outside the answer.
        images: the processor's other outputs, such as `pixel_values`; empty without images.
        num_images: number of images.
    """

    id: str
    source: str
    tokens: Mapping[str, Tensor]
    labels: Tensor
    images: Mapping[str, Tensor]
    num_images: int

    @property
    def length(self) -> int:
        """Number of tokens."""
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class ChatRenderer:
    """Renders records with a processor; picklable, for data loading processes.

    Attributes:
        processor: of transformers.
        text: the limits in tokens; its template is not used.
        model: of the recipe.
        turn: what the template writes in an assistant's turn.
        control: the control tokens, which a text may spell.
        positions: gives the positions of a sample by its tokens and images, [1, T] or [3, 1, T].
        max_tokens: the most tokens that a record may have, and the setting or property that limits it.
    """

    processor: Any
    text: Text
    model: ImageText
    turn: AssistantTurn
    control: tuple[str, ...]
    positions: Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]
    max_tokens: tuple[int, str]

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @property
    def max_images(self) -> int:
        """Images used per record."""
        return self.model.max_images

    def encode(self, record: dict[str, Any]) -> ChatSample:
        """Give the sample of a record with its images.

        Raises:
            WorkError: the record is broken or too long; names it.
        """
        return self.sample(record, decode_images(record, self.model), self.answer_ids(record))

    def sample(self, record: dict[str, Any], images: Sequence[Image.Image], answer: Sequence[int]) -> ChatSample:
        """Give the sample of a record with these images and these token ids for an answer, which may be empty.

        Raises:
            WorkError: as `encode`.
        """
        inputs = self.prompt(record, images)
        width = inputs["input_ids"].shape[1]
        tokens = {name: value for name, value in inputs.items() if value.shape == (1, width)}
        del tokens["attention_mask"]
        pictures = {name: value for name, value in inputs.items() if value.shape != (1, width)}
        labels = torch.full((width,), IGNORE_INDEX)
        source = record.get("source", "")
        return self.extended(ChatSample(record["id"], source, tokens, labels, pictures, len(images)), answer)

    def extended(self, prompt: ChatSample, answer: Sequence[int]) -> ChatSample:
        """Give a prompt with an answer behind it.

        Raises:
            WorkError: it has too many tokens.
        """
        length, (limit, limited_by) = prompt.length + len(answer), self.max_tokens
        if length > limit:
            raise WorkError(
                f"{prompt.id}: has {length} tokens with its images, {limited_by} is {limit}; raise it, or lower "
                "text.max_prompt_tokens, text.max_answer_tokens, model.max_images or the image size in model.processor"
            )
        columns = {name: value for name, value in prompt.tokens.items() if name != "position_ids"}
        tokens = {name: torch.cat([value, value.new_zeros(1, len(answer))], 1) for name, value in columns.items()}
        ids = torch.tensor(answer, dtype=torch.int64)
        tokens["input_ids"][0, prompt.length :] = ids
        tokens["position_ids"] = self.positions(tokens, prompt.images)
        return prompt._replace(tokens=tokens, labels=torch.cat([prompt.labels, ids]))

    def prompt(self, record: dict[str, Any], images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Give the processor's output for the user's turn; it does not depend on the answer.

        Raises:
            WorkError: the record is broken, or its text spells a control token and the processor would take it for one.
        """
        text = self._last_tokens(turn_texts(record)[0])
        content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": text}]
        options: dict[str, Any] = {}
        first: list[int] = []
        if spelled := self._spelled(text):
            first = self._first_ids()
            options = _sanitised(record["id"], spelled[0])
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt", **options,
        )  # fmt: skip
        if first:
            inputs = {name: _begin(name, value, first) for name, value in inputs.items()}
        return {name: value for name, value in inputs.items() if isinstance(value, Tensor)}

    def prompt_ids(self, record: dict[str, Any]) -> list[int]:
        """Give the ids of the prompt without its images, to sort prompts by length."""
        ids: list[int] = self.prompt(record, ())["input_ids"][0].tolist()
        return ids

    def answer_ids(self, record: dict[str, Any]) -> list[int]:
        """Give the ids of the answer and the end of its turn; a truncated answer gets no end.

        Raises:
            WorkError: as `text_ids`.
        """
        ids = self.text_ids(turn_texts(record)[1], record["id"])
        limit = self.text.max_answer_tokens
        return ids[:limit] if len(ids) > limit else [*ids, *self.turn.end]

    def text_ids(self, text: str, where: str = "") -> list[int]:
        """Give the ids of an assistant's text after the start of its turn, as plain text without special tokens.

        Raises:
            WorkError: the text spells a control token that the tokenizer cannot encode as text.
        """
        start, whole = self._plain(self.turn.start), self._plain(self.turn.start + self.turn.gap + text)
        ids = whole[len(start) :] if whole[: len(start)] == start else self._plain(self.turn.gap + text)
        forged = set(self.tokenizer.convert_tokens_to_ids(self._spelled(text))) & set(ids)
        if forged:
            token = self.tokenizer.convert_ids_to_tokens(min(forged))
            raise WorkError(f"{where}: the text spells {token!r}, which the tokenizer cannot encode as text; drop it")
        return ids

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids

    def _spelled(self, text: str) -> list[str]:
        """List the control tokens that a text spells."""
        return [token for token in self.control if token in text]

    def _first_ids(self) -> list[int]:
        """Give the ids that the tokenizer puts before a text of its own accord, as it does before a prompt."""
        if rendered(self.processor, "x").startswith(self.tokenizer.bos_token or "\0"):
            return []
        ids: list[int] = self.tokenizer("x")["input_ids"]
        plain = self._plain("x")
        return ids[: len(ids) - len(plain)] if ids[-len(plain) :] == plain else []

    def _last_tokens(self, text: str) -> str:
        """Give the last tokens of a text, at most `text.max_prompt_tokens`, as text."""
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        starts, count = encoded["offset_mapping"], self.text.max_prompt_tokens
        return text if len(starts) <= count else text[starts[-count][0] :]


def make_renderer(
    recipe: Recipe, model: ImageText, processor: Any,
    positions: Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor], max_positions: int,
) -> ChatRenderer:  # fmt: skip
    """Make the renderer of a recipe; `max_positions` is how many tokens the language model takes."""
    pack = recipe.run.pack_tokens
    limit = (max_positions, "the number of the language model's positions")
    if pack is not None and pack < max_positions:
        limit = (pack, "run.pack_tokens")
    turn, control = assistant_turn(processor), control_tokens(processor)
    return ChatRenderer(processor, recipe.text, model, turn, control, positions, limit)


def decode_images(record: dict[str, Any], model: ImageText) -> list[Image.Image]:
    """Decode the first `model.max_images` images of a record to RGB.

    Raises:
        WorkError: an image cannot be decoded, or the numbers of images and image parts differ.
    """
    images = record["images"]
    if count_images(record) != len(images):
        raise WorkError(f"{record['id']}: {len(images)} images but {count_images(record)} image parts")
    try:
        return [decode_rgb(image["bytes"], model.max_pixels) for image in images[: model.max_images]]
    except RowError as error:
        raise WorkError(f"{record['id']}: an image cannot be used ({error}); type: medmix check") from None


def _sanitised(where: str, spelled: str) -> dict[str, Any]:
    """Give the options by which transformers encodes control tokens in a user's text as plain text.

    Raises:
        WorkError: this version of transformers has none.
    """
    if "sanitize_control_tokens" not in inspect.signature(ProcessorMixin.apply_chat_template).parameters:
        raise WorkError(
            f"{where}: the text spells {spelled!r}, which the processor takes for a control token; drop the record, "
            "or install transformers 5.24 or newer"
        )
    return {"sanitize_control_tokens": True, "processor_kwargs": {"add_special_tokens": False}}


def _begin(name: str, value: Any, first: Sequence[int]) -> Any:
    """Put the first ids before a token column; its other values there are those of text."""
    if name not in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
        return value
    row = {"input_ids": list(first), "attention_mask": [1] * len(first)}.get(name, [0] * len(first))
    return torch.cat([value.new_tensor([row]), value], 1)
