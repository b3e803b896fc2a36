"""The tables of the records of a mix: pointers, digests and credits, made of what is known of its shards."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from ..describe import attribution
from ..facts import Facts
from ..write import record_facts
from ..write.materialise import ShardPlan, WrittenShard
from . import pointers, record_digests


def write(
    mix: Path, plans: Sequence[ShardPlan], shards: Sequence[WrittenShard], facts: Mapping[str, Facts]
) -> list[str]:
    """Write all tables from the facts of the shards, one shard at a time, and give the names of the files.

    Args:
        mix: the folder.
        plans: of the shards.
        shards: as they were written, with their facts.
        facts: those of the sources.
    """
    known = {
        shard.path: shard.facts for shard in sorted(shards, key=lambda shard: shard.path) if shard.facts is not None
    }
    written = []
    for source in facts:
        restricted = [plan for plan in plans if plan.path.startswith(f"restricted/{source}/")]
        if file := pointers.write(mix, source, restricted, known):
            written.append(file)
    public = (record_facts.read(path) for shard, path in known.items() if shard.startswith("data/"))
    own = {source: entry.attribution for source, entry in facts.items()}
    credited = (attribution.rows_of(record_facts.read(path, attribution.COLUMNS), own) for path in known.values())
    return [*written, record_digests.write(mix, public), attribution.write(mix, credited)]


def credits_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Give the credit of each source of a mix."""
    return {source: str(entry["facts"]["attribution"]) for source, entry in document["sources"].items()}


def places(document: Mapping[str, Any], shards: Sequence[str]) -> dict[str, int]:
    """Give the place of the first row of each shard in a table with the rows of all these shards, in their order."""
    counts = [document["files"][shard].get("rows", 0) for shard in shards]
    return dict(zip(shards, accumulate(counts, initial=0), strict=False))


def read_slice(table: Path, first: int, count: int) -> pl.DataFrame:
    """Read some rows of a table."""
    return pl.scan_parquet(table).slice(first, count).collect()
