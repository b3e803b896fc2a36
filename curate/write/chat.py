"""Format records as conversations in the chat format of TRL and transformers."""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any, TypedDict, get_args

from ..record import Record, Section

CAPTION_PROMPT = "Describe this image."
REPORT_PROMPT = "Write the report of this study."
SECTION_PROMPT = "Write the {} of this study."


class ContentPart(TypedDict):
    """One part of a turn: `{"type": "image", "text": None}` or `{"type": "text", "text": ...}`."""

    type: str
    text: str | None


class Message(TypedDict):
    """One turn; `role` is `user` or `assistant`."""

    role: str
    content: list[ContentPart]


def messages(record: Record, section: Section | None = None) -> list[Message]:
    """Return the user turn (one part per image, then the text) and the assistant turn.

    With a `section`, the prompt names that section of the report.

    A multiple-choice prompt lists lettered options; the answer has letter and text, `B. Lung`. A letter alone would
    teach positions; a text alone is ambiguous if two options are equal.
    """
    images: list[ContentPart] = [{"type": "image", "text": None} for _ in record.images]
    return [
        {"role": "user", "content": [*images, {"type": "text", "text": prompt(record, section)}]},
        {"role": "assistant", "content": [{"type": "text", "text": reply(record)}]},
    ]


def prompt(record: Record, section: Section | None = None) -> str:
    """Return the text of the user turn."""
    if record.task == "caption":
        return CAPTION_PROMPT
    if record.task == "report":
        return SECTION_PROMPT.format(section) if section else REPORT_PROMPT
    lines = [record.context, record.question] if record.context else [record.question]
    options = [f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, record.choices, strict=False)]
    return "\n\n".join(lines) + "".join(f"\n{option}" for option in options)


def reply(record: Record) -> str:
    """Return the text of the assistant turn."""
    answer = record.answer if record.correct is None else f"{ascii_uppercase[record.correct]}. {record.answer}"
    return f"{answer}\n{record.explanation}" if record.explanation else answer


def context_of(row: Mapping[str, Any]) -> str:
    """Return the context that `prompt` put before the question of a mix row, or ""."""
    text = next(part["text"] for part in row["messages"][0]["content"] if part["type"] == "text")
    context, separator, _ = text.partition(f"\n\n{row['question']}")
    return context if separator and row["question"] else ""


def is_of(row: Mapping[str, Any]) -> bool:
    """Whether the messages of a mix row can be those of its images, question, options and answer."""
    images = [{"type": "image", "text": None}] * len(row["images"] or ())
    turns = row["messages"]
    if [turn["role"] for turn in turns] != ["user", "assistant"]:
        return False
    *shown, asked = turns[0]["content"]
    (replied,) = turns[1]["content"] if len(turns[1]["content"]) == 1 else ({"type": "", "text": ""},)
    if shown != images or (asked["type"], replied["type"]) != ("text", "text"):
        return False
    return _is_prompt_of(asked["text"], row) and _is_reply_of(replied["text"], row)


def _is_prompt_of(text: str, row: Mapping[str, Any]) -> bool:
    if row["task"] == "caption":
        return text == CAPTION_PROMPT
    if row["task"] == "report":
        return text == REPORT_PROMPT or text in {SECTION_PROMPT.format(section) for section in get_args(Section)}
    options = [f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, row["choices"], strict=False)]
    question = "\n".join([row["question"], *options])
    return text == question or text.endswith(f"\n\n{question}")


def _is_reply_of(text: str, row: Mapping[str, Any]) -> bool:
    letters = [f"{ascii_uppercase[at]}. " for at, choice in enumerate(row["choices"]) if choice == row["answer"]]
    answers = [f"{letter}{row['answer']}" for letter in letters or [""]]
    return any(text == answer or text.startswith(f"{answer}\n") for answer in answers)
