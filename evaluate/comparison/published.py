"""Numbers published in papers. Loads `recipes/published/*.yaml`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from medmix.curate.config import nearest, parse, read_yaml, yaml_names, yaml_path
from medmix.curate.errors import UsageError

from .sample_scores import CHOICES, CLASSES, CLOSED, SHORT_ANSWER

KNOWN = (
    *SHORT_ANSWER,
    *CLOSED,
    *CHOICES,
    *CLASSES,
    "auroc",
    "accuracy",
    "token_recall",
    "bleu1_corpus_word",
    "bleu1_nltk_sentence",
    "bleu1_nltk_corpus",
    "bleu1_sacrebleu",
    "bleu1_torchmetrics",
    "bleu1_prefix_tuning_char",
    "bleu4_vqamed2019_nltk325",
    "bleu4_vqamed2019_nltk33",
)
"""Our metrics that a published number may be compared with."""


@dataclass(frozen=True, slots=True)
class ComparableScore:
    """Our score that is closest to a published number."""

    benchmark: str
    subset: str
    metric: str


@dataclass(frozen=True, slots=True)
class Number:
    """One published number.

    Attributes:
        model, dataset, metric: named as in the paper.
        value: as printed.
        max_value: of a perfect model, 1 or 100.
        protocol: how it was measured, and what of that is not stated.
        evidence: `read` if the consulted text has the number, or `from memory`.
        comparable: our score that it is compared with, if any.
        samples: of the test, by its files; None if unknown.
        differences: known or possible differences of the protocols, shown as warnings next to the numbers.
    """

    RENAMED: ClassVar[dict[str, str]] = {
        "set": "dataset",
        "of": "max_value",
        "beside": "comparable",
        "differs": "differences",
    }

    model: str
    dataset: str
    metric: str
    value: float
    max_value: Literal[1, 100]
    protocol: str
    evidence: Literal["read", "from memory"]
    differences: tuple[str, ...]
    comparable: ComparableScore | None = None
    samples: int | None = None

    @property
    def fraction(self) -> float:
        """The value in 0..1, as our scores."""
        return self.value / self.max_value


@dataclass(frozen=True, slots=True)
class Paper:
    """The numbers of one source.

    Attributes:
        id: the file's stem.
        paper: authors, title, year, where to find it.
        consulted: which parts of it were available when the numbers were entered.
        numbers: that it reports.
    """

    RENAMED: ClassVar[dict[str, str]] = {"read": "consulted"}

    id: str
    paper: str
    consulted: str
    numbers: tuple[Number, ...]


def load_all() -> list[Paper]:
    """Load the files that come with medmix, sorted by name."""
    return [load(yaml_path("recipes/published", name)) for name in yaml_names("recipes/published")]


def load(path: Path) -> Paper:
    """Load one file.

    Raises:
        UsageError: keys, types or values are wrong; lists all problems.
    """
    paper = parse(Paper, read_yaml(path), path.name)
    problems = [] if paper.id == path.stem else [f"id: is {paper.id!r}, but the file is called {path.stem!r}"]
    problems += [] if paper.numbers else ["numbers: there are none"]
    for index, number in enumerate(paper.numbers):
        problems += [f"numbers[{index}].{problem}" for problem in _problems(number)]
    if problems:
        raise UsageError("; ".join(f"{path.name}: {problem}" for problem in problems))
    return paper


def _problems(number: Number) -> list[str]:
    found = []
    if not 0 <= number.value <= number.max_value:
        found.append(f"value: {number.value} is not between 0 and {number.max_value}")
    if not number.differences:
        found.append("differences: describe how its protocol differs from ours, or that it is not stated")
    if number.comparable and number.comparable.metric not in KNOWN:
        found.append(
            f"comparable.metric: no metric {number.comparable.metric!r}{nearest(number.comparable.metric, KNOWN)}"
        )
    return found
