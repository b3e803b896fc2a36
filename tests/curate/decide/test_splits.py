from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.decide import splits
from medmix.curate.decide.candidates import PROTECTION
from medmix.curate.mixture import CopyRule, CopyRules, Mixture, SourceChoice, SplitRule

from .rows import NO_COPIES, RELATED, copies, fates, related, table

PLAIN = Mixture(name="m", version="1.0.0", description="", sources={"slake": SourceChoice()})


@given(st.text(), st.floats(0, 1), st.integers())
def test_a_group_keeps_its_split_when_more_is_held_out(group, holdout, seed):
    if splits.split_of(group, holdout, seed) == "validation":
        assert splits.split_of(group, min(1.0, holdout * 1.5), seed) == "validation"


@given(st.text(), st.integers())
def test_nothing_is_held_out_at_0_and_all_at_1(group, seed):
    assert splits.split_of(group, 0.0, seed) == "train"
    assert splits.split_of(group, 1.0, seed) == "validation"


def test_the_share_held_out_is_the_share_asked_for():
    held = sum(splits.split_of(f"patient/{number}", 0.1, 0) == "validation" for number in range(10_000))
    assert 900 < held < 1100


def test_upstream_splits_are_kept_and_the_hash_fills_the_rest():
    mixture = Mixture(
        name="m",
        version="1.0.0",
        description="",
        sources={"slake": SourceChoice(), "iu_xray": SourceChoice(splits=SplitRule(holdout=1.0))},
    )
    rows = table(
        {"upstream_split": "test"},
        {"upstream_split": "", "source": "iu_xray", "rank": 1},
        {"upstream_split": "", "source": "slake"},
    )
    assert splits.assign(rows, mixture, NO_COPIES)["split"].to_list() == ["test", "validation", "train"]


HELD_OUT = Mixture(
    name="m",
    version="1.0.0",
    description="",
    sources={"iu_xray": SourceChoice(splits=SplitRule(holdout=0.5)), "roco": SourceChoice()},
)
"""Alone, `group-1` is held out, and `group-0`, `group-2` and `group-3` are trained on, as the next test shows."""


def splits_of(*rows, found=NO_COPIES):
    plain = {"upstream_split": "", "source": "iu_xray"}
    return splits.assign(table(*({**plain, **row} for row in rows)), HELD_OUT, found)["split"].to_list()


def test_groups_without_common_images_are_split_one_by_one():
    rows = [{"images": [number]} for number in range(4)]
    assert splits_of(*rows) == ["train", "validation", "train", "train"]


@pytest.mark.parametrize("found", [copies((1, 2)), copies((1, 2, 0.9))], ids=["equal pixels", "altered"])
def test_groups_whose_images_are_copies_are_held_out_together(found):
    rows = [{"images": [number]} for number in range(4)]
    assert splits_of(*rows, found=found) == ["train", "validation", "validation", "train"]


@pytest.mark.parametrize(
    ("rule", "joining"),
    [
        (CopyRule(), ["copy", "panel", "overlap 0.5"]),
        (CopyRule(panel="keep", overlap=0.4, sequence="drop"), ["copy", "overlap 0.5", "overlap 0.49", "sequence"]),
        (CopyRule(overlap="keep"), ["copy", "panel"]),
    ],
)
def test_groups_are_joined_by_the_related_images_that_count_as_leaks(rule, joining):
    mixture = replace(HELD_OUT, copies=CopyRules(leaks=rule))
    rows = table(*({"upstream_split": "", "source": "iu_xray", "images": [number]} for number in range(4)))
    splits_by_kind = {
        name: splits.assign(rows, mixture, copies(related(1, 2, **how)))["split"].to_list()
        for name, how in RELATED.items()
    }
    together, apart = ["train", "validation", "validation", "train"], ["train", "validation", "train", "train"]
    assert splits_by_kind == {name: together if name in joining else apart for name in RELATED}


def test_groups_that_share_an_image_are_held_out_together_over_others():
    assert splits_of({"images": [0]}, {"images": [0, 1]}, {"images": [1]}, {"images": []}) == ["train"] * 4


def test_groups_join_what_upstream_put_in_a_split():
    train, validation = ({"upstream_split": split, "source": "roco"} for split in ("train", "validation"))
    held_out = {"images": [1], "group": "group-1"}
    assert splits_of({"images": [0]}, {**validation, "images": [0]}) == ["validation", "validation"]
    assert splits_of({**held_out}, {**train, "images": [1]}) == ["train", "train"]
    assert splits_of({**held_out}, {**train, "images": [1]}, {**validation, "images": [1]}) == [
        "train",
        "train",
        "validation",
    ]


def test_a_test_split_that_is_kept_decides_nothing():
    test = {"upstream_split": "test", "source": "roco", "images": [1], "group": "group-9"}
    assert splits_of({"images": [1], "group": "group-1"}, test) == ["validation", "test"]


def test_joined_groups_of_two_sources_are_held_out_by_the_smaller_share():
    rows = [{"images": [1], "group": "group-1"}, {"images": [1], "source": "roco", "group": "group-2"}]
    assert splits_of(*rows) == ["train", "train"]


def test_a_split_that_the_mixture_excludes_is_dropped():
    mixture = Mixture(
        name="m",
        version="1.0.0",
        description="",
        sources={"slake": SourceChoice(), "roco": SourceChoice(splits=SplitRule())},
        splits=SplitRule(test="exclude"),
    )
    rows = table({"upstream_split": "test"}, {}, {"upstream_split": "test", "source": "roco"})
    assert fates(splits.excluded(rows, mixture)) == {0: ("split-excluded", "test")}


def test_a_benchmark_can_be_trained_on_when_the_mixture_says_so():
    mixture = Mixture(
        name="m",
        version="1.0.0",
        description="",
        sources={"slake": SourceChoice(), "ubench": SourceChoice(splits=SplitRule(test="train"))},
    )
    rows = table({"upstream_split": "test", "source": "ubench"}, {"upstream_split": "test"})
    assert splits.assign(rows, mixture, NO_COPIES)["split"].to_list() == ["train", "test"]


def test_the_more_protected_split_keeps_a_group():
    rows = table(
        {"group": "medpix/synpic1", "split": "train"},
        {"group": "medpix/synpic1", "split": "test", "id": "vqa_rad/7"},
        {"group": "medpix/synpic2", "split": "train"},
        {"group": "medpix/synpic1", "split": "validation"},
    )
    assert fates(splits.conflicts(rows, rows)) == {
        0: ("split-conflict", "vqa_rad/7"),
        3: ("split-conflict", "vqa_rad/7"),
    }


def test_a_test_row_protects_even_when_it_was_dropped():
    everything = table({"group": "g", "split": "train"}, {"group": "g", "split": "test", "reason": "missing-image"})
    alive = everything.filter(everything["reason"] == "")
    assert fates(splits.conflicts(alive, everything)) == {0: ("split-conflict", "slake/1")}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(PROTECTION))), min_size=1))
def test_afterwards_no_group_stands_in_two_splits(pairs):
    rows = table(*({"group": group, "split": split} for group, split in pairs))
    dropped = set(fates(splits.conflicts(rows, rows)))
    kept = [pair for place, pair in enumerate(pairs) if place not in dropped]
    assert len(set(kept)) == len({group for group, _ in kept})
    assert {group for group, _ in kept} == {group for group, _ in pairs}
