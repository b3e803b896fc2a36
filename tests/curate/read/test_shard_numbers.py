from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.read.shard_numbers import missing_from, missing_shards


def test_the_others_of_a_numbered_set_are_missing():
    assert missing_shards(["data/train-00001-of-00003.parquet", "data/test-00000-of-00001.parquet", "a.csv"]) == [
        "data/train-00000-of-00003.parquet",
        "data/train-00002-of-00003.parquet",
    ]


def test_sets_of_another_total_or_ending_are_others():
    assert missing_shards(["a-00000-of-00001.parquet", "a-00000-of-00002.parquet", "a-00001-of-00002.arrow"]) == [
        "a-00000-of-00002.arrow",
        "a-00001-of-00002.parquet",
    ]


@given(st.integers(1, 30), st.data())
def test_exactly_those_that_are_taken_away_are_missing(total, data):
    names = [f"train-{number:05}-of-{total:05}.parquet" for number in range(total)]
    gone = data.draw(st.sets(st.sampled_from(names), max_size=total - 1))
    assert missing_shards(set(names) - gone) == sorted(gone)


def test_litter_belongs_to_no_numbered_set(tmp_path: Path) -> None:
    for name in ("train-00000-of-00001.parquet", "._train-00000-of-00002.parquet"):
        (tmp_path / name).touch()
    assert missing_from(tmp_path, ["train-00000-of-00001.parquet"]) == []
