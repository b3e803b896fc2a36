"""Turns a record's conversation into token ids and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import WorkError

from ..recipe import Text

IMAGE_TOKEN_ID = -1
"""Id of an image token in `input_ids`; no vocabulary has it, so no text can forge it."""

IGNORE_INDEX = -100
"""Label of a position that the loss ignores, as in PyTorch."""

SEAM_TOKENS = 16
"""Allowance for a turn that has more tokens than prompt and template have apart."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """Tokenises records; `image_tokens` is the number of tokens per image."""

    tokenizer: PreTrainedTokenizerBase
    text: Text
    image_tokens: int
    max_images: int

    def encode(self, record: dict[str, Any]) -> tuple[list[int], list[int]]:
        """Give token ids and labels, both [T]; labels are `IGNORE_INDEX` outside the answer and its end token.

        Raises:
            WorkError: as `prompt_ids`.
        """
        prompt, answer = self.prompt_ids(record), self.answer_ids(record)
        return prompt + answer, [IGNORE_INDEX] * len(prompt) + answer

    def prompt_ids(self, record: dict[str, Any]) -> list[int]:
        """Give the ids of the prompt: begin token, images, the user's turn.

        Raises:
            WorkError: the messages are not one user turn and one assistant turn of text.
        """
        user, _ = _turns(record)
        images = min(count_images(record), self.max_images)
        prompt = self._last_tokens(_text(user), self.text.max_prompt_tokens)
        turn = self.text.template.replace("{prompt}", prompt)
        return [self.tokenizer.bos_token_id, *[IMAGE_TOKEN_ID] * (images * self.image_tokens), *self.text_ids(turn)]

    def answer_ids(self, record: dict[str, Any]) -> list[int]:
        """Give the ids of the answer and the end token; a truncated answer gets no end token."""
        ids = self.text_ids(_text(_turns(record)[1]))
        limit = self.text.max_answer_tokens
        return ids[:limit] if len(ids) > limit else [*ids, self.tokenizer.eos_token_id]

    def text_ids(self, text: str) -> list[int]:
        """Give the ids of a plain text, whole and without special tokens: text that spells one stays text."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids

    def max_record_tokens(self) -> int:
        """Give the most tokens that a record can have, with all its images and the longest prompt and answer."""
        template = len(self.text_ids(self.text.template.replace("{prompt}", ""))) + SEAM_TOKENS
        text = self.text.max_prompt_tokens + self.text.max_answer_tokens
        return 1 + self.max_images * self.image_tokens + template + text

    def _last_tokens(self, text: str, count: int) -> str:
        """Give the last `count` tokens of a text, as text."""
        starts = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        return text if len(starts) <= count else text[starts[-count][0] :]


def count_images(record: dict[str, Any]) -> int:
    """Count the image parts of the user's turn.

    Raises:
        WorkError: as `Renderer.prompt_ids`.
    """
    return sum(part["type"] == "image" for part in _turns(record)[0])


def turn_texts(record: dict[str, Any]) -> list[str]:
    """Give the text of both turns.

    Raises:
        WorkError: as `Renderer.prompt_ids`.
    """
    return [_text(turn) for turn in _turns(record)]


def _turns(record: dict[str, Any]) -> tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]]:
    messages = record["messages"]
    roles = [message["role"] for message in messages]
    if roles != ["user", "assistant"] or any(part["type"] != "text" for part in messages[1]["content"]):
        raise WorkError(f"{record['id']}: the messages are not one user turn and one assistant turn of text")
    return messages[0]["content"], messages[1]["content"]


def _text(parts: Sequence[dict[str, Any]]) -> str:
    return "\n".join(part["text"] for part in parts if part["type"] == "text")
