"""How the models of an ablation are scored: by the suites of `medmix eval`, all in the same way."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError
from medmix.curate.write import manifest

from ..answers import benchmarks, leaks, mix_split, suite
from ..answers.loading import Options
from ..classification.datasets import load as load_set
from ..classification.prepare import read as read_set
from ..classification.recipe import load as load_recipe
from ..classification.suite import DEFAULT_SETS, evaluate


@dataclass(frozen=True, slots=True)
class Scoring:
    """What the models are asked, as `medmix eval` takes it; `suite` is `vqa`, `classification` or `all`.

    Attributes:
        root, split, benchmarks, limit, allow_leaks: of the questions; without a root those of a split of the mix.
        sets, recipe, mode, workers: of classification, whose sets lie under `root`.
    """

    suite: str = "vqa"
    root: Path | None = None
    split: str = "test"
    benchmarks: tuple[str, ...] = ()
    limit: int | None = None
    allow_leaks: bool = False
    sets: tuple[str, ...] = ()
    recipe: str = "transfer"
    mode: Any = "finetune"
    workers: int = 1

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites that are asked for."""
        return ("vqa", "classification") if self.suite == "all" else (self.suite,)


def identity(scoring: Scoring) -> Mapping[str, Any]:
    """Give what decides on the scores, as plain data."""
    plain = asdict(scoring)
    plain["root"] = None if scoring.root is None else str(scoring.root.resolve())
    plain.pop("workers")
    if "classification" not in scoring.suites:
        return {name: value for name, value in plain.items() if name not in ("sets", "recipe", "mode")}
    return plain


def refuse_unscorable(scoring: Scoring, mix: Path) -> None:
    """Raise now for what would else come to light when the first model is trained.

    Raises:
        UsageError: questions or sets are not there, or all that may be asked leaks.
    """
    if "classification" in scoring.suites:
        if scoring.root is None:
            raise UsageError("classification needs its sets: give the folder that holds them with --root")
        load_recipe(scoring.recipe, ())
        for name in scoring.sets or DEFAULT_SETS:
            read_set(load_set(name), scoring.root)
    if "vqa" not in scoring.suites:
        return
    if scoring.root is not None:
        splits = {
            entry.source: benchmarks.SPLITS[entry.source]
            for entry in benchmarks.inputs(scoring.root, scoring.benchmarks)
        }
    else:
        asking = mix_split.sources(mix, scoring.split)
        if unknown := [name for name in scoring.benchmarks if name not in asking]:
            raise UsageError(
                f"the {scoring.split} split of {mix} asks questions of {', '.join(asking) or 'nothing'}, not of "
                f"{', '.join(unknown)}; name others with --benchmarks, or give --root"
            )
        splits = dict.fromkeys(scoring.benchmarks or asking, scoring.split)
    if not splits:
        raise UsageError(f"the {scoring.split} split of {mix} asks no questions; give benchmarks with --root")
    document = manifest.read(mix)
    spent = {name: lines for name, split in splits.items() if (lines := leaks.of_split(document, name, split))}
    if spent and not scoring.allow_leaks and (scoring.benchmarks or len(spent) == len(splits)):
        told = ". ".join(f"{name}: {'; '.join(lines)}" for name, lines in spent.items())
        raise UsageError(f"{told}. To score it all the same: --allow-leaks")


def score(run: Path, mix: Path, scoring: Scoring, cache: Path) -> None:
    """Score a trained run into `scores/<suite>` in its folder; goes on where it stopped."""
    if "vqa" in scoring.suites:
        options = Options(
            root=scoring.root,
            mix=None if scoring.root else mix,
            split=scoring.split,
            benchmarks=scoring.benchmarks,
            limit=scoring.limit,
            controls=False,
            allow_leaks=scoring.allow_leaks,
            trained_on=mix,
        )
        suite.evaluate(run, run / "scores" / "vqa", options)
    if "classification" in scoring.suites and scoring.root is not None:
        evaluate(
            [str(run)],
            run / "scores" / "classification",
            root=scoring.root,
            sets=scoring.sets,
            recipe=scoring.recipe,
            mode=scoring.mode,
            leaks="keep" if scoring.allow_leaks else None,
            cache=cache,
            workers=scoring.workers,
        )
