"""Plan the models of an ablation: their sources and steps under one token budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError
from medmix.train import estimate, survey
from medmix.train.data import stream
from medmix.train.data.render import Renderer
from medmix.train.recipe import Recipe
from medmix.train.run import loop
from medmix.train.run.optim import total_steps

FULL = "full"

N_MEASURED = 1_000
"""Records of each source that are rendered to measure their length."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One set of sources to train on.

    Attributes:
        name: `full`, `without-<source>` or `only-<source>`; the first one if two are the same.
        sources: sorted.
        steps: that use up the token budget.
    """

    name: str
    sources: tuple[str, ...]
    steps: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All arms of an ablation.

    Attributes:
        tokens: the budget of every arm.
        arms: the full one first; each set of sources once.
        without, only: name of the arm by source.
    """

    tokens: int
    arms: tuple[Arm, ...]
    without: Mapping[str, str]
    only: Mapping[str, str]


def make_plan(
    split: stream.Split, recipe: Recipe, mean_tokens: Mapping[str, float], wanted: Sequence[str], tokens: int | None
) -> Plan:
    """Plan an ablation.

    A step takes a fixed number of records, and sources differ in the length of their records. So the number of steps of
    an arm is the token budget divided by the mean tokens of a step: every model is trained on equally many tokens, not
    records.

    Args:
        split: the train split of all sources of the ablation.
        recipe: of the full run.
        mean_tokens: per record, by source (`measure_mean_tokens`).
        wanted: sources to ablate; empty takes all.
        tokens: the budget; None takes that of the recipe on all sources.

    Raises:
        UsageError: a source is unknown, there are fewer than two, or the budget has no more steps than the warm-up.
    """
    known = list(split.epoch_counts())
    if unknown := [f"no {name!r}{nearest(name, known)}" for name in wanted if name not in known]:
        raise UsageError(f"the mix trains on {', '.join(known)}: {'; '.join(unknown)}")
    if len(known) < 2:
        raise UsageError(f"{split.mix} trains only on {', '.join(known)}; without it nothing is left to compare")
    mean = _mean_tokens_of(split, mean_tokens)
    budget = tokens or round(total_steps(recipe.run, len(split)) * recipe.run.global_batch_size * mean)
    arms: dict[tuple[str, ...], Arm] = {}

    def add_arm(name: str, sources: Sequence[str]) -> str:
        mine = tuple(sorted(sources))
        mean = _mean_tokens_of(split.select(mine), mean_tokens)
        return arms.setdefault(
            mine, Arm(name, mine, max(1, round(budget / (recipe.run.global_batch_size * mean))))
        ).name

    add_arm(FULL, known)
    without = {one: add_arm(f"without-{one}", [other for other in known if other != one]) for one in known}
    only = {one: add_arm(f"only-{one}", [one]) for one in known}  # the same names, whichever are ablated
    ablated = [name for name in known if name in (wanted or known)]
    needed = {FULL, *(names[one] for one in ablated for names in (without, only))}
    used = tuple(arm for arm in arms.values() if arm.name in needed)
    short = [f"{arm.name} ({arm.steps})" for arm in used if arm.steps <= recipe.optim.warmup_steps]
    if short:
        raise UsageError(
            f"{budget:,} tokens give no more steps than the {recipe.optim.warmup_steps} of the warm-up for "
            f"{', '.join(short)}; raise --tokens, or lower it with --set optim.warmup_steps=N"
        )
    return Plan(budget, used, {one: without[one] for one in ablated}, {one: only[one] for one in ablated})


def measure_mean_tokens(whole: stream.Split, split: stream.Split, recipe: Recipe) -> dict[str, float]:
    """Return the mean tokens per record of each source, images and prompt included (`estimate.survey`).

    Args:
        whole: the train split of the mix; a tokenizer is trained on its text if the recipe has none.
        split: of the sources of the ablation.
        recipe: of the full run.

    Raises:
        UsageError: as `loop.initial_tokenizer` and `estimate.meta_model`.
    """
    if recipe.model:
        raise UsageError(f"{recipe.name}: an ablation needs a recipe with vision and language, this one has a model")
    tokenizer = loop.initial_tokenizer(whole, recipe)
    image_tokens = estimate.meta_model(recipe, tokenizer).image_tokens
    renderer = Renderer(tokenizer, recipe.text, image_tokens, recipe.vision.max_images)
    return {
        source: survey.survey(split.select((source,)), renderer, N_MEASURED).tokens for source in split.epoch_counts()
    }


def recipe_of(recipe: Recipe, arm: Arm, seed: int) -> Recipe:
    """Return the recipe of one run."""
    return replace(recipe, seed=seed, sources=arm.sources, run=replace(recipe.run, steps=arm.steps, epochs=None))


def budget_as_dict(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """Return the budget as plain data."""
    return {
        "tokens": plan.tokens,
        "rule": "every run trains on this number of tokens, prompts and images included, in steps of "
        f"{recipe.run.global_batch_size} records; the mean length of its records decides its number of steps",
        "steps": {arm.name: arm.steps for arm in plan.arms},
    }


def _mean_tokens_of(split: stream.Split, mean_tokens: Mapping[str, float]) -> float:
    """Return the mean tokens per record of an epoch."""
    return sum(records * mean_tokens[source] for source, records in split.epoch_counts().items()) / len(split)
