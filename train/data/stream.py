"""Reads a mix: each source's share of records per epoch, in an order fixed by seed, epoch and files alone.

With weight 1 every record of a source occurs once per epoch, with weight 2 twice, with 0.5 every other epoch. The
mixture's temperature balances the sources.
"""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError
from medmix.curate.publish import hub_mix
from medmix.curate.write import manifest

OPEN_ROW_GROUPS = 16
"""Row groups kept in memory at a time, shared among the sources."""

LEAST_WINDOW = 4
"""Row groups of each source among which its records are shuffled, even if there are many sources."""

MOST_ROW_GROUPS = 64
"""Row groups kept in memory at most; sources beyond a quarter of it have smaller windows, down to one row group."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One parquet file: its mix, its POSIX path in the mix, its source, and the rows of each row group."""

    mix: Path
    name: str
    source: str
    row_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """The shards of one split of a mix, sorted by name; its length is the number of records in an epoch.

    `weights` and `temperature` are those of the mixture; a source without a weight has weight 1.
    """

    mix: Path
    name: str
    shards: tuple[Shard, ...]
    weights: Mapping[str, float]
    temperature: float = 1.0

    def __len__(self) -> int:
        return sum(self.epoch_counts().values())

    def select(self, sources: Sequence[str] | None) -> "Split":
        """Give the split with these sources alone; None keeps all.

        Raises:
            UsageError: a source has no records in the split.
        """
        if sources is None:
            return self
        counts = self.record_counts()
        known = [source for source in counts if counts[source]]
        if unknown := [f"no {source!r}{nearest(source, known)}" for source in sources if source not in known]:
            raise UsageError(
                f"the {self.name} split of {self.mix} has {', '.join(known) or 'nothing'}: {'; '.join(unknown)}"
            )
        return replace(self, shards=tuple(shard for shard in self.shards if shard.source in sources))

    def record_counts(self) -> dict[str, int]:
        """Count the records of each source, sources sorted by name."""
        counts: Counter[str] = Counter()
        for shard in self.shards:
            counts[shard.source] += sum(shard.row_groups)
        return dict(sorted(counts.items()))

    def epoch_counts(self) -> dict[str, int]:
        """Count the records per epoch of each source, at least 1.

        A source with n records and weight w has w n of them; at temperature T the sum is the same, the shares are
        proportional to w n^(1/T).
        """
        numbers = {source: records for source, records in self.record_counts().items() if records}
        weights = {source: self.weights.get(source, 1.0) for source in numbers}
        shares = {source: weights[source] * records ** (1 / self.temperature) for source, records in numbers.items()}
        length, whole = sum(weights[source] * records for source, records in numbers.items()), sum(shares.values())
        return {source: max(1, round(length * share / whole)) for source, share in shares.items()}


class RowPosition(NamedTuple):
    """The position of a record: index of the shard in its split, of the row group in it, of the row in that."""

    shard: int
    row_group: int
    row: int


def open_split(mix: Path, name: str) -> Split:
    """List the shards of a split, published and restricted, reading only their footers; weights apply to `train`.

    Raises:
        UsageError: the folder is no mix, or a shard of its manifest cannot be read.
        WorkError: the mix is on the Hub and cannot be downloaded.
    """
    document = manifest.read(mix)
    files = [PurePosixPath(file) for file in document["files"]]
    shards = [file for file in files if file.parts[0] in ("data", "restricted") and file.match(f"{name}-*.parquet")]
    if (published := hub_mix.hub_shards(mix)) is not None:
        shards = [file for file in shards if file.as_posix() in published]
    opened = Split(mix, name, tuple(_open_shard(mix, file) for file in sorted(shards)), {})
    if name != "train":
        return opened
    weights = {source: entry["weight"] for source, entry in document["sources"].items()}
    return replace(opened, weights=weights, temperature=document.get("mixture", {}).get("temperature", 1.0))


def mix_digest(mix: Path) -> str:
    """Give the SHA-256 of a mix's manifest without timings, 64 hex digits; equal mixes have equal digests.

    Raises:
        UsageError: the folder is no mix.
    """
    document = {key: value for key, value in manifest.read(mix).items() if key != "timings"}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def may_lack_images(split: Split) -> bool:
    """Tell whether a record of a split may have no image; reads only footers, and in doubt says yes.

    A record without images is a null in each column below `images`.
    """
    for shard in split.shards:
        footer = hub_mix.read_footer(shard.mix, shard.name)
        for group in (footer.row_group(number) for number in range(footer.num_row_groups)):
            columns = [group.column(place) for place in range(group.num_columns)]
            found = [column.statistics for column in columns if column.path_in_schema.startswith("images.")]
            nulls = [statistics.null_count for statistics in found if statistics and statistics.has_null_count]
            if not nulls or min(nulls):
                return True
    return False


