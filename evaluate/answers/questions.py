"""A question as a model is asked it, apart from what is right: prompts are made where no answer is at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from medmix.curate.measure import text
from medmix.curate.record import QUESTION_TASKS, Record
from medmix.curate.write.chat import messages

LABELS: Mapping[str, tuple[str, ...]] = {"pubmedqa": ("yes", "no", "maybe")}
"""What every question of a source is answered with, where upstream gives no options."""

PER_LANGUAGE = ("slake",)
"""Sources that ask in several languages; each is scored apart."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a benchmark.

    Attributes:
        id: of the record.
        benchmark: the source.
        subsets: the parts of the benchmark that it is scored in: `all`, `closed`, `zh/open`, `modality/mri`, ...
        group: image, patient or article; what intervals draw.
        language: ISO 639-1.
        turn: what the user says, images and text, as in the chat form.
        images: keys of its images in `Pictures`.
        golds: the right answers, the first one first.
        choices: the options' texts, as upstream has them; empty where there are none.
        options: what the assistant says to choose each of them.
        correct: place of the right one, None without options.
    """

    id: str
    benchmark: str
    subsets: tuple[str, ...]
    group: str
    language: str
    turn: tuple[Mapping[str, Any], ...]
    images: tuple[str, ...]
    golds: tuple[str, ...]
    choices: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    correct: int | None = None

    @property
    def record(self) -> dict[str, Any]:
        """What the renderer makes the prompt of: the user's turn, and an assistant that has said nothing."""
        said = [{"type": "text", "text": ""}]
        return {
            "id": self.id,
            "messages": [{"role": "user", "content": list(self.turn)}, {"role": "assistant", "content": said}],
        }


def of_record(record: Record, language: str, images: Sequence[str]) -> Question:
    """Make the question of a record as a reader gives it; its text is cleaned as a build cleans it."""
    cleaned = Record(**{name: _cleaned(getattr(record, name)) for name in Record.__dataclass_fields__})
    return _question(
        id=record.id,
        benchmark=record.source,
        group=record.group or record.id,
        language=record.language or language,
        answer_type=record.answer_type,
        part=_part(record.source, record.file, record.modality),
        turn=messages(cleaned)[0]["content"],
        images=images,
        golds=(cleaned.answer, *cleaned.alternatives),
        choices=cleaned.choices,
        correct=record.correct,
    )


def of_row(row: Mapping[str, Any], images: Sequence[str]) -> Question:
    """Make the question of a row of a mix, with the columns of `COLUMNS`."""
    choices = tuple(row["choices"] or ())
    reply = first_line("\n".join(part["text"] or "" for part in row["messages"][1]["content"]))
    lettered = [first_line(f"{letter}. {choice}") for letter, choice in zip(ascii_uppercase, choices, strict=False)]
    return _question(
        id=row["id"],
        benchmark=row["source"],
        group=row["group"] or row["id"],
        language=row["language"] or "",
        answer_type=row["answer_type"] or "",
        part=_part(row["source"], row["upstream"]["file"], row["modality"] or ""),
        turn=row["messages"][0]["content"],
        images=images,
        golds=(row["answer"], *(row["alternatives"] or ())),
        choices=choices,
        correct=lettered.index(reply) if reply in lettered else None,
    )


COLUMNS = (
    "id",
    "source",
    "task",
    "group",
    "language",
    "answer_type",
    "modality",
    "messages",
    "answer",
    "alternatives",
    "choices",
    "upstream",
)
"""The columns of a mix that questions are made of, images left aside."""


def asks(task: str) -> bool:
    """Tell whether records of a task ask something that has a short answer."""
    return task in QUESTION_TASKS


def first_line(said: str) -> str:
    """Give the first line that is not blank, stripped, or ""."""
    return next((line.strip() for line in said.splitlines() if line.strip()), "")


def _question(
    *,
    id: str,
    benchmark: str,
    group: str,
    language: str,
    answer_type: str,
    part: str,
    turn: Sequence[Mapping[str, Any]],
    images: Sequence[str],
    golds: Sequence[str],
    choices: tuple[str, ...],
    correct: int | None,
) -> Question:
    golds = tuple(first_line(gold) for gold in golds)
    if choices:
        options = tuple(f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))
    elif golds[0] in LABELS.get(benchmark, ()):
        choices = options = LABELS[benchmark]
        correct = choices.index(golds[0])
    else:
        options = ()
    chosen = correct is not None and bool(options)
    return Question(
        id=id,
        benchmark=benchmark,
        subsets=_subsets(benchmark, language, "" if chosen else answer_type, part),
        group=group,
        language=language,
        turn=tuple(turn),
        images=tuple(images),
        golds=golds,
        choices=choices if chosen else (),
        options=options if chosen else (),
        correct=correct if chosen else None,
    )


def _subsets(benchmark: str, language: str, answer_type: str, part: str) -> tuple[str, ...]:
    whole = language if benchmark in PER_LANGUAGE else "all"
    if benchmark == "pmc_vqa":
        return (part,)
    named = [answer_type, part]
    prefix = f"{whole}/" if benchmark in PER_LANGUAGE else ""
    return (whole, *(f"{prefix}{name}" for name in named if name))


def _part(source: str, file: str, modality: str) -> str:
    """Give the part of a benchmark that is scored apart: its file or the modality, or ""."""
    if source == "pmc_vqa":  # test_clean.csv repeats rows of test.csv, so there is no whole
        return file.rpartition("/")[2].removesuffix(".csv")
    return f"modality/{modality}" if source in ("omnimedvqa", "ubench") and modality else ""


def _cleaned(value: Any) -> Any:
    """Clean the texts of a record; names and keys are not changed by it."""
    if isinstance(value, str):
        return text.clean(value)
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return tuple(text.clean(part) for part in value)
    return value
