"""A record as a conversation: the chat form that TRL and transformers read."""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any, TypedDict

from ..record import Record, Section

CAPTION_PROMPT = "Describe this image."
REPORT_PROMPT = "Write the report of this study."
SECTION_PROMPT = "Write the {} of this study."


class Part(TypedDict):
    """One piece of a turn: `{"type": "image", "text": None}` or `{"type": "text", "text": ...}`."""

    type: str
    text: str | None


class Message(TypedDict):
    """One turn; `role` is `user` or `assistant`."""

    role: str
    content: list[Part]


def messages(record: Record, section: Section | None = None) -> list[Message]:
    """Give the user's turn (each image a part, then the text) and the assistant's.

    With a `section` the answer of a report is that section, and is asked for by its name.

    Multiple choice shows lettered options and is answered by letter and text, `B. Lung`; a letter alone
    would teach positions, a text alone is ambiguous where two options read the same.
    """
    images: list[Part] = [{"type": "image", "text": None} for _ in record.images]
    return [
        {"role": "user", "content": [*images, {"type": "text", "text": prompt(record, section)}]},
        {"role": "assistant", "content": [{"type": "text", "text": reply(record)}]},
    ]


def prompt(record: Record, section: Section | None = None) -> str:
    """Give the text that the user says."""
    if record.task == "caption":
        return CAPTION_PROMPT
    if record.task == "report":
        return SECTION_PROMPT.format(section) if section else REPORT_PROMPT
    lines = [record.context, record.question] if record.context else [record.question]
    options = [f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, record.choices, strict=False)]
    return "\n\n".join(lines) + "".join(f"\n{option}" for option in options)


def reply(record: Record) -> str:
    """Give the text that the assistant says."""
    answer = record.answer if record.correct is None else f"{ascii_uppercase[record.correct]}. {record.answer}"
    return f"{answer}\n{record.explanation}" if record.explanation else answer


def context_of(row: Mapping[str, Any]) -> str:
    """Give the context that `prompt` put before the question of a row of a mix, or ""."""
    asked = next(part["text"] for part in row["messages"][0]["content"] if part["type"] == "text")
    before, found, _ = asked.partition(f"\n\n{row['question']}")
    return before if found and row["question"] else ""
