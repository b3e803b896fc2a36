from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.errors import UsageError
from medmix.train.data import stream

from ..conftest import records, write_mix


def ids(split: stream.Split, seed: int, epoch: int) -> list[str]:
    reader = stream.Reader(split, ["id"])
    return [reader.row(position)["id"] for position in stream.order(split, seed, epoch)]


def test_an_epoch_has_every_record_once(mix: Path) -> None:
    split = stream.open_split(mix, "train")
    assert len(split) == 36
    assert split.record_counts() == {"colours": 12, "pictures": 12, "texts": 12}
    assert sorted(ids(split, 0, 0)) == sorted(record["id"] for record in records(12, "train"))


def test_selecting_sources(mix: Path) -> None:
    split = stream.open_split(mix, "train")
    some = split.select(("colours", "texts"))
    assert (len(some), some.record_counts()) == (24, {"colours": 12, "texts": 12})
    assert {name.split("/")[0] for name in ids(some, 0, 0)} == {"colours", "texts"}
    assert ids(split.select(("texts",)), 0, 0) == [name for name in ids(some, 0, 0) if name.startswith("texts/")]
    assert split.select(None) is split
    line = r"the train split of .* has colours, pictures, texts: no 'colour' \(did you mean 'colours'\?\)"
    with pytest.raises(UsageError, match=line):
        split.select(("colour", "texts"))


