"""The runs of an ablation in sequence; finished runs are not repeated, interrupted ones resume."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medmix.curate.config import differences
from medmix.curate.errors import UsageError
from medmix.curate.progress import say
from medmix.curate.shards import write_text
from medmix.train.data import stream
from medmix.train.recipe import Recipe, as_dict
from medmix.train.run import checkpoint, loop, metrics_logger

from . import contributions, plan, scoring
from .plan import Arm, Plan
from .scoring import Scoring

FORMAT = 2
BUDGET_TOLERANCE = 0.05
"""Runs that deviate more from the token budget are reported: their records were longer or shorter than measured."""

MEAN_TOKENS = "mean_tokens"

IDENTITY, FINISHED, RESULT, TABLE = "ablation.json", "done.json", "contributions.json", "table.md"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that is trained and scored.

    Attributes:
        arm, sources, seed: of the run.
        steps, records, epochs, tokens: of its training, from its log.
        loss: of the last step, nats per answer token.
    """

    arm: str
    sources: tuple[str, ...]
    seed: int
    steps: int
    records: int
    epochs: float
    tokens: int
    loss: float


def ablate(
    mix: Path,
    recipe: Recipe,
    out: Path,
    scored_by: Scoring,
    *,
    sources: Sequence[str] = (),
    seeds: Sequence[int] = (),
    tokens: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Train on all sources of a mix, without each ablated source, and on each alone; score all models by one suite.

    An interrupted run resumes from its last checkpoint or prediction. A finished run is not repeated, even if more
    sources or seeds are requested later.

    Args:
        mix: folder of a built mix.
        recipe: of the run on all sources; `recipe.sources` may restrict the sources.
        out: folder of the runs, `contributions.json` and `table.md`.
        scored_by: how the models are scored.
        sources: to ablate; empty takes all.
        seeds: of every model; empty takes the recipe's.
        tokens: budget of every run; None takes that of the recipe on all sources.
        progress: show progress bars.

    Returns:
        The content of `contributions.json`.

    Raises:
        UsageError: mix, recipe, sources or scoring are unusable, or `out` has another ablation.
        WorkError: a run failed; the others are kept.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("ablate trains its models in one process; start it without torchrun")
    seeds = tuple(seeds) or (recipe.seed,)
    if len({*seeds}) < len(seeds) or len({*sources}) < len(sources):
        raise UsageError("a seed or a source is named twice; name each once")
    whole = stream.open_split(mix, "train")
    split = whole.select(recipe.sources)
    scoring.validate_scoring(scored_by, mix)
    identity = _identity(mix, replace(recipe, seed=0), scored_by, tokens)
    mean_tokens = _load_mean_tokens(out, identity) or plan.measure_mean_tokens(whole, split, recipe)
    planned = plan.make_plan(split, recipe, mean_tokens, sources, tokens)
    loop.make_folder(out)
    write_text(out / IDENTITY, json.dumps(identity | {MEAN_TOKENS: mean_tokens}, indent=2) + "\n")
    todo = [(arm, seed) for seed in seeds for arm in planned.arms]
    say(f"ablate: {len(todo)} runs, each on {planned.tokens:,} tokens")
    finished = []
    for number, (arm, seed) in enumerate(todo, 1):
        say(f"ablate: run {number} of {len(todo)}: {arm.name}, seed {seed}, {arm.steps} steps")
        folder = _folder(out, arm.name, seed)
        finished.append(_run(mix, plan.recipe_of(recipe, arm, seed), arm, folder, scored_by, out, progress))
    document = _document(mix, recipe, planned, scored_by, finished, out)
    write_text(out / RESULT, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    write_text(out / TABLE, contributions.render_markdown(document))
    return document


def _identity(mix: Path, recipe: Recipe, scored_by: Scoring, tokens: int | None) -> dict[str, Any]:
    """Return the settings that all runs of an ablation share."""
    identity = {
        "format": FORMAT,
        "mix": stream.mix_digest(mix),
        "recipe": as_dict(recipe),
        "tokens": tokens,
        "scoring": scoring.identity(scored_by),
        "versions": checkpoint.versions(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def _load_mean_tokens(out: Path, identity: Mapping[str, Any]) -> dict[str, float] | None:
    """Load the mean tokens per record of an earlier call; None if there was none.

    Raises:
        UsageError: the folder has another ablation.
    """
    path = out / IDENTITY
    if not path.exists():
        return None
    try:
        before = json.loads(path.read_bytes())
        mean_tokens: dict[str, float] = before.pop(MEAN_TOKENS)
    except (ValueError, KeyError, AttributeError):
        raise UsageError(f"{path} is damaged; choose another --out, or remove {out}") from None
    if found := differences(before, identity):
        raise UsageError(f"{out} has another ablation: {'; '.join(found)}; choose another --out")
    return mean_tokens


def _folder(out: Path, arm: str, seed: int) -> Path:
    return out / "runs" / arm / f"seed-{seed}"


def _run(
    mix: Path, recipe: Recipe, arm: Arm, folder: Path, scored_by: Scoring, out: Path, progress: bool
) -> FinishedRun:
    """Train and score one run, unless it is finished."""
    marker = folder / FINISHED
    if marker.exists():
        try:
            known = json.loads(marker.read_bytes())
            return FinishedRun(**{**known, "sources": tuple(known["sources"])})
        except (ValueError, TypeError, KeyError):
            say(f"{marker}: cannot be read; checking the run again")
    loop.train(mix, recipe, folder, progress)
    scoring.score(folder, mix, scored_by, out / "cache")
    entries = metrics_logger.read_log(folder / metrics_logger.LOG_NAME)
    finished = FinishedRun(
        arm=arm.name,
        sources=arm.sources,
        seed=recipe.seed,
        steps=len(entries),
        records=sum(entry["records"] for entry in entries),
        epochs=entries[-1]["epoch"],
        tokens=sum(entry["tokens"] for entry in entries),
        loss=entries[-1]["loss"],
    )
    write_text(marker, json.dumps(asdict(finished), indent=2) + "\n")
    return finished


def _document(
    mix: Path, recipe: Recipe, planned: Plan, scored_by: Scoring, finished: Sequence[FinishedRun], out: Path
) -> dict[str, Any]:
    files = {
        (one.arm, one.seed): [
            _folder(out, one.arm, one.seed) / "scores" / suite / "results.json" for suite in scored_by.suites
        ]
        for one in finished
    }
    document = {
        "format": FORMAT,
        "mix": {"path": str(mix), "digest": stream.mix_digest(mix)},
        "recipe": as_dict(recipe),
        "budget": plan.budget_as_dict(planned, recipe),
        "scoring": scoring.identity(scored_by),
        "versions": checkpoint.versions(),
        "seeds": sorted({one.seed for one in finished}),
        "runs": [asdict(one) for one in finished],
        **contributions.measure_contributions(files, planned),
    }
    deviation = {one: one.tokens / planned.tokens - 1 for one in finished}
    document["notes"] += [
        f"{one.arm}, seed {one.seed}: trained on {one.tokens:,} tokens, the budget {share:+.0%}"
        for one, share in deviation.items()
        if abs(share) > BUDGET_TOLERANCE
    ]
    plain: dict[str, Any] = json.loads(json.dumps(document))  # as it is read from the file
    return plain
