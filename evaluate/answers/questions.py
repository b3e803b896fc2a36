"""Questions, with the user's prompt apart from the gold answer: prompts never contain it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, NamedTuple

from medmix.curate.evaluationsets.item_keys import item_key
from medmix.curate.measure import text
from medmix.curate.measure.text_keys import Texts, measure_texts
from medmix.curate.record import QUESTION_TASKS, Record
from medmix.curate.write.chat import context_of, messages

ANSWER_LABELS: Mapping[str, tuple[str, ...]] = {"pubmedqa": ("yes", "no", "maybe")}
"""The possible answers to every question of a source, if upstream gives no options."""

MULTILINGUAL = ("slake",)
"""Sources with several languages; each language is scored separately."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a benchmark.

    Attributes:
        id: of the record.
        benchmark: the source.
        subsets: the subsets of the benchmark that it is scored in: `all`, `closed`, `zh/open`, `modality/mri`, ...
        group: image, patient or article; intervals draw whole groups.
        language: ISO 639-1.
        user_content: images and text of the user, as in the chat form.
        images: keys of its images in `QuestionImages`.
        references: the right answers, the first one first.
        choices: the options' texts, as upstream has them; empty without options.
        options: the assistant's text for each of them.
        correct: index of the right option, None without options.
        content_key: of the item, as mixes know those that they were kept clean of (`item_keys`).
    """

    id: str
    benchmark: str
    subsets: tuple[str, ...]
    group: str
    language: str
    user_content: tuple[Mapping[str, Any], ...]
    images: tuple[str, ...]
    references: tuple[str, ...]
    choices: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    correct: int | None = None
    content_key: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """The record that the prompt is rendered from: the user's message, and an empty assistant message."""
        empty = [{"type": "text", "text": ""}]
        return {
            "id": self.id,
            "messages": [{"role": "user", "content": list(self.user_content)}, {"role": "assistant", "content": empty}],
        }


def from_record(
    record: Record, language: str, images: Sequence[str] = (), image_sha256: Sequence[str] = ()
) -> Question:
    """Make the question of a reader's record; its text is cleaned as a build cleans it."""
    cleaned = Record(**{name: _cleaned(getattr(record, name)) for name in Record.__dataclass_fields__})
    texts = Texts(cleaned.question, cleaned.answer, cleaned.context, cleaned.choices)
    choices = _choices(record.source, (cleaned.answer, *cleaned.alternatives), cleaned.choices, record.correct)
    language = record.language or language
    part = _part(record.source, record.file, record.modality)
    return Question(
        id=record.id,
        benchmark=record.source,
        subsets=_subsets(record.source, language, "" if choices.options else record.answer_type, part),
        group=record.group or record.id,
        language=language,
        user_content=tuple(messages(cleaned)[0]["content"]),
        images=tuple(images),
        content_key=_content_key(texts, image_sha256),
        **choices._asdict(),
    )


def from_row(row: Mapping[str, Any], images: Sequence[str] = ()) -> Question:
    """Make the question of a row of a mix, with the columns `COLUMNS`."""
    texts = tuple(row["choices"] or ())
    reply = first_line("\n".join(part["text"] or "" for part in row["messages"][1]["content"]))
    lettered = [first_line(option) for option in _lettered(texts)]
    correct = lettered.index(reply) if reply in lettered else None
    choices = _choices(row["source"], (row["answer"], *(row["alternatives"] or ())), texts, correct)
    language = row["language"] or ""
    part = _part(row["source"], row["upstream"]["file"], row["modality"] or "")
    return Question(
        id=row["id"],
        benchmark=row["source"],
        subsets=_subsets(row["source"], language, "" if choices.options else row["answer_type"] or "", part),
        group=row["group"] or row["id"],
        language=language,
        user_content=tuple(row["messages"][0]["content"]),
        images=tuple(images),
        content_key=_content_key(
            Texts(row["question"], row["answer"], context_of(row), texts), row.get("image_sha256") or ()
        ),
        **choices._asdict(),
    )


def _content_key(texts: Texts, image_sha256: Sequence[str]) -> str:
    key = None if image_sha256 else measure_texts([texts])[0].question_answer_key
    return item_key(image_sha256, key)


COLUMNS = (
    "id",
    "source",
    "task",
    "group",
    "language",
    "answer_type",
    "modality",
    "messages",
    "question",
    "answer",
    "alternatives",
    "choices",
    "upstream",
    "image_sha256",
)
"""The columns of a mix that questions are made of, without images."""


def has_question(task: str) -> bool:
    """Return whether records of a task are questions with short answers."""
    return task in QUESTION_TASKS


def first_line(answer: str) -> str:
    """Return the first line that is not blank, stripped, or ""."""
    return next((line.strip() for line in answer.splitlines() if line.strip()), "")


class _Choices(NamedTuple):
    """Fields of a `Question`."""

    references: tuple[str, ...]
    choices: tuple[str, ...]
    options: tuple[str, ...]
    correct: int | None


def _choices(benchmark: str, answers: Sequence[str], choices: tuple[str, ...], correct: int | None) -> _Choices:
    references = tuple(first_line(answer) for answer in answers)
    options = _lettered(choices)
    if not choices and references[0] in ANSWER_LABELS.get(benchmark, ()):
        choices = options = ANSWER_LABELS[benchmark]
        correct = choices.index(references[0])
    has_options = correct is not None and bool(options)
    return _Choices(references, choices, options, correct) if has_options else _Choices(references, (), (), None)


def _lettered(choices: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))


def _subsets(benchmark: str, language: str, answer_type: str, part: str) -> tuple[str, ...]:
    whole = language if benchmark in MULTILINGUAL else "all"
    if benchmark == "pmc_vqa":
        return (part,)
    named = [answer_type, part]
    prefix = f"{whole}/" if benchmark in MULTILINGUAL else ""
    return (whole, *(f"{prefix}{name}" for name in named if name))


def _part(source: str, file: str, modality: str) -> str:
    """Return the subset of a benchmark by file or modality, or ""."""
    if source == "pmc_vqa":  # test_clean.csv repeats rows of test.csv, so there is no whole
        return file.rpartition("/")[2].removesuffix(".csv")
    return f"modality/{modality}" if source in ("omnimedvqa", "ubench") and modality else ""


def _cleaned(value: Any) -> Any:
    """Clean the texts of a record; names and keys stay the same."""
    if isinstance(value, str):
        return text.clean(value)
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return tuple(text.clean(part) for part in value)
    return value
