"""Which models an ablation trains: on which sources, for how many steps, under one budget of tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError
from medmix.train import estimate
from medmix.train.data import stream
from medmix.train.data.render import Renderer
from medmix.train.recipe import Recipe
from medmix.train.run import loop
from medmix.train.run.optim import total_steps

FULL = "full"

MEASURED = 1_000
"""So many records of each source are rendered to know how long its records are."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One set of sources to train on.

    Attributes:
        name: `full`, `without-<source>` or `only-<source>`; of two that are the same the first one.
        sources: sorted.
        steps: that take the budget of tokens.
    """

    name: str
    sources: tuple[str, ...]
    steps: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All arms, and which of them shows what a source contributes.

    Attributes:
        tokens: the budget of every arm.
        arms: the full one first; each set of sources once.
        without, only: by source the name of the arm.
    """

    tokens: int
    arms: tuple[Arm, ...]
    without: Mapping[str, str]
    only: Mapping[str, str]


def make(
    split: stream.Split, recipe: Recipe, tokens_of: Mapping[str, float], wanted: Sequence[str], tokens: int | None
) -> Plan:
    """Plan an ablation.

    A step takes a fixed number of records, and those of one source are longer than those of another. So the steps of
    an arm are as many as take the budget of tokens by the mean length of its records, and every model is trained on as
    many tokens, not on as many records.

    Args:
        split: the train split, of all sources that take part.
        recipe: of the full run.
        tokens_of: mean tokens of a record of each source (`lengths`).
        wanted: sources to look at; empty takes all.
        tokens: the budget; None takes what the recipe trains on all sources.

    Raises:
        UsageError: a source is unknown, there are not two, or the budget has no more steps than the warm-up.
    """
    known = list(split.epoch_counts())
    if unknown := [f"no {name!r}{nearest(name, known)}" for name in wanted if name not in known]:
        raise UsageError(f"the mix trains on {', '.join(known)}: {'; '.join(unknown)}")
    if len(known) < 2:
        raise UsageError(f"{split.mix} trains on {', '.join(known)} alone; without it nothing is left to compare")
    whole = _mean(split, tokens_of)
    budget = tokens or round(total_steps(recipe.run, len(split)) * recipe.run.global_batch_size * whole)
    arms: dict[tuple[str, ...], Arm] = {}

    def name_of(name: str, sources: Sequence[str]) -> str:
        mine = tuple(sorted(sources))
        mean = _mean(split.select(mine), tokens_of)
        steps = max(1, round(budget / (recipe.run.global_batch_size * mean)))
        return arms.setdefault(mine, Arm(name, mine, steps)).name

    name_of(FULL, known)
    without = {one: name_of(f"without-{one}", [other for other in known if other != one]) for one in known}
    only = {one: name_of(f"only-{one}", [one]) for one in known}  # named alike, whichever are looked at
    looked_at = [name for name in known if name in (wanted or known)]
    needed = {FULL, *(names[one] for one in looked_at for names in (without, only))}
    used = tuple(arm for arm in arms.values() if arm.name in needed)
    short = [f"{arm.name} ({arm.steps})" for arm in used if arm.steps <= recipe.optim.warmup_steps]
    if short:
        raise UsageError(
            f"{budget:,} tokens are no more steps than the {recipe.optim.warmup_steps} of the warm-up for "
            f"{', '.join(short)}; raise --tokens, or lower it with --set optim.warmup_steps=N"
        )
    return Plan(budget, used, {one: without[one] for one in looked_at}, {one: only[one] for one in looked_at})


def lengths(whole: stream.Split, split: stream.Split, recipe: Recipe) -> dict[str, float]:
    """Give the mean tokens of a record of each source, images and prompt included (`estimate.survey`).

    Args:
        whole: the train split of the mix, on whose text a vocabulary is made where the recipe has none.
        split: of the sources that take part.
        recipe: of the full run.

    Raises:
        UsageError: as `loop.initial_tokenizer` and `estimate.meta_model`.
    """
    words = loop.initial_tokenizer(whole, recipe)
    image_tokens = estimate.meta_model(recipe, words).image_tokens
    renderer = Renderer(words, recipe.text, image_tokens, recipe.vision.max_images)
    sources = split.epoch_counts()
    return {source: estimate.survey(split.select((source,)), renderer, MEASURED).tokens for source in sources}


def recipe_of(recipe: Recipe, arm: Arm, seed: int) -> Recipe:
    """Give the recipe of one run."""
    return replace(recipe, seed=seed, sources=arm.sources, run=replace(recipe.run, steps=arm.steps, epochs=None))


def described(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """Say the budget in words and numbers."""
    return {
        "tokens": plan.tokens,
        "rule": "every run trains on so many tokens, prompts and images included, in steps of "
        f"{recipe.run.global_batch_size} records; its steps follow from the mean length of its records",
        "steps": {arm.name: arm.steps for arm in plan.arms},
    }


def _mean(split: stream.Split, tokens_of: Mapping[str, float]) -> float:
    """Give the mean tokens of a record of an epoch."""
    return sum(takes * tokens_of[source] for source, takes in split.epoch_counts().items()) / len(split)
