"""The benchmarks of answers: which split of which source is asked, read from the files as upstream has them."""

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

from .images import Pictures
from .questions import Question, asks, of_record

SPLITS = {
    "pathvqa": "test",
    "vqa_rad": "test",
    "vqa_med_2019": "test",
    "slake": "test",
    "pmc_vqa": "test",
    "omnimedvqa": "test",
    "ubench": "test",
    "medqa": "test",
    "medmcqa": "validation",  # the answers of its test split are not published
    "pubmedqa": "test",
}
"""The benchmarks by their source, and the split that is scored."""


@dataclass(slots=True)
class Read:
    """What was read of the benchmarks.

    Attributes:
        questions: that can be asked, in upstream's order.
        rejected: rows of the scored splits that are no questions, by benchmark and reason.
        notes: what whoever reads the scores should know.
    """

    questions: list[Question] = field(default_factory=list)
    rejected: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def inputs(root: Path, names: Sequence[str]) -> list[Input]:
    """Find the benchmarks under a root; all that lie there, unless some are named.

    Raises:
        UsageError: a name is unknown, one that is named is not there, or there is none.
    """
    unknown = [f"no benchmark {name!r}{nearest(name, list(SPLITS))}" for name in names if name not in SPLITS]
    if unknown:
        raise UsageError(f"{'; '.join(unknown)}; there are {', '.join(SPLITS)}")
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; give the folder that holds one folder per source with --root")
    wanted = [name for name in SPLITS if (name in names if names else (root / name).exists())]
    if not wanted:
        raise UsageError(f"no benchmark lies under {root}; there are {', '.join(SPLITS)}, a folder each")
    if absent := [name for name in wanted if not (root / name).exists()]:
        raise UsageError(f"no folder under {root} for {', '.join(absent)} (medmix fetch gets them, or says how)")
    mixture = Mixture(name="eval", version="1.0.0", description="", sources={name: SourceChoice() for name in wanted})
    found, _ = find(mixture, root)
    return found


def read(found: Sequence[Input], pictures: Pictures, leave_out: bool) -> Read:
    """Read the questions of the scored splits, each with its images.

    Args:
        found: the benchmarks.
        pictures: takes the images.
        leave_out: leave out questions whose image is missing or broken.

    Raises:
        UsageError: a benchmark has no question that can be asked, or an image is missing or broken and questions may
            not be left out.
    """
    result, problems = Read(), []
    for entry in found:
        asked, rejected, first = _questions(entry, pictures)
        broken = sum(n for reason, n in rejected.items() if reason not in ("unparsable-row", "no-answer", "empty-text"))
        if broken and not leave_out:
            problems.append(
                f"{entry.source}: {broken} of {len(asked) + broken} questions lack an image that can be read (first: "
                f"{first}); mend that, or leave them out with --leave-out-broken"
            )
        elif not asked:
            why = ", ".join(f"{n} {reason}" for reason, n in rejected.items()) or "no rows"
            problems.append(f"{entry.source}: no question of its {SPLITS[entry.source]} split can be asked ({why})")
        result.questions += asked
        if rejected:
            result.rejected[entry.source] = rejected
            counted = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
            result.notes.append(f"{entry.source}: rows of its {SPLITS[entry.source]} split left out: {counted}")
    if problems:
        raise UsageError("; ".join(problems))
    return result


def training(found: Sequence[Input]) -> Iterator[Question]:
    """Yield the questions of the train splits, without their images."""
    for entry in found:
        for row in _rows(entry, "train"):
            if isinstance(row, Record) and row.answer.strip():
                yield of_record(row, _language(entry), ())


def _questions(entry: Input, pictures: Pictures) -> tuple[list[Question], dict[str, int], str]:
    """Give the questions, the rows that are none by reason, and the first image that cannot be used."""
    asked: list[Question] = []
    rejected: Counter[str] = Counter()
    first = ""
    for row in _rows(entry, SPLITS[entry.source]):
        if isinstance(row, Rejected):
            rejected[row.reason] += 1
        elif not row.question.strip() or not row.answer.strip():
            rejected["empty-text"] += 1
        else:
            try:
                images = [pictures.add(entry.folder, ref) for ref in row.images]
            except RowError as error:
                rejected[error.reason] += 1
                first = first or error.evidence
                continue
            asked.append(of_record(row, _language(entry), images))
    return asked, dict(rejected), first


def _rows(entry: Input, split: str) -> Iterator[Record | Rejected]:
    """Yield the asking rows of a split, and those that are broken."""
    layout = next(layout for layout in layouts(entry.source) if layout.name == entry.layout)
    for shard in entry.shards:
        if shard.split in ("", split):
            for row in layout.read(entry.folder, shard):
                broken = isinstance(row, Rejected) and row.split in ("", split)
                if broken or (isinstance(row, Record) and row.split == split and asks(row.task)):
                    yield row


def _language(entry: Input) -> str:
    """Give the language of rows that state none: the source's first."""
    return facts.load(entry.source).languages[0]
