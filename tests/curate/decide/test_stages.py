"""The decision on all records: what related images do in it, by the rules of the mixture."""

import polars as pl
import pytest

from medmix.curate.decide.leaks import NO_EXTERNAL_ITEMS
from medmix.curate.decide.stages import decide
from medmix.curate.mixture import CopyRule, CopyRules, DuplicateCopyRule, EvaluationSet, Mixture, SourceChoice
from medmix.curate.write import ledger

from .rows import NO_TEXTS, RELATED, copies, related, table

TEST = EvaluationSet("vqa_rad", "test")
SOURCES = {"slake": SourceChoice(), "vqa_rad": SourceChoice()}


def decided(rules, found, *rows):
    mixture = Mixture("m", "1.0.0", "d", SOURCES, evaluation=(TEST,), copies=rules)
    return decide(table(*({"text_key": "t", **row} for row in rows)), mixture, NO_TEXTS, found, NO_EXTERNAL_ITEMS)


def fates(decision):
    return decision.records.select("outcome", "reason", "relation").rows()


@pytest.mark.parametrize(
    ("rule", "counting"),
    [
        (DuplicateCopyRule(), ["copy"]),
        (DuplicateCopyRule(panel="drop", overlap=0.5), ["copy", "panel", "overlap 0.5"]),
        (DuplicateCopyRule(sequence="drop"), ["copy", "sequence"]),
    ],
)
@pytest.mark.parametrize("name", RELATED)
def test_only_related_images_that_count_make_duplicates(name, rule, counting):
    found = copies(related(0, 1, **RELATED[name]))
    fallen = ("dropped", "duplicate", RELATED[name]["kind"])
    rows = [{"images": [0]}, {"images": [1]}]
    expected = [("kept", "", ""), fallen if name in counting else ("kept", "", "")]
    assert fates(decided(CopyRules(duplicates=rule), found, *rows)) == expected


def test_images_that_are_copies_of_one_are_duplicates_through_it_whatever_they_are_to_each_other():
    found = copies(related(0, 1), related(0, 2), related(1, 2, kind="overlap", share=0.3))
    rows = [{"images": [0], "area": 90_000, "text_key": "other"}, {"images": [1]}, {"images": [2]}]
    drops = decided(CopyRules(), found, *rows).records.select("reason", "relation", "transformation").rows()
    assert drops[2] == ("duplicate", "copy", "like it a copy of an image of slake/0")


LEFT, RIGHT = (
    {"source": "vqa_rad", "rank": 1, "upstream_split": "test", "images": [0]},
    {"images": [1], "text_key": "u"},
)


def test_leaks_and_duplicates_have_rules_of_their_own():
    found = copies(related(0, 1, kind="panel"))
    assert fates(decided(CopyRules(), found, LEFT, RIGHT))[1] == ("dropped", "contaminated", "panel")
    kept = decided(CopyRules(leaks=CopyRule(panel="keep")), found, LEFT, RIGHT)
    assert fates(kept)[1] == ("kept", "", "")
    assert [(row["set"], row["panel"], row["leaks"]) for row in kept.leaks] == [("vqa_rad test", 1, {})]
    assert kept.copies == {"exact": 0, "copy": 0, "panel": 1, "overlap": 0, "sequence": 0}


def test_the_ledger_has_the_relation_on_which_a_drop_rests(tmp_path):
    found = copies((0, 2), related(0, 1, 0.93, kind="panel", zoom=1.4, right=0.5))
    rows = [LEFT, RIGHT, {"images": [2], "text_key": "v"}, {"images": [5]}, {"images": [5]}, {"images": [6]}]
    ledger.write(tmp_path / "ledger.parquet", decided(CopyRules(), found, *rows).records)
    written = pl.read_parquet(tmp_path / "ledger.parquet")
    assert written.select("reason", "relation", "transformation").rows() == [
        ("", "", ""),
        ("contaminated", "panel", "a panel, at 0.00 0.00 0.50 1.00 of the other; similarity 0.93"),
        ("contaminated", "equal", ""),
        ("", "", ""),
        ("duplicate", "equal", ""),
        ("", "", ""),
    ]
