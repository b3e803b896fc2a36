from dataclasses import replace
from pathlib import Path

import pytest

from medmix.curate.errors import UsageError
from medmix.evaluate.ablation import plan
from medmix.train.data import stream

from ...train.conftest import tiny_recipe
from ...train.family_runs import recipe_of

TOKENS_OF = {"colours": 10.0, "pictures": 20.0, "texts": 60.0}


def test_every_arm_has_the_steps_that_take_the_budget(mix: Path) -> None:
    split = stream.open_split(mix, "train")
    made = plan.make_plan(split, tiny_recipe("run.steps=12"), TOKENS_OF, (), None)
    assert made.tokens == 12 * 8 * 30  # steps, records, tokens of a mean record
    assert {arm.name: arm.steps for arm in made.arms} == {
        "full": 12,
        "without-colours": 9,
        "without-pictures": 10,
        "without-texts": 24,
        "only-colours": 36,
        "only-pictures": 18,
        "only-texts": 6,
    }
    assert made.without == {name: f"without-{name}" for name in TOKENS_OF}
    recipe = plan.recipe_of(tiny_recipe("run.steps=null", "run.epochs=3"), made.arms[1], 7)
    assert (recipe.seed, recipe.sources, recipe.run.steps, recipe.run.epochs) == (7, ("pictures", "texts"), 9, None)


def test_of_two_sources_one_alone_is_the_mix_without_the_other(mix: Path) -> None:
    split = stream.open_split(mix, "train").select(("colours", "texts"))
    made = plan.make_plan(split, tiny_recipe(), TOKENS_OF, ("texts",), 5_600)
    assert [(arm.name, arm.sources, arm.steps) for arm in made.arms] == [
        ("full", ("colours", "texts"), 20),
        ("without-colours", ("texts",), 12),
        ("without-texts", ("colours",), 70),
    ]
    assert (made.without, made.only) == ({"texts": "without-texts"}, {"texts": "without-colours"})
    assert plan.make_plan(split, tiny_recipe(), TOKENS_OF, (), 5_600).arms == made.arms


def test_what_cannot_be_planned(mix: Path) -> None:
    split = stream.open_split(mix, "train")
    with pytest.raises(UsageError, match=r"the mix trains on colours, .*: no 'text' \(did you mean 'texts'\?\)"):
        plan.make_plan(split, tiny_recipe(), TOKENS_OF, ("text",), None)
    with pytest.raises(UsageError, match="trains only on texts; without it nothing is left to compare"):
        plan.make_plan(split.select(("texts",)), tiny_recipe(), TOKENS_OF, (), None)
    recipe = tiny_recipe("run.steps=12")
    slow = replace(recipe, optim=replace(recipe.optim, warmup_steps=6))
    with pytest.raises(
        UsageError, match=r"give no more steps than the 6 of the warm-up for only-texts \(6\); raise --tok"
    ):
        plan.make_plan(split, slow, TOKENS_OF, (), None)


def test_an_ablation_of_a_transformers_model_is_refused(mix: Path) -> None:
    split = stream.open_split(mix, "train")
    with pytest.raises(UsageError, match=r"^family: an ablation needs a recipe with vision and language, this one has"):
        plan.measure_mean_tokens(split, split, recipe_of(Path("weights/none")))
