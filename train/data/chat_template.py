"""The processor of a transformers model and its chat template: what it writes around texts and images."""

from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import TemplateError
from transformers import AutoProcessor

from medmix.curate.errors import UsageError

from ..recipe import ImageText

STAND_IN = "medmix"
"""A text in place of a user's or an assistant's, to find what the template writes around it."""


class AssistantTurn(NamedTuple):
    """What a chat template writes in an assistant's turn.

    Attributes:
        start: the plain text before the answer, from the last special token on.
        gap: of the answer, what the start of the turn in a prompt lacks, such as a blank.
        end: token ids after the answer, through the end-of-turn token.
    """

    start: str
    gap: str
    end: tuple[int, ...]


def load_processor(folder: Path, model: ImageText) -> Any:
    """Load the processor of a model, and check that its chat template writes images and turns.

    Raises:
        UsageError: it cannot be loaded, or has no chat template, or the template lacks the image token.
    """
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, **model.processor)
    except (OSError, ValueError, TypeError, KeyError, ImportError, AttributeError) as error:
        raise UsageError(f"{folder}: no processor can be loaded from it: {_first_line(error)}") from None
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise UsageError(f"{folder} has a {type(processor).__name__}; a processor of images and text is needed")
    if not getattr(processor, "chat_template", None):
        raise UsageError(f"{folder}: the processor has no chat template; add chat_template.jinja to that folder")
    image, lacking = image_token(processor), []
    try:
        lacking = [image] if image not in rendered(processor, STAND_IN, images=1) else []
    except TemplateError as error:
        raise UsageError(f"{folder}: the chat template refuses an image with a text: {_first_line(error)}") from None
    if lacking or image not in processor.tokenizer.get_vocab():
        where = "the chat template does not write" if lacking else "the tokenizer lacks"
        raise UsageError(f"{folder}: {where} the image token {image!r}; take the model's own template and tokenizer")
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def image_token(processor: Any) -> str:
    """Give the text that the processor replaces by an image."""
    return str(getattr(processor, "image_token", None) or "<image>")


def control_tokens(processor: Any) -> tuple[str, ...]:
    """List the special tokens and those that the processor itself looks for in a text, sorted."""
    own = [value for name, value in vars(processor).items() if name.endswith("_token") and isinstance(value, str)]
    added = [str(token) for token in processor.tokenizer.added_tokens_decoder.values() if token.special]
    return tuple(sorted({*processor.tokenizer.all_special_tokens, *added, *own} - {""}))


def plain_end(text: str, control: tuple[str, ...]) -> str:
    """Give the part of a text after its last control token."""
    return text[max((text.rindex(token) + len(token) for token in control if token in text), default=0) :]


def assistant_turn(processor: Any) -> AssistantTurn:
    """Find what the template writes in an assistant's turn; the end token where it writes none is the tokenizer's.

    Raises:
        UsageError: the template does not begin an assistant's turn as it begins the answer of a prompt.
    """
    tokenizer = processor.tokenizer
    prompt, whole = rendered(processor, "x"), rendered(processor, "x", answer=STAND_IN)
    before, found, after = whole.rpartition(STAND_IN)
    if not found or not before.startswith(prompt):
        raise UsageError("the chat template begins an assistant's turn in another way than the prompt of an answer")
    special = control_tokens(processor)
    ends = [after.index(token) + len(token) for token in special if token in after]
    end = tokenizer(after[: min(ends)], add_special_tokens=False)["input_ids"] if ends else [tokenizer.eos_token_id]
    return AssistantTurn(plain_end(prompt, special), before[len(prompt) :], tuple(end))


def rendered(processor: Any, question: str, images: int = 0, answer: str | None = None) -> str:
    """Render a user's turn with its images, and an assistant's turn, or its start if there is no answer."""
    content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": question}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if answer is not None:
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    text: str = processor.apply_chat_template(messages, add_generation_prompt=answer is None, tokenize=False)
    return text


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
