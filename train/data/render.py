"""From a conversation to token ids and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import WorkError

from ..recipe import Text

IMAGE = -1
"""Stands in `input_ids` for one image token; no vocabulary has this id, so no text can forge it."""

IGNORE = -100
"""Label of a position that takes no part in the loss."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """How records become tokens; `image_tokens` is how many tokens stand for one image."""

    tokenizer: PreTrainedTokenizerBase
    text: Text
    image_tokens: int
    max_images: int

    def encode(self, record: dict[str, Any]) -> tuple[list[int], list[int]]:
        """Give token ids and labels, both [T]; labels are `IGNORE` outside the answer and its end token.

        Raises:
            WorkError: as `prompt_ids`.
        """
        prompt, answer = self.prompt_ids(record), self.answer_ids(record)
        return prompt + answer, [IGNORE] * len(prompt) + answer

    def prompt_ids(self, record: dict[str, Any]) -> list[int]:
        """Give the ids after which the model is to answer: begin token, images, the user's turn.

        Raises:
            WorkError: the record is not one user's turn and one answer in text.
        """
        user, _ = _turns(record)
        images = min(image_parts(record), self.max_images)
        said = self._last_tokens(_said(user), self.text.max_prompt_tokens)
        turn = self.text.template.replace("{prompt}", said)
        return [self.tokenizer.bos_token_id, *[IMAGE] * (images * self.image_tokens), *self._ids(turn)]

    def template_ids(self) -> list[int]:
        """Give the ids of the template around an empty prompt."""
        return self._ids(self.text.template.replace("{prompt}", ""))

    def answer_ids(self, record: dict[str, Any]) -> list[int]:
        """Give the ids of the answer and the end token; a cut answer has none, for it does not end there."""
        ids = self._ids(_said(_turns(record)[1]))
        limit = self.text.max_answer_tokens
        return ids[:limit] if len(ids) > limit else [*ids, self.tokenizer.eos_token_id]

    def text_ids(self, text: str) -> list[int]:
        """Give the ids of what the assistant may say, as `answer_ids` but whole and without the end token."""
        return self._ids(text)

    def _last_tokens(self, text: str, count: int) -> str:
        """Give the end of a text from its last `count` tokens on."""
        starts = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        return text if len(starts) <= count else text[starts[-count][0] :]

    def _ids(self, text: str) -> list[int]:
        # text that spells a special token stays text
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids


def image_parts(record: dict[str, Any]) -> int:
    """Count the image parts of the user's turn.

    Raises:
        WorkError: as `Renderer.prompt_ids`.
    """
    return sum(part["type"] == "image" for part in _turns(record)[0])


def turn_texts(record: dict[str, Any]) -> list[str]:
    """Give the text of every turn.

    Raises:
        WorkError: as `Renderer.prompt_ids`.
    """
    return [_said(turn) for turn in _turns(record)]


def _turns(record: dict[str, Any]) -> tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]]:
    messages = record["messages"]
    roles = [message["role"] for message in messages]
    if roles != ["user", "assistant"] or any(part["type"] != "text" for part in messages[1]["content"]):
        raise WorkError(f"{record['id']}: the messages are not one user's turn and one answer in text")
    return messages[0]["content"], messages[1]["content"]


def _said(parts: Sequence[dict[str, Any]]) -> str:
    return "\n".join(part["text"] for part in parts if part["type"] == "text")
