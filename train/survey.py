"""Estimates the lengths of a mix's records from the first ones of each source."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .data import stream
from .data.batches import TEXT_COLUMNS
from .data.render import IGNORE_INDEX, Renderer, count_images

SURVEY_SIZE = 32
"""Records of each source that are tokenised to estimate the length of its records."""


@dataclass(frozen=True, slots=True)
class RecordMeans:
    """Means per record of an epoch: tokens, squared tokens, answer tokens, images; `surveyed` records were read."""

    tokens: float
    squared_tokens: float
    answer_tokens: float
    images: float
    surveyed: int = 0


def survey(split: stream.Split, renderer: Renderer, size: int = SURVEY_SIZE) -> RecordMeans:
    """Tokenise the first `size` records of each source; give means, sources weighted by their share of an epoch."""
    sums: dict[str, Counter[str]] = {}
    for record in _first_records(split, size):
        ids, labels = renderer.encode(record)
        counter = sums.setdefault(record["source"], Counter())
        counter["records"] += 1
        counter["tokens"] += len(ids)
        counter["squared_tokens"] += len(ids) ** 2
        counter["answer_tokens"] += sum(label != IGNORE_INDEX for label in labels)
        counter["images"] += min(count_images(record), renderer.max_images)
    epoch = split.epoch_counts().items()

    def mean(key: str) -> float:
        return sum(count * sums[source][key] / sums[source]["records"] for source, count in epoch) / len(split)

    surveyed = sum(counter["records"] for counter in sums.values())
    return RecordMeans(mean("tokens"), mean("squared_tokens"), mean("answer_tokens"), mean("images"), surveyed)


def _first_records(split: stream.Split, size: int) -> Iterator[dict[str, Any]]:
    taken: Counter[str] = Counter()
    reader = stream.Reader(split, TEXT_COLUMNS)
    for number, shard in enumerate(split.shards):
        for row_group, rows in enumerate(shard.row_groups):
            for row in range(min(rows, size - taken[shard.source])):
                taken[shard.source] += 1
                yield reader.row(stream.RowPosition(number, row_group, row))
