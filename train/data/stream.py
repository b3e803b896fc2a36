"""Read a mix: a source's share of its records each epoch, in an order that seed, epoch and files alone decide.

With weight 1 every record of a source comes once an epoch, with weight 2 twice, with 0.5 every other epoch. A mixture's
temperature evens out the sources.
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
"""Row groups that lie in memory at a time, shared among the sources (each source has at least one)."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One parquet file: its mix, its POSIX name within it, its source, and the rows of each row group."""

    mix: Path
    name: str
    source: str
    row_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """The shards of one split of a mix, sorted by name; its length is the number of records in an epoch.

    `weights` are the mixture's, by source; a source that is not named has weight 1. `temperature` is the mixture's.
    """

    mix: Path
    name: str
    shards: tuple[Shard, ...]
    weights: Mapping[str, float]
    temperature: float = 1.0

    def __len__(self) -> int:
        return sum(self.epoch().values())

    def only(self, sources: Sequence[str] | None) -> "Split":
        """Take the records of these sources; None takes all.

        Raises:
            UsageError: there are none of one.
        """
        if sources is None:
            return self
        counts = self.sources()
        known = [source for source in counts if counts[source]]
        if unknown := [f"no {source!r}{nearest(source, known)}" for source in sources if source not in known]:
            raise UsageError(
                f"the {self.name} split of {self.mix} has {', '.join(known) or 'nothing'}: {'; '.join(unknown)}"
            )
        return replace(self, shards=tuple(shard for shard in self.shards if shard.source in sources))

    def sources(self) -> dict[str, int]:
        """Count the records of each source, sources sorted by name."""
        counts: Counter[str] = Counter()
        for shard in self.shards:
            counts[shard.source] += sum(shard.row_groups)
        return dict(sorted(counts.items()))

    def epoch(self) -> dict[str, int]:
        """Count the records that an epoch takes of each source, at least 1.

        They are number n times weight w; at temperature T they have the same sum, and go as w n^(1/T).
        """
        numbers = {source: records for source, records in self.sources().items() if records}
        weights = {source: self.weights.get(source, 1.0) for source in numbers}
        shares = {source: weights[source] * records ** (1 / self.temperature) for source, records in numbers.items()}
        length, whole = sum(weights[source] * records for source, records in numbers.items()), sum(shares.values())
        return {source: max(1, round(length * share / whole)) for source, share in shares.items()}


class Place(NamedTuple):
    """Where a record lies: positions of the shard in its split, of the row group in it, of the row in that."""

    shard: int
    row_group: int
    row: int


def open_split(mix: Path, name: str) -> Split:
    """List the shards of a split, published and restricted, reading only their footers; weights count for `train`.

    Raises:
        UsageError: the folder is no mix, or a shard that its manifest names cannot be read.
        WorkError: the mix is on the Hub, and not to be had.
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


def digest(mix: Path) -> str:
    """Give the SHA-256 of a mix's manifest, timings left out: equal for equal mixes, 64 hex digits.

    Raises:
        UsageError: the folder is no mix.
    """
    document = {key: value for key, value in manifest.read(mix).items() if key != "timings"}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class Reader:
    """Gives records of a split by their place, for places that come in an order of `order`.

    It keeps a window of row groups for each source, `OPEN_ROW_GROUPS` in all, and reads no row group that is
    not asked for.
    """

    def __init__(self, split: Split, columns: Sequence[str]) -> None:
        self.split, self.columns = split, columns
        self._window = _window(split)
        self._open: dict[str, dict[tuple[int, int], pa.Table]] = {}

    def row(self, place: Place) -> dict[str, Any]:
        """Give one record."""
        shard = self.split.shards[place.shard]
        mine = self._open.setdefault(shard.source, {})
        key = place.shard, place.row_group
        if key not in mine:
            if len(mine) == self._window:
                del mine[next(iter(mine))]  # a source leaves a window before it enters the next
            mine[key] = _read(shard, place.row_group, self.columns)
        row: dict[str, Any] = mine[key].slice(place.row, 1).to_pylist()[0]
        return row


def records(split: Split, columns: Sequence[str], seed: int, epoch: int, skip: int = 0) -> Iterator[dict[str, Any]]:
    """Yield an epoch's records in order, without the first `skip`, which are not read.

    The sources are interleaved evenly over the epoch. Within a source, row groups come in random order and
    records are shuffled within windows of row groups, so that memory holds `OPEN_ROW_GROUPS` of them.
    """
    reader = Reader(split, columns)
    return map(reader.row, islice(order(split, seed, epoch), skip, None))


def places(split: Split, seed: int, skip: int, epochs: int | None) -> Iterator[Place]:
    """Yield the places of all records of all epochs, without the first `skip`; None goes on for ever."""
    first, rest = divmod(skip, len(split))
    numbers = count(first) if epochs is None else range(first, epochs)
    return islice(chain.from_iterable(order(split, seed, epoch) for epoch in numbers), rest, None)


def rows(split: Split, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the given columns of every record in the order of the files, one row group in memory at a time."""
    for shard in split.shards:
        for row_group in range(len(shard.row_groups)):
            yield from _read(shard, row_group, columns).to_pylist()


def order(split: Split, seed: int, epoch: int) -> Iterator[Place]:
    """Yield the place of every record of an epoch; a function of seed, epoch, weights, shard names and row counts."""
    merged = heapq.merge(*(_spread(split, source, takes, seed, epoch) for source, takes in split.epoch().items()))
    return (place for _, _, place in merged)


def _window(split: Split) -> int:
    """Give the number of row groups of a source among which its records are shuffled."""
    return max(1, OPEN_ROW_GROUPS // max(1, len(split.sources())))


def _spread(split: Split, source: str, takes: int, seed: int, epoch: int) -> Iterator[tuple[float, str, Place]]:
    """Give each record that an epoch takes of a source its moment in the epoch, 0 to 1, evenly spaced.

    The epochs cut one endless row of passes over the source into equal parts, so weights shift no record's share.
    """
    first, skip = divmod(epoch * takes, split.sources()[source])
    passes = chain.from_iterable(_shuffled(split, source, seed, number) for number in count(first))
    for done, place in enumerate(islice(passes, skip, skip + takes)):
        yield (done + 0.5) / takes, source, place


def _shuffled(split: Split, source: str, seed: int, number: int) -> Iterator[Place]:
    """Yield every record of a source once: row groups in random order, records shuffled within windows of them."""
    groups = [
        (shard, row_group)
        for shard, entry in enumerate(split.shards)
        if entry.source == source
        for row_group in range(len(entry.row_groups))
    ]
    random = np.random.default_rng(derive_seed(seed, number, source))
    shuffled = [groups[i] for i in random.permutation(len(groups))]
    window = _window(split)
    for start in range(0, len(shuffled), window):
        places = [
            Place(shard, row_group, row)
            for shard, row_group in shuffled[start : start + window]
            for row in range(split.shards[shard].row_groups[row_group])
        ]
        for i in random.permutation(len(places)):
            yield places[i]


def derive_seed(*parts: object) -> int:
    """Derive a seed from names and numbers, 0 to 2**64 - 1, the same on every machine."""
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
