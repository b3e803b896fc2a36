"""The runs of an ablation, one after the other; what is done is not done again, what was begun goes on."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError
from medmix.curate.progress import say
from medmix.curate.shards import write_text
from medmix.train.data import stream
from medmix.train.recipe import Recipe, as_dict
from medmix.train.run import checkpoint, loop

from ..answers.predictions import differences
from . import contributions, plan, scoring
from .plan import Arm, Plan
from .scoring import Scoring

FORMAT = 1
OFF = 0.05
"""A run that misses the budget of tokens by more is named: its records were longer or shorter than the first ones."""

LENGTHS = "tokens_of_a_record"

IDENTITY, DONE, RESULT, TABLE = "ablation.json", "done.json", "contributions.json", "table.md"


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is trained and scored.

    Attributes:
        arm, sources, seed: of the run.
        steps, records, epochs, tokens: that it trained on, as its log has them.
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
    asked: Scoring,
    *,
    sources: Sequence[str] = (),
    seeds: Sequence[int] = (),
    tokens: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Train on all sources of a mix, without each of some, and on each of them alone; score all by one suite.

    A run that was killed goes on from its last checkpoint and its last answer; one that is done is not repeated, also
    when more sources or seeds are asked for later.

    Args:
        mix: folder of a built mix.
        recipe: of the run on all sources; `recipe.sources` may name those that take part.
        out: folder of the runs, `contributions.json` and `table.md`.
        asked: how the models are scored.
        sources: to look at; empty takes all that take part.
        seeds: each model is trained with each of them; empty takes the recipe's.
        tokens: budget of every run; None takes what the recipe trains on all sources.
        progress: draw bars.

    Returns:
        What `contributions.json` holds.

    Raises:
        UsageError: mix, recipe, sources or what is asked cannot be used, or `out` holds another ablation.
        WorkError: a run failed; the others are kept.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("ablate trains its models one after the other on one process; start it without torchrun")
    seeds = tuple(seeds) or (recipe.seed,)
    if len({*seeds}) < len(seeds) or len({*sources}) < len(sources):
        raise UsageError("a seed or a source is named twice; name each once")
    whole = stream.open_split(mix, "train")
    split = whole.only(recipe.sources)
    scoring.refuse_unscorable(asked, mix)
    about = _about(mix, replace(recipe, seed=0), asked, tokens)
    tokens_of = _begun(out, about) or plan.lengths(whole, split, recipe)
    planned = plan.make(split, recipe, tokens_of, sources, tokens)
    loop.make_folder(out)
    write_text(out / IDENTITY, json.dumps(about | {LENGTHS: tokens_of}, indent=2) + "\n")
    todo = [(arm, seed) for seed in seeds for arm in planned.arms]
    say(f"ablate: {len(todo)} runs, each on {planned.tokens:,} tokens")
    done = []
    for number, (arm, seed) in enumerate(todo, 1):
        say(f"ablate: run {number} of {len(todo)}: {arm.name}, seed {seed}, {arm.steps} steps")
        done.append(
            _run(mix, plan.recipe_of(recipe, arm, seed), arm, _folder(out, arm.name, seed), asked, out, progress)
        )
    document = _document(mix, recipe, planned, asked, done, out)
    write_text(out / RESULT, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    write_text(out / TABLE, contributions.markdown(document))
    return document


def _about(mix: Path, recipe: Recipe, asked: Scoring, tokens: int | None) -> dict[str, Any]:
    """Give all that the runs of an ablation have in common."""
    about = {
        "format": FORMAT,
        "mix": stream.digest(mix),
        "recipe": as_dict(recipe),
        "tokens": tokens,
        "scoring": scoring.identity(asked),
        "versions": checkpoint.versions(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(about))
    return plain


def _begun(out: Path, about: Mapping[str, Any]) -> dict[str, float] | None:
    """Give the lengths of records that an ablation in this folder began with; None where there is none.

    Raises:
        UsageError: there is another one.
    """
    path = out / IDENTITY
    if not path.exists():
        return None
    try:
        before = json.loads(path.read_bytes())
        lengths: dict[str, float] = before.pop(LENGTHS)
    except (ValueError, KeyError, AttributeError):
        raise UsageError(f"{path} is damaged; give another --out, or remove {out}") from None
    if found := differences(before, about):
        raise UsageError(f"{out} holds another ablation: {'; '.join(found)}; give another --out")
    return lengths


def _folder(out: Path, arm: str, seed: int) -> Path:
    return out / "runs" / arm / f"seed-{seed}"


def _run(mix: Path, recipe: Recipe, arm: Arm, folder: Path, asked: Scoring, out: Path, progress: bool) -> Done:
    """Train and score one run, unless that is done."""
    marker = folder / DONE
    if marker.exists():
        try:
            known = json.loads(marker.read_bytes())
            return Done(**{**known, "sources": tuple(known["sources"])})
        except (ValueError, TypeError, KeyError):
            say(f"{marker}: cannot be read, so looked at again")
    loop.train(mix, recipe, folder, progress)
    scoring.score(folder, mix, asked, out / "cache")
    entries = [json.loads(line) for line in (folder / "train_log.jsonl").read_text(encoding="utf-8").splitlines()]
    done = Done(
        arm=arm.name,
        sources=arm.sources,
        seed=recipe.seed,
        steps=len(entries),
        records=sum(entry["records"] for entry in entries),
        epochs=entries[-1]["epoch"],
        tokens=sum(entry["tokens"] for entry in entries),
        loss=entries[-1]["loss"],
    )
    write_text(marker, json.dumps(asdict(done), indent=2) + "\n")
    return done


def _document(
    mix: Path, recipe: Recipe, planned: Plan, asked: Scoring, done: Sequence[Done], out: Path
) -> dict[str, Any]:
    scored = {
        (one.arm, one.seed): [
            _folder(out, one.arm, one.seed) / "scores" / suite / "results.json" for suite in asked.suites
        ]
        for one in done
    }
    document = {
        "format": FORMAT,
        "mix": {"path": str(mix), "digest": stream.digest(mix)},
        "recipe": as_dict(recipe),
        "budget": plan.described(planned, recipe),
        "scoring": scoring.identity(asked),
        "versions": checkpoint.versions(),
        "seeds": sorted({one.seed for one in done}),
        "runs": [asdict(one) for one in done],
        **contributions.make(scored, planned),
    }
    off = {one: one.tokens / planned.tokens - 1 for one in done}
    document["notes"] += [
        f"{one.arm}, seed {one.seed}: trained on {one.tokens:,} tokens, the budget {share:+.0%}"
        for one, share in off.items()
        if abs(share) > OFF
    ]
    plain: dict[str, Any] = json.loads(json.dumps(document))  # as who reads the file has it
    return plain
