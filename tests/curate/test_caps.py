from medmix.curate import caps
from medmix.curate.mixture import Mixture, SourceChoice

from .rows import fates, table

ROWS = table(*({"split": "train"} for _ in range(20)), {"split": "test"})


def capped(cap: int, seed: int = 0) -> set[int]:
    mixture = Mixture(name="m", version="1.0.0", description="", sources={"slake": SourceChoice(cap=cap)}, seed=seed)
    return set(fates(caps.over(ROWS, mixture)))


def test_a_cap_keeps_that_many_training_records():
    assert len(capped(5)) == 15
    assert 20 not in capped(5)
    assert capped(20) == capped(10_000) == set()


def test_a_lower_cap_keeps_a_subset():
    assert capped(10) < capped(5)


def test_the_seed_chooses():
    assert capped(5, seed=0) != capped(5, seed=1)


def test_no_cap_drops_nothing():
    mixture = Mixture(name="m", version="1.0.0", description="", sources={"slake": SourceChoice()})
    assert fates(caps.over(ROWS, mixture)) == {}
