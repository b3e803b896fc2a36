"""Numbers that papers have published, as data. Loads `recipes/published/*.yaml`."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from medmix.curate.config import nearest, parse, read_yaml
from medmix.curate.errors import UsageError

from .sample_scores import CHOICES, CLASSES, CLOSED, WORDS

KNOWN = (
    *WORDS,
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
"""The metrics of ours that a published number may stand beside."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The score of ours that comes closest to what was published."""

    benchmark: str
    subset: str
    metric: str


@dataclass(frozen=True, slots=True)
class Number:
    """One published number.

    Attributes:
        model, set, metric: as the paper calls them.
        value: as printed.
        of: what a perfect model would have, 1 or 100.
        protocol: how it was measured, as far as that is stated; what is not is said too.
        evidence: `read` where the number stands in what was read, or `from memory`.
        beside: the score of ours that it is shown beside; None where there is none.
        samples: of the test, by its files; None where that is not told.
        differs: in what the two protocols differ, or may; shown as warnings beside the numbers.
    """

    model: str
    set: str
    metric: str
    value: float
    of: Literal[1, 100]
    protocol: str
    evidence: Literal["read", "from memory"]
    differs: tuple[str, ...]
    beside: Beside | None = None
    samples: int | None = None

    @property
    def share(self) -> float:
        """The value in 0..1, as ours are."""
        return self.value / self.of


@dataclass(frozen=True, slots=True)
class Paper:
    """The numbers of one source.

    Attributes:
        id: as the file is called.
        paper: authors, title, year, where to find it.
        read: what of it was at hand when the numbers were written down.
        numbers: those that stand there.
    """

    id: str
    paper: str
    read: str
    numbers: tuple[Number, ...]


def load_all() -> list[Paper]:
    """Load all that come with medmix, sorted by file."""
    folder = Path(str(files("medmix.recipes") / "published"))
    return [load(path) for path in sorted(folder.glob("*.yaml"))]


def load(path: Path) -> Paper:
    """Load one file.

    Raises:
        UsageError: keys, types or values are wrong; all problems are named at once.
    """
    paper = parse(Paper, read_yaml(path), path.name)
    problems = [] if paper.id == path.stem else [f"id: is {paper.id!r}, but the file is called {path.stem!r}"]
    problems += [] if paper.numbers else ["numbers: there are none"]
    for place, number in enumerate(paper.numbers):
        problems += [f"numbers[{place}].{problem}" for problem in _problems(number)]
    if problems:
        raise UsageError("; ".join(f"{path.name}: {problem}" for problem in problems))
    return paper


def _problems(number: Number) -> list[str]:
    found = []
    if not 0 <= number.value <= number.of:
        found.append(f"value: {number.value} is not between 0 and {number.of}")
    if not number.differs:
        found.append("differs: say in what its protocol differs from ours, or that nothing of it is stated")
    if number.beside and number.beside.metric not in KNOWN:
        found.append(f"beside.metric: no metric {number.beside.metric!r}{nearest(number.beside.metric, KNOWN)}")
    return found
