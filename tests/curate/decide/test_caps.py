from medmix.curate.decide import caps
from medmix.curate.mixture import Mixture, RepeatRule, SourceChoice

from .rows import fates, table

ROWS = table(*({"split": "train"} for _ in range(20)), {"split": "test"})


def capped(cap: int, seed: int = 0) -> set[int]:
    mixture = Mixture(name="m", version="1.0.0", description="", sources={"slake": SourceChoice(cap=cap)}, seed=seed)
    return set(fates(caps.over_cap(ROWS, mixture)))


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
    assert fates(caps.over_cap(ROWS, mixture)) == {}


REPORTS = table(
    *({"task": "report", "text_key": "normal"} for _ in range(6)),
    {"task": "report", "text_key": "normal", "split": "test"},
    {"task": "caption", "text_key": "normal"},
    {"task": "report"},
)


def test_a_report_comes_again_as_often_as_the_mixture_allows():
    mixture = Mixture(name="m", version="1.0.0", description="", sources={}, repeats=RepeatRule(reports=2))
    drops = fates(caps.repeated_reports(REPORTS, mixture))
    assert len(drops) == 4
    assert drops.keys() < set(range(6))
    ((reason, first),) = set(drops.values())
    assert reason == "repeated"
    assert int(first.removeprefix("slake/")) in set(range(6)) - drops.keys()


def test_without_a_rule_repeated_reports_stay_and_are_counted():
    mixture = Mixture(name="m", version="1.0.0", description="", sources={})
    assert fates(caps.repeated_reports(REPORTS, mixture)) == {}
    assert caps.count_repeated_reports(REPORTS) == {"slake": {"texts": 1, "reports": 7, "most": 7}}
