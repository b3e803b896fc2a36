"""What is asked of a model: read from upstream files or from a mix, without what the model has seen in training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError
from medmix.curate.progress import say
from medmix.train.data import stream
from medmix.train.run.checkpoint import Checkpoint

from . import benchmarks, controls, leaks, mix_split
from .batching import limited
from .images import Pictures
from .questions import Question


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked, and how.

    Attributes:
        root: folder of the benchmarks as upstream has them, a folder each; None asks the questions of a mix.
        mix: the mix whose questions are asked; None takes the one that the checkpoint was trained on.
        split: of the mix.
        benchmarks: ask only these.
        limit: at most so many questions, evenly from the benchmarks.
        controls: score the controls as well.
        batch: questions at a time; None takes the recipe's `generation.batch`.
        seed: of the shuffled images.
        fresh: throw away predictions that are there.
        allow_leaks: score benchmarks that the training data holds something of.
        trained_on: where the mix of the training lies now; None takes the place that the checkpoint names.
        leave_out_broken: leave out questions whose image is missing or broken, instead of refusing.
    """

    root: Path | None = None
    mix: Path | None = None
    split: str = "test"
    benchmarks: tuple[str, ...] = ()
    limit: int | None = None
    controls: bool = True
    batch: int | None = None
    seed: int = 0
    fresh: bool = False
    allow_leaks: bool = False
    trained_on: Path | None = None
    leave_out_broken: bool = False


@dataclass(slots=True)
class Asked:
    """What is asked; `mix` is what is known of the training's mix, `counts` the right answers in training."""

    questions: list[Question]
    counts: controls.Counts
    mix: dict[str, Any] | None
    notes: list[str]
    described: str


def read(loaded: Checkpoint, options: Options, pictures: Pictures) -> Asked:
    """Read what is asked, without the benchmarks that leak.

    Raises:
        UsageError: nothing can be asked, or what was named leaks.
    """
    if options.root is not None:
        if options.mix is not None or options.split != "test":
            raise UsageError("--root asks the benchmarks' own splits; leave out --mix and --split, or --root")
        found = benchmarks.inputs(options.root, options.benchmarks)
        splits = {entry.source: benchmarks.SPLITS[entry.source] for entry in found}
        mix, clean, notes = _guard(loaded, options, splits)
        found = [entry for entry in found if entry.source in clean]
        result = benchmarks.read(found, pictures, options.leave_out_broken)
        counts = controls.count(benchmarks.training(found)) if options.controls else {}
        questions = limited(result.questions, options.limit)
        return Asked(questions, counts, mix, [*notes, *result.notes], f"the benchmarks in {options.root}")
    held = options.mix or Path(loaded.state.mix)
    sources = stream.open_split(held, options.split).sources()
    if unknown := [name for name in options.benchmarks if name not in sources]:
        hints = "; ".join(f"no {name!r}{nearest(name, list(sources))}" for name in unknown)
        raise UsageError(f"the {options.split} split of {held} has {', '.join(sources) or 'nothing'}: {hints}")
    asking = mix_split.sources(held, options.split)
    names = [name for name in asking if name in (options.benchmarks or asking)]
    mix, clean, notes = _guard(loaded, options, dict.fromkeys(names, options.split))
    questions = limited(mix_split.read(held, options.split, tuple(clean), pictures), options.limit)
    counts = controls.count(mix_split.training(held)) if options.controls else {}
    return Asked(questions, counts, mix, notes, f"the {options.split} split of {held}")


def _guard(
    loaded: Checkpoint, options: Options, splits: Mapping[str, str]
) -> tuple[dict[str, Any] | None, list[str], list[str]]:
    """Give what is known of the training's mix, the benchmarks that may be scored, and notes on both.

    Raises:
        UsageError: a benchmark that was named has leaked, or all have.
    """
    place = options.trained_on or Path(loaded.state.mix)
    try:
        document = leaks.trained_on(place, loaded.state.mix_digest)
    except UsageError:
        if not options.allow_leaks:
            raise
        document = None
    if document is None:
        note = f"nothing is known of leaks: the mix of the training is no longer at {place} (--trained-on DIR)"
        say(f"note: {note}")
        return None, list(splits), [note]
    found = {source: leaks.of_split(document, source, split) for source, split in splits.items()}
    spent = {source: f"{source}: {'; '.join(lines)}" for source, lines in found.items() if lines}
    unguarded = [name for name in leaks.unguarded(document, list(splits), splits) if name not in spent]
    notes = [
        f"{name}: the mix of the training was not kept clean of it, leaks were not looked for" for name in unguarded
    ]
    known = {"path": str(place), "digest": loaded.state.mix_digest, "leaks": leaks.rows(document, list(splits))}
    if options.allow_leaks:
        return known, list(splits), [*(f"leaks, scored all the same: {line}" for line in spent.values()), *notes]
    clean = [source for source in splits if source not in spent]
    if spent and (options.benchmarks or not clean):
        raise UsageError(f"{'. '.join(spent.values())}. To score it all the same: --allow-leaks")
    for line in spent.values():
        say(f"note: not scored, because it leaks (--allow-leaks): {line}")
    return known, clean, [*(f"not scored, because it leaks: {line}" for line in spent.values()), *notes]
