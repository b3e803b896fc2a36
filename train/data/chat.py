"""Turns a record into the inputs of a transformers model for images and text, by its processor and chat template.

The prompt is what the processor makes of the user's turn, with the start of the assistant's turn. The answer is the
assistant's text and what the template writes after it, through the end-of-turn token.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from PIL import Image
from tokenizers import AddedToken
from torch import Tensor

from medmix.curate.errors import RowError, WorkError
from medmix.curate.measure.images import decode_rgb

from ..recipe import ImageText, Recipe, Text
from .chat_template import AssistantTurn, assistant_turn, control_tokens, plain_end, rendered
from .render import IGNORE_INDEX, count_images, turn_texts

STAND_IN_TOKEN = "<|medmix-text|>"  # noqa: S105 - no password
"""A token of our own in place of a user's text that spells control tokens."""


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
        marked: the same with a token more, `STAND_IN_TOKEN`.
        model: of the recipe.
        turn: what the template writes in an assistant's turn.
        control: the control tokens, which a text may spell.
        positions: gives the positions of a sample by its tokens and images, [1, T] or [3, 1, T].
        max_tokens: the most tokens that a record may have, and the setting or property that limits it.
    """

    processor: Any
    marked: Any
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
            WorkError: the record is broken, or as `text_ids`.
        """
        text = self._last_tokens(turn_texts(record)[0])
        if any(token in text for token in self.control):
            return self._prompt_of_plain_text(text, images, record["id"])
        return _inputs(self.processor, text, images)

    def _prompt_of_plain_text(self, text: str, images: Sequence[Image.Image], where: str) -> dict[str, Tensor]:
        """Give the processor's output for a text that spells control tokens, with all of it encoded as plain text.

        The processor sees a token in place of the text, which is then replaced by the text's ids.
        """
        inputs = _inputs(self.marked, STAND_IN_TOKEN, images)
        before = rendered(self.marked, STAND_IN_TOKEN, len(images)).partition(STAND_IN_TOKEN)[0]
        if " x " not in rendered(self.processor, " x "):
            text = text.strip()  # as the template does
        ids = self._continued(plain_end(before, self.control), text, where)
        width, row = inputs["input_ids"].shape[1], inputs["input_ids"][0].tolist()
        place = row.index(self.marked.tokenizer.convert_tokens_to_ids(STAND_IN_TOKEN))
        for name, value in inputs.items():
            if value.shape == (1, width):
                filler = {"input_ids": torch.tensor(ids), "attention_mask": torch.ones(len(ids))}
                middle = filler.get(name, torch.zeros(len(ids))).to(value.dtype)[None]
                inputs[name] = torch.cat([value[:, :place], middle, value[:, place + 1 :]], 1)
        return inputs

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
        return self._continued(self.turn.start, self.turn.gap + text, where)

    def continuation_ids(self, record: dict[str, Any], texts: Sequence[str]) -> list[list[int]]:
        """Give the ids that each of several texts has as the answer to a record, without the end of the turn.

        Raises:
            WorkError: as `text_ids`.
        """
        return [self.text_ids(text, record["id"]) for text in texts]

    def _continued(self, start: str, text: str, where: str) -> list[int]:
        """Give the ids of a text after another, as plain text."""
        first, whole = self._plain(start), self._plain(start + text)
        ids = whole[len(first) :] if whole[: len(first)] == first else self._plain(text)
        spelled = [token for token in self.control if token in text]
        forged = set(self.tokenizer.convert_tokens_to_ids(spelled)) & set(ids)
        if forged:
            token = self.tokenizer.convert_ids_to_tokens(min(forged))
            raise WorkError(f"{where}: the text spells {token!r}, which the tokenizer cannot encode as text; drop it")
        return ids

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids

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
    marked = copy.deepcopy(processor)
    marked.tokenizer.add_tokens([AddedToken(STAND_IN_TOKEN, special=True, normalized=False)], special_tokens=True)
    return ChatRenderer(processor, marked, recipe.text, model, turn, control, positions, limit)


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


def _inputs(processor: Any, text: str, images: Sequence[Image.Image]) -> dict[str, Tensor]:
    content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": text}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt",
    )  # fmt: skip
    return {name: value for name, value in inputs.items() if isinstance(value, Tensor)}
