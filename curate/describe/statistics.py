"""Statistics of the records of a mix, counted from what is known of its shards (`record_facts`)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from ..record import QUESTION_TASKS
from ..write import record_facts
from .text_counter import TextCounter

SHOWN_ANSWERS = 10
SHOWN_ANSWER_CHARACTERS = 60

_BATCH_ROWS = 8192

_COUNTED = {
    "tasks": "task",
    "modalities": "modality",
    "languages": "language",
    "answer_types": "answer_type",
    "images_per_record": "images",
    "question_characters": "question_characters",
    "answer_characters": "answer_characters",
    "yes_no": "yes_no",
    "correct_option": "option",
    "near_empty": "near_empty",
}
"""Name of a count -> column of `record_facts.COUNTED` that has its values."""


def measure(mix: Path, shards: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give the statistics (`Statistics.result`) of shards that are read for it, with one batch of rows in memory."""
    with Statistics() as found:
        for shard in shards:
            for rows in _counted_rows(mix / shard):
                found.add(shard, rows)
        return found.result()


def _counted_rows(shard: Path) -> Iterator[pl.DataFrame]:
    columns = list(record_facts.COUNT_COLUMNS)
    for batch in pq.ParquetFile(shard).iter_batches(batch_size=_BATCH_ROWS, columns=columns):
        yield record_facts.count(pl.DataFrame(batch))


class Statistics:
    """The statistics of records that are added table by table; memory does not grow with their number."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}

    def __enter__(self) -> "Statistics":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for source in self._sources.values():
            source.answers.close()
            source.public_answers.close()

    def add(self, shard: str, rows: pl.DataFrame) -> None:
        """Count records of a shard, in the columns `record_facts.COUNTED`."""
        self._sources.setdefault(shard.split("/")[1], _Source()).add(rows)

    def result(self) -> dict[str, dict[str, Any]]:
        """Give the statistics of each source, sorted by source.

        For each source: `records`; counts by value of `tasks`, `modalities`, `languages`, `answer_types`,
        `images_per_record`; `yes_no`, the yes/no answers; `correct_option`, the letters of correct options in the
        assistant turn; `near_empty`, captions and reports under `record_facts.NEAR_EMPTY_CHARACTERS`;
        `question_characters` and `answer_characters`, each with `minimum`, `median`, `p95`, `maximum` and `histogram`;
        for tasks with a question, `distinct_answers` and `frequent_answers`, (answer, count) pairs of answers that
        occur more than once.
        """
        return {source: counts.result() for source, counts in sorted(self._sources.items())}


class _Source:
    def __init__(self) -> None:
        self.records = 0
        self.counts: dict[str, Counter[Any]] = {name: Counter() for name in _COUNTED}
        self.answers, self.public_answers = TextCounter(), TextCounter()

    def add(self, rows: pl.DataFrame) -> None:
        self.records += rows.height
        for name, column in _COUNTED.items():
            self.counts[name].update(_count(rows[column]))
        asked = rows.filter(pl.col("task").is_in(QUESTION_TASKS))
        self.answers.add(_count(asked["asked_answer"]))
        self.public_answers.add(_count(asked.filter(_is_public())["asked_answer"]))

    def result(self) -> dict[str, Any]:
        lengths = ("question_characters", "answer_characters")
        frequent = self.public_answers.most_common(SHOWN_ANSWERS, at_least=2)
        return {
            "records": self.records,
            **{name: _by_value(count) for name, count in self.counts.items() if name not in (*lengths, "near_empty")},
            **{name: _lengths(self.counts[name]) for name in lengths},
            "near_empty": self.counts["near_empty"][True],
            "distinct_answers": len(self.answers),
            "frequent_answers": [list(pair) for pair in frequent],
        }


def _is_public() -> pl.Expr:
    """Match answers that are short enough for a table and not from a credentialed source."""
    short = pl.col("answer_characters") <= SHOWN_ANSWER_CHARACTERS
    return short & (pl.col("license_verdict") != "credentialed")


def _count(values: pl.Series) -> dict[Any, int]:
    return dict(values.drop_nulls().value_counts().iter_rows())


def _by_value(counter: Counter[Any]) -> dict[str, int]:
    return {str(value): counter[value] for value in sorted(counter)}


def _lengths(counter: Counter[int]) -> dict[str, Any]:
    """Summarise lengths; bin `n` of the histogram counts lengths from 2^n to 2^(n+1) - 1, bin 0 also empty texts."""
    if not counter:
        return {"minimum": 0, "median": 0, "p95": 0, "maximum": 0, "histogram": []}
    bins: Counter[int] = Counter()
    for length, count in counter.items():
        bins[max(length, 1).bit_length() - 1] += count
    return {
        "minimum": min(counter),
        "median": _quantile(counter, 0.5),
        "p95": _quantile(counter, 0.95),
        "maximum": max(counter),
        "histogram": [bins[power] for power in range(max(bins) + 1)],
    }


def _quantile(counter: Counter[int], share: float) -> int:
    """Return the smallest length that at least `share` of all lengths do not exceed."""
    required = share * counter.total()
    seen = 0
    for length in sorted(counter):
        seen += counter[length]
        if seen >= required:
            return length
    raise ValueError("no lengths, or a share above 1")