def test_the_order_depends_on_seed_and_epoch(mix: Path) -> None:
    split = stream.open_split(mix, "train")
    assert ids(split, 0, 0) == ids(stream.open_split(mix, "train"), 0, 0)
    assert len({tuple(ids(split, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_skipping_records_does_not_change_the_rest(mix: Path) -> None:
    split = stream.open_split(mix, "train")
    whole = [position for epoch in range(3) for position in stream.order(split, 3, epoch)]
    for skip in (0, 1, 17, 36, 50, 108):
        assert list(stream.row_positions(split, 3, skip, 3)) == whole[skip:]
        assert (
            list(islice(stream.row_positions(split, 3, skip, None), 20))
            == [*whole, *stream.order(split, 3, 3)][skip : skip + 20]
        )


def test_sources_are_interleaved_by_their_size(tmp_path: Path) -> None:
    many, few = records(40, "train"), records(10, "train")
    rows = [row for row in many if row["source"] == "texts"] + [row for row in few if row["source"] == "colours"]
    split = stream.open_split(write_mix(tmp_path, {"train": rows}), "train")
    for start in range(0, 50, 10):
        part = ids(split, 0, 0)[start : start + 10]
        assert Counter(name.split("/")[0] for name in part) == {"texts": 8, "colours": 2}


def test_few_row_groups_are_open_at_a_time(tmp_path: Path) -> None:
    split = stream.open_split(write_mix(tmp_path, {"train": records(100, "train")}, row_group=2), "train")
    left = {(s, g): rows for s, shard in enumerate(split.shards) for g, rows in enumerate(shard.row_groups)}
    opened, most = set(), 0
    for place in stream.order(split, 0, 0):
        key = place.shard, place.row_group
        opened.add(key)
        left[key] -= 1
        most = max(most, len(opened))
        if not left[key]:
            opened.remove(key)
    assert len(left) == 150
    assert most <= stream.OPEN_ROW_GROUPS


def test_weights_set_how_often_a_source_occurs(tmp_path: Path) -> None:
    weights = {"colours": 2.0, "texts": 0.5}
    split = stream.open_split(write_mix(tmp_path, {"train": records(12, "train")}, weights=weights), "train")
    assert split.epoch_counts() == {"colours": 24, "pictures": 12, "texts": 6}
    assert len(split) == 42
    first, second = Counter(ids(split, 0, 0)), Counter(ids(split, 0, 1))
    times = {source: {n for key, n in first.items() if key.startswith(source)} for source in split.record_counts()}
    assert times == {"colours": {2}, "pictures": {1}, "texts": {1}}
    assert {n for key, n in (first + second).items() if key.startswith("texts")} == {1}


def test_a_temperature_evens_out_the_sources(tmp_path: Path) -> None:
    rows = [row for row in records(64, "train") if row["source"] == "texts" or int(row["id"].split("-")[1]) < 4]
    counts = {"colours": 4, "pictures": 4, "texts": 64}
    wanted = {
        1.0: counts,
        2.0: {"colours": 12, "pictures": 12, "texts": 48},  # 72 records by roots: 2, 2, 8
        1e6: {"colours": 24, "pictures": 24, "texts": 24},
    }
    for temperature, epoch in wanted.items():
        mix = write_mix(tmp_path / str(temperature), {"train": rows}, temperature=temperature)
        split = stream.open_split(mix, "train")
        assert split.record_counts() == counts
        assert split.epoch_counts() == epoch
    mix = write_mix(tmp_path / "both", {"train": rows}, weights={"colours": 4.0}, temperature=2.0)
    assert stream.open_split(mix, "train").epoch_counts() == {
        "colours": 37,
        "pictures": 9,
        "texts": 37,
    }  # 84 by 8, 2, 8
    assert (
        stream.open_split(write_mix(tmp_path / "t", {"test": rows}, temperature=2.0), "test").epoch_counts() == counts
    )


@given(st.floats(0.1, 3), st.integers(1, 6))
def test_a_weight_favours_no_record(weight: float, epochs: int) -> None:
    shards = (stream.Shard(Path(), "a", "texts", (5, 5, 2)), stream.Shard(Path(), "b", "texts", (3,)))
    split = stream.Split(Path(), "train", shards, {"texts": weight})
    seen = Counter(place for epoch in range(epochs) for place in stream.order(split, 0, epoch))
    assert sum(seen.values()) == epochs * len(split)
    assert max(seen.values()) - (min(seen.values()) if len(seen) == 15 else 0) <= 1


def test_skipped_row_groups_are_not_read(mix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, read = stream.open_split(mix, "train"), stream._read
    reads: list[Any] = []

    def counted(*arguments: Any) -> Any:
        reads.append(arguments)
        return read(*arguments)

    last = ids(split, 0, 0)[-1]
    monkeypatch.setattr(stream, "_read", counted)
    reader = stream.Reader(split, ["id"])
    assert [reader.row(position)["id"] for position in stream.row_positions(split, 0, 35, 1)] == [last]
    assert len(reads) == 1


def test_the_digest_leaves_timings_out(tmp_path: Path) -> None:
    mix = write_mix(tmp_path, {"train": records(1, "train")})
    before = stream.mix_digest(mix)
    text = (mix / "manifest.json").read_text()
    (mix / "manifest.json").write_text(text.replace('"timings": {}', '"timings": {"build": 3}'))
    assert stream.mix_digest(mix) == before
    (mix / "manifest.json").write_text(text.replace("train-00000", "train-00009"))
    assert stream.mix_digest(mix) != before


def test_a_folder_that_is_no_mix_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="medmix build"):
        stream.open_split(tmp_path, "train")


def test_a_broken_or_missing_shard_is_named(tmp_path: Path) -> None:
    mix = write_mix(tmp_path, {"train": records(2, "train")})
    shard = mix / "data/colours/train-00000-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:50])
    with pytest.raises(UsageError, match=r"colours/train-00000-of-00002\.parquet cannot be read .*medmix check"):
        stream.open_split(mix, "train")
    shard.unlink()
    with pytest.raises(UsageError, match=r"colours/train-00000-of-00002\.parquet cannot be read .*medmix check"):
        stream.open_split(mix, "train")


def test_rows_are_in_the_order_of_the_files(mix: Path) -> None:
    rows = stream.rows(stream.open_split(mix, "test"), ["id"])
    assert [row["id"] for row in islice(rows, 4)] == [f"colours/test-{number}" for number in (0, 2, 4, 1)]
