"""Shards are cut by the ids of their records, so that a change of some records leaves the other shards as they are."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.write import materialise
from medmix.curate.write.shard_borders import LARGEST, cut

TARGET = 1000

sizes_of_records = st.lists(st.integers(1, 400), min_size=1, max_size=120)


def runs(ids: list[str], sizes: list[int]) -> list[tuple[str, ...]]:
    return [tuple(ids[first:end]) for first, end in cut(ids, sizes, TARGET)]


def named(sizes: list[int]) -> list[str]:
    return [f"slake/{number}" for number in range(len(sizes))]


@given(sizes_of_records)
def test_every_record_is_in_one_run_and_the_order_is_kept(sizes):
    found = cut(named(sizes), sizes, TARGET)
    assert [first for first, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == len(sizes)
    assert all(first < end for first, end in found)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=60), st.integers(1, 3000))
def test_no_run_of_several_records_is_larger_than_twice_the_target(sizes, target):
    for first, end in cut(named(sizes), sizes, target):
        assert end - first == 1 or sum(sizes[first:end]) <= LARGEST * target


@given(sizes_of_records)
def test_a_run_has_half_of_the_target_unless_it_is_the_only_one(sizes):
    totals = [sum(sizes[first:end]) for first, end in cut(named(sizes), sizes, TARGET)]
    assert len(totals) == 1 or min(totals) >= TARGET // 2


@given(sizes_of_records, st.data())
def test_a_record_less_leaves_all_but_a_few_runs(sizes, data):
    gone = data.draw(st.integers(0, len(sizes) - 1))
    ids = named(sizes)
    before = set(runs(ids, sizes))
    after = set(runs(ids[:gone] + ids[gone + 1 :], sizes[:gone] + sizes[gone + 1 :]))
    assert len(after - before) <= 4  # those within reach to both sides
    assert len(before - after) <= 4


def test_a_record_less_changes_one_run_nearly_always():
    draws = np.random.default_rng(0)
    sizes = draws.integers(10, 100, 3000).tolist()
    ids = named(sizes)
    before = set(runs(ids, sizes))
    assert len(before) > 100
    changed = []
    for gone in draws.choice(len(sizes), 60, replace=False).tolist():
        after = runs(ids[:gone] + ids[gone + 1 :], sizes[:gone] + sizes[gone + 1 :])
        changed.append(len(set(after) - before))
    assert max(changed) <= 3
    assert sum(changed) <= 1.2 * len(changed)


def test_runs_are_as_large_as_the_target_on_average():
    sizes = np.random.default_rng(1).integers(10, 100, 3000).tolist()
    totals = [sum(sizes[first:end]) for first, end in cut(named(sizes), sizes, TARGET)]
    assert 0.9 * TARGET < np.mean(totals) < 1.1 * TARGET


@pytest.mark.parametrize("sizes", [[999], [300, 300, 399], [10] * 99])
def test_what_is_smaller_than_the_target_is_one_run(sizes):
    assert cut(named(sizes), sizes, TARGET) == [(0, len(sizes))]


def test_records_larger_than_the_target_are_runs_of_their_own():
    assert cut(named([5000, 5000, 5000]), [5000, 5000, 5000], TARGET) == [(0, 1), (1, 2), (2, 3)]


def test_where_a_split_is_cut_is_the_same_on_every_machine():
    sizes = [100] * 60
    starts = [first for first, _ in cut(named(sizes), sizes, TARGET)]
    assert starts == GOLDEN
    assert all(5 <= second - first <= 20 for first, second in pairwise(starts))


GOLDEN = [0, 6, 12, 27, 36, 41, 47]
"""Other borders write every shard of every mix again."""


def test_splits_are_cut_apart_and_their_shards_are_numbered():
    sizes = [100] * 60
    kept = pl.DataFrame(
        {
            "id": [*named(sizes), "medqa/0"],
            "source": ["slake"] * 60 + ["medqa"],
            "split": "train",
            "verdict": ["redistributable"] * 60 + ["unclear"],
            "image_bytes": [90] * 60 + [None],
            "text_bytes": 10,
            **dict.fromkeys(("wording", "article", "article_read"), ""),
            "scan": 0,
            "scan_row": range(61),
        }
    )
    plans = materialise.plan(kept, TARGET)
    number = len(GOLDEN)
    names = [f"data/slake/train-{place:05d}-of-{number:05d}.parquet" for place in range(number)]
    assert [plan.path for plan in plans] == [*names, "restricted/medqa/train-00000-of-00001.parquet"]
    assert pl.concat([plan.rows for plan in plans])["id"].to_list() == kept["id"].to_list()
    assert [plan.bytes for plan in plans] == [100 * plan.rows.height for plan in plans[:-1]] + [10]
