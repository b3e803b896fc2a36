"""Turns a record's conversation into token ids and labels."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import WorkError

from ..recipe import Text
from .marked_text import MarkedTokenizer

IMAGE_TOKEN_ID = -1
"""Id of an image token in `input_ids`; no vocabulary has it, so no text can forge it."""

IGNORE_INDEX = -100
"""Label of a position that the loss ignores, as in PyTorch."""

IMAGE_TOKEN = "<image>"  # noqa: S105 - no password
"""The image token in prompts, and that of exported tokenizers."""

SEAM_TOKENS = 16
"""Allowance for a turn that has more tokens than prompt and template have apart."""


class Renderer:
    """Tokenises records as the exported processor does: begin token, images, prompt in its template, answer.

    Special tokens of the template count as such; a prompt or an answer that spells one stays plain text.

    Args:
        tokenizer: of the language model.
        text: template and limits.
        image_tokens: number of tokens per image.
        max_images: images used per record.

    Raises:
        UsageError: as `MarkedTokenizer`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text: Text, image_tokens: int, max_images: int) -> None:
        self.tokenizer, self.text, self.image_tokens, self.max_images = tokenizer, text, image_tokens, max_images
        self._marked = MarkedTokenizer(tokenizer, [(IMAGE_TOKEN, IMAGE_TOKEN_ID)])
        before, after = text.template.split("{prompt}")
        self._before, self._after = self._marked.mark(before), self._marked.mark(after)
        self._begin, self._image = self._marked.mark(str(tokenizer.bos_token)), self._marked.mark(IMAGE_TOKEN)

    def encode(self, record: dict[str, Any]) -> tuple[list[int], list[int]]:
        """Give token ids and labels, both [T]; labels are `IGNORE_INDEX` outside the answer and its end token.

        Raises:
            WorkError: as `prompt_ids`.
        """
        prompt = self._prompt(record)
        text_ids = self._ids(prompt)
        ids, answer = self._with_images(text_ids), self._answer_ids(prompt, text_ids, record)
        return ids + answer, [IGNORE_INDEX] * len(ids) + answer

    def prompt_ids(self, record: dict[str, Any]) -> list[int]:
        """Give the ids of the prompt: begin token, images, the user's turn; they do not depend on the answer.

        Raises:
            WorkError: the messages are not one user turn and one assistant turn of text.
        """
        return self._with_images(self._ids(self._prompt(record)))

    def answer_ids(self, record: dict[str, Any]) -> list[int]:
        """Give the ids of the answer after its prompt, and the end token; a truncated answer gets no end token.

        Raises:
            WorkError: as `prompt_ids`.
        """
        prompt = self._prompt(record)
        return self._answer_ids(prompt, self._ids(prompt), record)

    def continuation_ids(self, record: dict[str, Any], texts: Sequence[str]) -> list[list[int]]:
        """Give the ids that each of several texts has after a record's prompt, without an end token.

        Raises:
            WorkError: as `prompt_ids`.
        """
        prompt = self._prompt(record)
        ids = self._ids(prompt)
        return [self._continuation(prompt, ids, text) for text in texts]

    def max_record_tokens(self) -> int:
        """Give the most tokens that a record can have, with all its images and the longest prompt and answer."""
        template = len(self._ids(self._begin + self._before + self._after)) + SEAM_TOKENS
        text = self.text.max_prompt_tokens + self.text.max_answer_tokens
        return self.max_images * self.image_tokens + template + text

    def _prompt(self, record: dict[str, Any]) -> str:
        """Give the marked text of a prompt, with one image token for each image."""
        user, _ = _turns(record)
        images = min(count_images(record), self.max_images)
        text = self._marked.plain(_text(user))
        starts = self._marked.encode(text).starts
        if len(starts) > self.text.max_prompt_tokens:
            text = text[starts[-self.text.max_prompt_tokens] :]
        return self._begin + self._image * images + self._before + text + self._after

    def _answer_ids(self, prompt: str, prompt_ids: list[int], record: dict[str, Any]) -> list[int]:
        ids = self._continuation(prompt, prompt_ids, _text(_turns(record)[1]))
        limit = self.text.max_answer_tokens
        return ids[:limit] if len(ids) > limit else [*ids, self.tokenizer.eos_token_id]

    def _continuation(self, prompt: str, prompt_ids: list[int], text: str) -> list[int]:
        """Give the ids of a text after a prompt; where the two would share a token, those of the text alone."""
        text, length = self._marked.plain(text), len(prompt_ids)
        whole = self._ids(prompt + text)
        return whole[length:] if whole[:length] == prompt_ids else self._ids(self._begin + text)[1:]

    def _ids(self, text: str) -> list[int]:
        return self._marked.encode(text).ids

    def _with_images(self, ids: Sequence[int]) -> list[int]:
        """Repeat each image token as often as an image has tokens."""
        counts = ((token, self.image_tokens if token == IMAGE_TOKEN_ID else 1) for token in ids)
        return [token for token, count in counts for _ in range(count)]


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