class Reader:
    """Reads records of a split by their position, for positions in the order of `order`.

    It keeps a window of row groups per source, at most `MOST_ROW_GROUPS` in all while there are no more sources, and
    reads no row group before it is needed.
    """

    def __init__(self, split: Split, columns: Sequence[str]) -> None:
        self.split, self.columns = split, columns
        self._window_size = _window_size(split)
        self._tables: dict[str, dict[tuple[int, int], pa.Table]] = {}

    def row(self, position: RowPosition) -> dict[str, Any]:
        """Read one record."""
        shard = self.split.shards[position.shard]
        tables = self._tables.setdefault(shard.source, {})
        key = position.shard, position.row_group
        if key not in tables:
            if len(tables) == self._window_size:
                del tables[next(iter(tables))]  # a source finishes a window before it starts the next
            tables[key] = _read(shard, position.row_group, self.columns)
        row: dict[str, Any] = tables[key].slice(position.row, 1).to_pylist()[0]
        return row


def row_positions(split: Split, seed: int, skip: int, epochs: int | None) -> Iterator[RowPosition]:
    """Yield the positions of all records of all epochs, without the first `skip`; None repeats epochs endlessly."""
    first, rest = divmod(skip, len(split))
    numbers = count(first) if epochs is None else range(first, epochs)
    return islice(chain.from_iterable(order(split, seed, epoch) for epoch in numbers), rest, None)


def rows(split: Split, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield columns of every record in the order of the files, one row group in memory at a time."""
    for shard in split.shards:
        for row_group in range(len(shard.row_groups)):
            yield from _read(shard, row_group, columns).to_pylist()


def order(split: Split, seed: int, epoch: int) -> Iterator[RowPosition]:
    """Yield the position of every record of an epoch; depends on seed, epoch, weights, shard names and row counts.

    The sources are interleaved evenly. Within a source, row groups are shuffled, and records are shuffled within
    windows of row groups, so that memory holds few of them.
    """
    counts = split.epoch_counts()
    merged = heapq.merge(*(_schedule_source(split, source, records, seed, epoch) for source, records in counts.items()))
    return (position for _, _, position in merged)


def _window_size(split: Split) -> int:
    """Give the number of row groups of a source among which its records are shuffled."""
    sources = max(1, len(split.record_counts()))
    return max(1, OPEN_ROW_GROUPS // sources, min(LEAST_WINDOW, MOST_ROW_GROUPS // sources))


def _schedule_source(
    split: Split, source: str, records: int, seed: int, epoch: int
) -> Iterator[tuple[float, str, RowPosition]]:
    """Give each record of a source's epoch its time in the epoch, 0 to 1, evenly spaced.

    The epochs divide one endless sequence of passes over the source into equal parts, so that weights favour no record.
    """
    first, skip = divmod(epoch * records, split.record_counts()[source])
    passes = chain.from_iterable(_shuffled(split, source, seed, number) for number in count(first))
    for done, position in enumerate(islice(passes, skip, skip + records)):
        yield (done + 0.5) / records, source, position


def _shuffled(split: Split, source: str, seed: int, number: int) -> Iterator[RowPosition]:
    """Yield every record of a source once: row groups shuffled, records shuffled within windows of them."""
    groups = [
        (shard, row_group)
        for shard, entry in enumerate(split.shards)
        if entry.source == source
        for row_group in range(len(entry.row_groups))
    ]
    random = np.random.default_rng(derive_seed(seed, number, source))
    shuffled = [groups[i] for i in random.permutation(len(groups))]
    window = _window_size(split)
    for start in range(0, len(shuffled), window):
        positions = [
            RowPosition(shard, row_group, row)
            for shard, row_group in shuffled[start : start + window]
            for row in range(split.shards[shard].row_groups[row_group])
        ]
        for i in random.permutation(len(positions)):
            yield positions[i]


def derive_seed(*parts: object) -> int:
    """Derive a seed from names and numbers, 0 to 2**64 - 1, equal on every machine."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8])


def _open_shard(mix: Path, file: PurePosixPath) -> Shard:
    path = mix / file
    try:
        footer = hub_mix.read_footer(mix, file.as_posix())
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path} cannot be read as parquet ({error}); type: medmix check {mix}") from None
    counts = tuple(footer.row_group(i).num_rows for i in range(footer.num_row_groups))
    return Shard(mix, file.as_posix(), file.parent.name, counts)


def _read(shard: Shard, row_group: int, columns: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(hub_mix.download_shard(shard.mix, shard.name)) as file:
        return file.read_row_group(row_group, columns=list(columns), use_threads=False)
