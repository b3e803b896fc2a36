"""Score all models of an ablation in the same way, by the suites of `medmix eval`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError
from medmix.curate.write import manifest

from ..answers import benchmarks, leaks, mix_split, suite
from ..answers.loading import EvalOptions
from ..classification.datasets import load as load_dataset_info
from ..classification.prepare import read as read_dataset
from ..classification.recipe import load as load_recipe
from ..classification.suite import DEFAULT_DATASETS, evaluate


@dataclass(frozen=True, slots=True)
class Scoring:
    """How the models are scored, with the options of `medmix eval`.

    Attributes:
        suite: `answers`, `classification` or `all`.
        root, split, benchmarks, limit, allow_leaks: of the questions; without a root those of a split of the mix.
        datasets, recipe, mode, workers: of classification, whose datasets are under `root`.
    """

    suite: str = "answers"
    root: Path | None = None
    split: str = "test"
    benchmarks: tuple[str, ...] = ()
    limit: int | None = None
    allow_leaks: bool = False
    datasets: tuple[str, ...] = ()
    recipe: str = "transfer"
    mode: Any = "finetune"
    workers: int = 1

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites to score by."""
        return ("answers", "classification") if self.suite == "all" else (self.suite,)


def identity(scoring: Scoring) -> Mapping[str, Any]:
    """Return all settings that decide the scores, as plain data."""
    plain = asdict(scoring)
    plain["root"] = None if scoring.root is None else str(scoring.root.resolve())
    plain.pop("workers")
    if "classification" not in scoring.suites:
        return {name: value for name, value in plain.items() if name not in ("datasets", "recipe", "mode")}
    return plain


def validate_scoring(scoring: Scoring, mix: Path) -> None:
    """Raise before any training what scoring the first model would raise.

    Raises:
        UsageError: questions or datasets are missing, or all benchmarks leaked.
    """
    if "classification" in scoring.suites:
        if scoring.root is None:
            raise UsageError("classification needs datasets: give the folder that contains them as --root")
        load_recipe(scoring.recipe, ())
        for name in scoring.datasets or DEFAULT_DATASETS:
            read_dataset(load_dataset_info(name), scoring.root)
    if "answers" not in scoring.suites:
        return
    splits = _splits(scoring, mix)
    if not splits:
        raise UsageError(f"the {scoring.split} split of {mix} has no questions; give benchmarks with --root")
    document = manifest.read(mix)
    found = {name: leaks.leaks_into_split(document, name, split) for name, split in splits.items()}
    leaked = [f"{name}: {'; '.join(lines)}" for name, lines in found.items() if lines]
    if leaked and not scoring.allow_leaks and (scoring.benchmarks or len(leaked) == len(splits)):
        raise UsageError(f"{'. '.join(leaked)}. To score it anyway: --allow-leaks")


def _splits(scoring: Scoring, mix: Path) -> dict[str, str]:
    """Return the split of each benchmark."""
    if scoring.root is not None:
        found = benchmarks.find_benchmarks(scoring.root, scoring.benchmarks)
        return {entry.source: benchmarks.SPLITS[entry.source] for entry in found}
    sources = mix_split.sources_with_questions(mix, scoring.split)
    if unknown := [name for name in scoring.benchmarks if name not in sources]:
        raise UsageError(
            f"the {scoring.split} split of {mix} has questions of {', '.join(sources) or 'no source'}, not of "
            f"{', '.join(unknown)}; choose others with --benchmarks, or give --root"
        )
    return dict.fromkeys(scoring.benchmarks or sources, scoring.split)


def score(run: Path, mix: Path, scoring: Scoring, cache: Path) -> None:
    """Score a trained run into `scores/<suite>` in its folder; a stopped one resumes."""
    if "answers" in scoring.suites:
        options = EvalOptions(
            root=scoring.root,
            mix=None if scoring.root else mix,
            split=scoring.split,
            benchmarks=scoring.benchmarks,
            limit=scoring.limit,
            controls=False,
            allow_leaks=scoring.allow_leaks,
            train_dataset=mix,
        )
        suite.evaluate(run, run / "scores" / "answers", options)
    if "classification" in scoring.suites and scoring.root is not None:
        evaluate(
            [str(run)],
            run / "scores" / "classification",
            root=scoring.root,
            datasets=scoring.datasets,
            recipe=scoring.recipe,
            mode=scoring.mode,
            leaks="keep" if scoring.allow_leaks else None,
            cache=cache,
            workers=scoring.workers,
        )
