"""Load the questions from upstream files or from a mix, without benchmarks that leaked into training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError
from medmix.curate.progress import say
from medmix.train.data import stream
from medmix.train.run.checkpoint import Checkpoint

from .. import contamination
from . import benchmarks, controls, leaks, mix_split
from .batching import subsample
from .images import QuestionImages
from .questions import Question


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """Which questions are evaluated, and how.

    Attributes:
        root: folder of the benchmarks as upstream ships them; None takes the questions of a mix.
        mix: the mix to evaluate on; None takes the one that the checkpoint was trained on.
        split: of the mix.
        benchmarks: evaluate only these.
        limit: maximum number of questions, evenly from the benchmarks.
        controls: also score the controls.
        batch_size: questions per batch; None takes the recipe's.
        seed: of the shuffled images.
        overwrite: delete existing predictions.
        allow_leaks: also score benchmarks that leaked into the training data.
        train_dataset: where the mix of the training is now; None takes the path in the checkpoint.
        skip_broken: skip questions whose image is missing or broken, instead of raising.
    """

    root: Path | None = None
    mix: Path | None = None
    split: str = "test"
    benchmarks: tuple[str, ...] = ()
    limit: int | None = None
    controls: bool = True
    batch_size: int | None = None
    seed: int = 0
    overwrite: bool = False
    allow_leaks: bool = False
    train_dataset: Path | None = None
    skip_broken: bool = False


class EvalQuestions(NamedTuple):
    """The questions to evaluate on.

    Attributes:
        questions: in order.
        counts: the right answers in training.
        mix: facts about the training mix, if it is found.
        notes: for readers of the scores.
        dataset: where the questions come from, in words.
    """

    questions: list[Question]
    counts: controls.Counts
    mix: dict[str, Any] | None
    notes: list[str]
    dataset: str


class LeakCheck(NamedTuple):
    """The training mix, its leaks by source, the sources that may be scored, and notes for readers of the scores."""

    mix: contamination.TrainingMix | None
    leaks: Mapping[str, Sequence[str]]
    sources: list[str]
    notes: list[str]


def load_questions(loaded: Checkpoint, options: EvalOptions, image_store: QuestionImages) -> EvalQuestions:
    """Load the questions, without benchmarks that leaked.

    Raises:
        UsageError: there are no questions, or a named benchmark leaked.
    """
    if options.root is None:
        return _of_mix(loaded, options, options.mix or Path(loaded.state.mix), image_store)
    if options.mix is not None or options.split != "test":
        raise UsageError("--root takes the benchmarks' own splits; leave out --mix and --split, or --root")
    found = benchmarks.find_benchmarks(options.root, options.benchmarks)
    check = _check_leaks(loaded, options, {entry.source: benchmarks.SPLITS[entry.source] for entry in found})
    found = [entry for entry in found if entry.source in check.sources]
    result = benchmarks.read(found, image_store, options.skip_broken)
    counts = controls.count_answers(benchmarks.training_questions(found)) if options.controls else {}
    splits = {entry.source: benchmarks.SPLITS[entry.source] for entry in found}
    questions = subsample(result.questions, options.limit)
    facts = _mix_facts(loaded, check, splits, questions)
    notes = [*check.notes, *result.notes]
    return EvalQuestions(questions, counts, facts, notes, f"the benchmarks in {options.root}")


def _of_mix(loaded: Checkpoint, options: EvalOptions, mix: Path, image_store: QuestionImages) -> EvalQuestions:
    sources = stream.open_split(mix, options.split).record_counts()
    if unknown := [name for name in options.benchmarks if name not in sources]:
        hints = "; ".join(f"no {name!r}{nearest(name, list(sources))}" for name in unknown)
        raise UsageError(f"the {options.split} split of {mix} has {', '.join(sources) or 'nothing'}: {hints}")
    with_questions = mix_split.sources_with_questions(mix, options.split)
    names = [name for name in with_questions if name in (options.benchmarks or with_questions)]
    check = _check_leaks(loaded, options, dict.fromkeys(names, options.split))
    questions = mix_split.read_questions(mix, options.split, tuple(check.sources), image_store)
    counts = controls.count_answers(mix_split.training_questions(mix)) if options.controls else {}
    dataset = f"the {options.split} split of {mix}"
    questions = subsample(questions, options.limit)
    facts = _mix_facts(loaded, check, dict.fromkeys(check.sources, options.split), questions)
    return EvalQuestions(questions, counts, facts, check.notes, dataset)


def _mix_facts(
    loaded: Checkpoint, check: LeakCheck, splits: Mapping[str, str], questions: Sequence[Question]
) -> dict[str, Any] | None:
    """Give facts about the training mix, with a statement on each benchmark; None if it is gone."""
    if check.mix is None:
        return None
    statements = {}
    for source, split in splits.items():
        keys = [question.content_key for question in questions if question.benchmark == source]
        leaked = check.leaks.get(source, ())
        statements[source] = contamination.describe(check.mix, f"{source} {split}", keys, leaked)
    return {
        "path": str(check.mix.path),
        "digest": loaded.state.mix_digest,
        "leaks": leaks.leak_rows(check.mix.document, list(splits)),
        "contamination": {source: statement._asdict() for source, statement in statements.items()},
    }


def _check_leaks(loaded: Checkpoint, options: EvalOptions, splits: Mapping[str, str]) -> LeakCheck:
    """Find the benchmarks that leaked into the training data.

    Raises:
        UsageError: a benchmark that was named has leaked, or all have.
    """
    path = options.train_dataset or Path(loaded.state.mix)
    try:
        mix = contamination.load(path, loaded.state.mix_digest)
    except UsageError:
        if not options.allow_leaks:
            raise
        mix = None
    if mix is None:
        note = f"leaks are unknown: the mix of the training is no longer at {path} (--train-dataset DIR)"
        say(f"note: {note}")
        return LeakCheck(None, {}, list(splits), [note])
    found = {source: leaks.leaks_into_split(mix.document, source, split) for source, split in splits.items()}
    leaked = {source: f"{source}: {'; '.join(lines)}" for source, lines in found.items() if lines}
    if options.allow_leaks:
        return LeakCheck(mix, found, list(splits), [f"leaks, scored anyway: {line}" for line in leaked.values()])
    clean = [source for source in splits if source not in leaked]
    if leaked and (options.benchmarks or not clean):
        raise UsageError(f"{'. '.join(leaked.values())}. To score it anyway: --allow-leaks")
    for line in leaked.values():
        say(f"note: not scored, because it leaks (--allow-leaks): {line}")
    return LeakCheck(mix, found, clean, [f"not scored, because it leaks: {line}" for line in leaked.values()])
