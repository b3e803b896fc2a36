"""Compare the ids and groups of all records of a mix with each other and with the ledger, as tables."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from .check_shards import EMPTY_KEYS, MAX_FINDINGS


class Findings(NamedTuple):
    """What is wrong among shards: place in the shard and text, the first `MAX_FINDINGS` of each kind; how many."""

    split_groups: list[tuple[int, str]]
    repeated_ids: list[tuple[int, str]]
    total: int


def join(keys: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Join the `id`, `group` and `split` of the records of all shards, with number and place of the shard."""
    numbered = [
        table.with_row_index("place").with_columns(shard=pl.lit(number, pl.UInt32)) for number, table in enumerate(keys)
    ]
    return pl.concat([EMPTY_KEYS.with_row_index("place").with_columns(shard=pl.lit(0, pl.UInt32)), *numbered])


def find(records: pl.DataFrame, shards: int, with_groups: bool) -> list[Findings]:
    """Find groups in two splits, if `with_groups`, and repeated ids; give those of each shard."""
    first = pl.col("split").first().over("group")
    groups = records.lazy().with_columns(first=first).filter(pl.col("split").ne_missing(pl.col("first"))).collect()
    ids = records.filter(~pl.col("id").is_first_distinct())
    in_groups = _by_shard(groups if with_groups else groups.clear(), "{}: its group {} is also in {}", "group", "first")
    repeated = _by_shard(ids, "{}: occurs twice in the mix")
    none: tuple[list[tuple[int, str]], int] = [], 0
    found = [(in_groups.get(shard, none), repeated.get(shard, none)) for shard in range(shards)]
    return [Findings(one, other, count + further) for (one, count), (other, further) in found]


def _by_shard(rows: pl.DataFrame, text: str, *columns: str) -> dict[int, tuple[list[tuple[int, str]], int]]:
    counts = dict(rows.group_by("shard").len().iter_rows())
    found: dict[int, tuple[list[tuple[int, str]], int]] = {shard: ([], count) for shard, count in counts.items()}
    listed = rows.group_by("shard", maintain_order=True).head(MAX_FINDINGS)
    for shard, place, *values in listed.select("shard", "place", "id", *columns).iter_rows():
        found[shard][0].append((place, text.format(*values)))
    return found


def splits(records: pl.DataFrame) -> pl.DataFrame:
    """Give the split of each id; the last one, if there are several."""
    return records.select("id", "split").unique("id", keep="last")


def differences(kept: pl.DataFrame, found: pl.DataFrame) -> Iterator[str]:
    """Describe the records that only the ledger keeps, and those that only the mix has, sorted."""
    by = ["id", "split"]
    only_kept = kept.join(found, on=by, how="anti", nulls_equal=True).with_columns(is_kept=True)
    only_found = found.join(kept, on=by, how="anti", nulls_equal=True).with_columns(is_kept=False)
    for id_, split, is_kept in pl.concat([only_kept, only_found]).sort(by).iter_rows():
        if is_kept:
            yield f"{id_} is kept for {split} in the ledger, but not in the mix"
        else:
            yield f"{id_} is in the mix for {split}, but not kept for it in the ledger"
