"""The benchmarks of answers: which split of which source is scored, read from the upstream files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medmix.curate import facts
from medmix.curate.config import nearest
from medmix.curate.errors import RowError, UsageError
from medmix.curate.mixture import Mixture, SourceChoice
from medmix.curate.read.inputs import Input, find
from medmix.curate.record import Record, Rejected
from medmix.curate.sources import layouts

from .images import QuestionImages
from .questions import Question, from_record, has_question

SPLITS = {
    "pathvqa": "test",
    "vqa_rad": "test",
    "vqa_med_2019": "test",
    "slake": "test",
    "pmc_vqa": "test",
    "omnimedvqa": "test",
    "ubench": "test",
    "medqa": "test",
    "medmcqa": "validation",  # upstream does not publish the answers of its test split
    "pubmedqa": "test",
}
"""The benchmarks by their source, and the split that is scored."""


@dataclass(slots=True)
class BenchmarkQuestions:
    """The questions of benchmarks.

    Attributes:
        questions: in upstream's order.
        rejected: number of rows of the scored splits that are no questions, by benchmark and reason.
        notes: for readers of the scores.
    """

    questions: list[Question] = field(default_factory=list)
    rejected: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_benchmarks(root: Path, names: Sequence[str]) -> list[Input]:
    """Find the benchmarks under a root: all of them, unless some are named.

    Raises:
        UsageError: a name is unknown, a named benchmark is missing, or there is none.
    """
    unknown = [f"no benchmark {name!r}{nearest(name, list(SPLITS))}" for name in names if name not in SPLITS]
    if unknown:
        raise UsageError(f"{'; '.join(unknown)}; known are {', '.join(SPLITS)}")
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; give a folder with one folder per source as --root")
    wanted = [name for name in SPLITS if (name in names if names else (root / name).exists())]
    if not wanted:
        raise UsageError(f"no benchmark under {root}; known are {', '.join(SPLITS)}, a folder each")
    if absent := [name for name in wanted if not (root / name).exists()]:
        raise UsageError(
            f"no folder under {root} for {', '.join(absent)} (medmix fetch downloads it, or prints manual steps)"
        )
    mixture = Mixture(name="eval", version="1.0.0", description="", sources={name: SourceChoice() for name in wanted})
    found, _ = find(mixture, root)
    return found


def read(found: Sequence[Input], image_store: QuestionImages, skip_broken: bool) -> BenchmarkQuestions:
    """Read the questions of the scored splits, each with its images.

    Args:
        found: the benchmarks.
        image_store: receives the images.
        skip_broken: skip questions whose image is missing or broken, instead of raising.

    Raises:
        UsageError: a benchmark has no usable question, or an image is missing or broken and is not to be skipped.
    """
    result, problems = BenchmarkQuestions(), []
    for entry in found:
        questions, rejected, first = _questions(entry, image_store)
        broken = sum(n for reason, n in rejected.items() if reason not in ("unparsable-row", "no-answer", "empty-text"))
        if broken and not skip_broken:
            problems.append(
                f"{entry.source}: {broken} of {len(questions) + broken} questions lack a readable image (first: "
                f"{first}); fix that, or skip them with --skip-broken"
            )
        elif not questions:
            why = ", ".join(f"{n} {reason}" for reason, n in rejected.items()) or "no rows"
            problems.append(f"{entry.source}: its {SPLITS[entry.source]} split has no usable question ({why})")
        result.questions += questions
        if rejected:
            result.rejected[entry.source] = rejected
            counted = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
            result.notes.append(f"{entry.source}: rows of its {SPLITS[entry.source]} split skipped: {counted}")
    if problems:
        raise UsageError("; ".join(problems))
    return result


def training_questions(found: Sequence[Input]) -> Iterator[Question]:
    """Yield the questions of the train splits, without their images."""
    for entry in found:
        for row in _rows(entry, "train"):
            if isinstance(row, Record) and row.answer.strip():
                yield from_record(row, _language(entry))


def _questions(entry: Input, image_store: QuestionImages) -> tuple[list[Question], dict[str, int], str]:
    """Return the questions, the number of rejected rows by reason, and the first unusable image."""
    questions: list[Question] = []
    rejected: Counter[str] = Counter()
    first = ""
    for row in _rows(entry, SPLITS[entry.source]):
        if isinstance(row, Rejected):
            rejected[row.reason] += 1
        elif not row.question.strip() or not row.answer.strip():
            rejected["empty-text"] += 1
        else:
            try:
                images = [image_store.add(entry.folder, ref) for ref in row.images]
            except RowError as error:
                rejected[error.reason] += 1
                first = first or error.evidence
                continue
            digests = [image_store.file_sha256(entry.folder, ref) for ref in row.images]
            questions.append(from_record(row, _language(entry), images, digests))
    return questions, dict(rejected), first


def _rows(entry: Input, split: str) -> Iterator[Record | Rejected]:
    """Yield the rows of a split with questions, and the rejected ones."""
    layout = next(layout for layout in layouts(entry.source) if layout.name == entry.layout)
    for shard in entry.shards:
        if shard.split in ("", split):
            for row in layout.read(entry.folder, shard):
                rejected = isinstance(row, Rejected) and row.split in ("", split)
                if rejected or (isinstance(row, Record) and row.split == split and has_question(row.task)):
                    yield row


def _language(entry: Input) -> str:
    """Return the language of rows without one: the source's first."""
    return facts.load(entry.source).languages[0]
