"""What the records of a mix look like in numbers, counted once from the written shards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from ..record import QUESTION_TASKS
from .tally import Tally

NEAR_EMPTY_CHARACTERS = 20
"""A caption or report with fewer characters says next to nothing."""

SHOWN_ANSWERS = 10
SHOWN_ANSWER_CHARACTERS = 60

_BATCH_ROWS = 8192

_COLUMNS = ["task", "modality", "language", "answer_type", "license_verdict", "question", "answer", "choices"]
_COLUMNS += ["messages", "image_sha256"]

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
"""What is counted -> the column of `_measured` with its values."""


def measure(mix: Path, shards: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Count what the records of each source look like; sources sorted, memory holds one batch of rows.

    For each source: `records`; counts by value of `tasks`, `modalities`, `languages`, `answer_types`,
    `images_per_record`; `yes_no`, the answers that are just that; `correct_option`, the letters of right options
    as trained on; `near_empty`, captions and reports under `NEAR_EMPTY_CHARACTERS`; `question_characters` and
    `answer_characters`, each with `minimum`, `median`, `p95`, `maximum` and `histogram`; of the tasks that ask,
    `distinct_answers` and `frequent_answers`, (answer, count) pairs of those given more than once.
    """
    sources = sorted({shard.split("/")[1] for shard in shards})
    return {
        source: _source(mix / shard for shard in sorted(shards) if shard.split("/")[1] == source) for source in sources
    }


def _source(shards: Iterator[Path]) -> dict[str, Any]:
    counts: dict[str, Counter[Any]] = {name: Counter() for name in _COUNTED}
    records = 0
    with Tally() as answers, Tally() as showable:
        for shard in shards:
            for batch in pq.ParquetFile(shard).iter_batches(batch_size=_BATCH_ROWS, columns=_COLUMNS):
                rows = _measured(pl.DataFrame(batch))
                records += rows.height
                for name, column in _COUNTED.items():
                    counts[name].update(_count(rows[column]))
                asked = rows.filter(pl.col("task").is_in(QUESTION_TASKS))
                answers.add(_count(asked["answer"]))
                showable.add(_count(asked.filter(_may_be_shown())["answer"]))
        frequent = showable.most_common(SHOWN_ANSWERS, at_least=2)
        distinct = len(answers)
    lengths = ("question_characters", "answer_characters")
    return {
        "records": records,
        **{name: _by_value(counter) for name, counter in counts.items() if name not in (*lengths, "near_empty")},
        **{name: _lengths(counts[name]) for name in lengths},
        "near_empty": counts["near_empty"][True],
        "distinct_answers": distinct,
        "frequent_answers": [list(pair) for pair in frequent],
    }


def _measured(rows: pl.DataFrame) -> pl.DataFrame:
    """Add what is counted of each record; null where it does not apply."""
    told = pl.col("task").is_in(QUESTION_TASKS).not_()
    reply = pl.col("messages").list.last().struct.field("content").list.first().struct.field("text")
    plain = pl.col("answer").str.to_lowercase().str.strip_chars(" .")
    return rows.with_columns(
        images=pl.col("image_sha256").list.len(),
        question_characters=pl.when(told.not_()).then(pl.col("question").str.len_chars()),
        answer_characters=pl.col("answer").str.len_chars(),
        yes_no=pl.when(plain.is_in(["yes", "no"])).then(plain),
        option=pl.when(pl.col("choices").list.len() > 0).then(reply.str.extract(r"^([A-Z])\. ")),
        near_empty=told & (pl.col("answer").str.len_chars() < NEAR_EMPTY_CHARACTERS),
    )


def _may_be_shown() -> pl.Expr:
    """True for answers short enough to print, and from no source whose text may not leave the machine."""
    short = pl.col("answer_characters") <= SHOWN_ANSWER_CHARACTERS
    return short & (pl.col("license_verdict") != "credentialed")


def _count(values: pl.Series) -> dict[Any, int]:
    return dict(values.drop_nulls().value_counts().iter_rows())


def _by_value(counter: Counter[Any]) -> dict[str, int]:
    return {str(value): counter[value] for value in sorted(counter)}


def _lengths(counter: Counter[int]) -> dict[str, Any]:
    """Summarise lengths; bin `n` of the histogram holds those from 2^n up to 2^(n+1), bin 0 the empty ones as well."""
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
        "histogram": [bins[place] for place in range(max(bins) + 1)],
    }


def _quantile(counter: Counter[int], share: float) -> int:
    """Give the smallest length that at least `share` of all do not exceed."""
    wanted = share * counter.total()
    met = 0
    for length in sorted(counter):
        met += counter[length]
        if met >= wanted:
            return length
    raise ValueError("no lengths, or a share above 1")
