"""Statistics of the records of a mix, counted from the written shards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from ..record import QUESTION_TASKS
from .text_counter import TextCounter

NEAR_EMPTY_CHARACTERS = 20
"""A caption or report with fewer characters is near-empty."""

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
"""Name of a count -> column of `_with_features` that has its values."""


def measure(mix: Path, shards: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Compute the statistics of each source, sorted by source, with one batch of rows in memory.

    For each source: `records`; counts by value of `tasks`, `modalities`, `languages`, `answer_types`,
    `images_per_record`; `yes_no`, the yes/no answers; `correct_option`, the letters of correct options in the
    assistant turn; `near_empty`, captions and reports under `NEAR_EMPTY_CHARACTERS`; `question_characters` and
    `answer_characters`, each with `minimum`, `median`, `p95`, `maximum` and `histogram`; for tasks with a question,
    `distinct_answers` and `frequent_answers`, (answer, count) pairs of answers that occur more than once.
    """
    sources = sorted({shard.split("/")[1] for shard in shards})
    return {
        source: _source(mix / shard for shard in sorted(shards) if shard.split("/")[1] == source) for source in sources
    }


def _source(shards: Iterator[Path]) -> dict[str, Any]:
    counts: dict[str, Counter[Any]] = {name: Counter() for name in _COUNTED}
    records = 0
    with TextCounter() as answers, TextCounter() as public_answers:
        for shard in shards:
            for batch in pq.ParquetFile(shard).iter_batches(batch_size=_BATCH_ROWS, columns=_COLUMNS):
                rows = _with_features(pl.DataFrame(batch))
                records += rows.height
                for name, column in _COUNTED.items():
                    counts[name].update(_count(rows[column]))
                asked = rows.filter(pl.col("task").is_in(QUESTION_TASKS))
                answers.add(_count(asked["answer"]))
                public_answers.add(_count(asked.filter(_is_public())["answer"]))
        frequent = public_answers.most_common(SHOWN_ANSWERS, at_least=2)
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


def _with_features(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the counted columns; null where they do not apply."""
    has_question = pl.col("task").is_in(QUESTION_TASKS)
    reply = pl.col("messages").list.last().struct.field("content").list.first().struct.field("text")
    normalised = pl.col("answer").str.to_lowercase().str.strip_chars(" .")
    return rows.with_columns(
        images=pl.col("image_sha256").list.len(),
        question_characters=pl.when(has_question).then(pl.col("question").str.len_chars()),
        answer_characters=pl.col("answer").str.len_chars(),
        yes_no=pl.when(normalised.is_in(["yes", "no"])).then(normalised),
        option=pl.when(pl.col("choices").list.len() > 0).then(reply.str.extract(r"^([A-Z])\. ")),
        near_empty=~has_question & (pl.col("answer").str.len_chars() < NEAR_EMPTY_CHARACTERS),
    )


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
