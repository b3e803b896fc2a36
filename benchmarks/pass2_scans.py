"""Generated scans of the real schema for `pass2.py`: sources, texts, keys, groups and images in v1's proportions."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from duplicates import generate_views

from medmix.curate.copies.fingerprints import FINGERPRINT
from medmix.curate.measure.minhash import BANDS
from medmix.curate.measure.scan import SCHEMA
from medmix.curate.measure.scans import ScanFile

SCAN_ROWS = 50_000
SAME, ALIKE = 0.03, 0.03
"""Shares of rows that repeat another row of their scan, and that differ from one in a few words of the text."""

BOILERPLATE = 0.1
"""Share of texts that end with a sentence that many of their source have."""


class Source(NamedTuple):
    """A source: its share of all rows, task, words of its texts, rows per group, and images per row."""

    share: float
    task: str
    question: int
    answer: int
    context: int
    per_group: int
    images: float


SOURCES = {
    "vqa_rad": Source(0.003, "vqa", 7, 2, 0, 7, 0.15),
    "slake": Source(0.007, "vqa", 7, 1, 0, 20, 0.05),
    "pathvqa": Source(0.01, "vqa", 7, 2, 0, 7, 0.15),
    "vqa_med_2019": Source(0.005, "vqa", 6, 2, 0, 4, 0.25),
    "roco": Source(0.025, "caption", 0, 25, 0, 1, 1),
    "pmc_oa": Source(0.5, "caption", 0, 60, 0, 4, 1),
    "pmc_vqa": Source(0.07, "vqa", 12, 6, 0, 8, 0.65),
    "mimic_cxr": Source(0.11, "report", 0, 80, 0, 5, 1.6),
    "omnimedvqa": Source(0.04, "vqa", 10, 3, 0, 1, 1),
    "medqa": Source(0.01, "mcqa", 120, 4, 0, 1, 0),
    "medmcqa": Source(0.06, "mcqa", 14, 4, 0, 1, 0),
    "pubmedqa": Source(0.16, "qa", 15, 1, 200, 1, 0),
}

_SHORT = {"question": 3, "answer": 3, "context": 0}


def generate(folder: Path, rows: int, prints: bool, short: bool) -> list[ScanFile]:
    """Write the scans of about `rows` rows.

    Without `prints` no image can be searched, and little is written; `short` texts have no n-grams.
    """
    folder.mkdir(parents=True)
    images = sum(int(rows * entry.share * entry.images) + SCAN_ROWS for entry in SOURCES.values())
    views = _view_bytes(images) if prints else None
    words = _words(np.random.default_rng(0))
    scans = []
    for name, entry in SOURCES.items():
        total = max(10, int(rows * entry.share))
        for number, start in enumerate(range(0, total, SCAN_ROWS)):
            part = _scan(
                name, entry._replace(**_SHORT) if short else entry, start, min(SCAN_ROWS, total - start), words, views
            )
            path = folder / f"{name}-{number:04d}.parquet"
            pq.write_table(part, path, compression="zstd", row_group_size=4096)
            scans.append(ScanFile(name, path))
    return scans


def _view_bytes(images: int) -> Iterator[bytes]:
    views, _ = generate_views(images)
    ends = np.searchsorted(views.owner, np.arange(images), side="right").tolist()
    start = 0
    for image, end in enumerate(ends):
        yield views.whole[image].tobytes() + views.others[start:end].tobytes()
        start = end


def _words(draws: np.random.Generator) -> pl.Series:
    letters = draws.integers(97, 123, (20_000, 8), np.uint8)
    lengths = draws.integers(2, 9, len(letters)).tolist()
    return pl.Series([row.tobytes().decode()[:length] for row, length in zip(letters, lengths, strict=True)])


def _texts(words: pl.Series, length: int, rows: int, draws: np.random.Generator) -> pl.Series:
    """Make texts of random words, the commonest of them often."""
    if not length:
        return pl.Series([""]).new_from_index(0, rows)
    lengths = draws.integers(max(1, length // 2), length + length // 2 + 1, rows)
    chosen = (draws.random(int(lengths.sum())) ** 3 * len(words)).astype(np.int64)
    owner = np.repeat(np.arange(rows), lengths)
    frame = pl.DataFrame({"owner": owner, "word": words.gather(chosen)})
    return frame.group_by("owner", maintain_order=True).agg(pl.col("word").str.join(" "))["word"]


def _hex(count: int, size: int, draws: np.random.Generator) -> pl.Series:
    data = pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), count, [None, pa.py_buffer(draws.bytes(count * size))])
    return pl.Series(pl.from_arrow(data.cast(pa.binary()))).bin.encode("hex")


def _scan(name: str, entry: Source, start: int, rows: int, words: pl.Series, views: Iterator[bytes] | None) -> pa.Table:
    draws = np.random.default_rng([start, *name.encode()])
    number = np.arange(start, start + rows)
    texts = {column: _texts(words, getattr(entry, column), rows, draws) for column in ("question", "answer", "context")}
    common = _texts(words, 16, 20, np.random.default_rng(list(name.encode())))
    has_common = draws.random(rows) < (BOILERPLATE if entry.question > 3 or entry.answer > 3 else 0)
    ending = pl.Series(np.where(has_common, draws.integers(0, 20, rows), -1))
    ending = pl.select(pl.lit(common).gather(ending.clip(0))).to_series().set(~pl.Series(has_common), "")
    field = "question" if entry.question else "answer"
    texts[field] = (texts[field] + " " + ending).str.strip_chars()
    split = np.where(draws.random(rows) < 0.04, np.where(draws.random(rows) < 0.5, "validation", "test"), "train")
    columns = {
        "key": pl.Series(number).cast(pl.String),
        "split": pl.Series(split),
        "task": pl.Series([entry.task]).new_from_index(0, rows),
        "group": f"{name}/" + pl.Series(number // entry.per_group).cast(pl.String),
        "language": pl.Series(["en"]).new_from_index(0, rows),
        "licence": pl.Series(["CC BY" if name in ("roco", "pmc_oa") else ""]).new_from_index(0, rows),
        **texts,
        "text_key": _hex(rows, 16, draws),
        "question_answer_key": _hex(rows, 16, draws),
        "question_key": pl.Series(draws.integers(0, 1 << 63, rows).astype(np.uint64)),
        "near_key": pl.Series(draws.integers(0, 1 << 63, rows).astype(np.uint64)),
        "minhash": pl.Series(draws.integers(0, 1 << 32, (rows, BANDS), np.uint32)).arr.to_list(),
        **_images(entry, number, draws, views),
    }
    frame = pl.DataFrame(columns)
    frame = frame.with_columns(question_key=pl.when(pl.col("question") != "").then("question_key"))
    return _complete(_repeat(frame, draws))


def _images(
    entry: Source, number: np.ndarray, draws: np.random.Generator, views: Iterator[bytes] | None
) -> dict[str, object]:
    """Give the columns of images: of each row one, or several, or one that the rows before it have too."""
    rows = len(number)
    if not entry.images:
        counts, image = np.zeros(rows, np.int64), np.zeros(0, np.int64)
    elif entry.images < 1:
        counts, image = np.ones(rows, np.int64), (number * entry.images).astype(np.int64)
    else:
        counts = 1 + (draws.random(rows) < entry.images - 1)
        image = np.arange(counts.sum())
    _, place = np.unique(image, return_inverse=True)
    distinct = int(place.max()) + 1 if len(place) else 0
    digest, prints = _hex(distinct, 32, draws), _prints(distinct, views)
    size = draws.integers(200, 1200, distinct)
    each = pl.DataFrame(
        {
            "owner": np.repeat(np.arange(rows), counts),
            "image_sha256": digest.gather(place),
            "image_key": digest.gather(place),
            "image_phash": digest.gather(place),
            "image_width": pl.Series(size).gather(place),
            "image_height": pl.Series(size).gather(place),
            "image_bytes": pl.Series(size * 100).gather(place),
            "image_uniform": pl.Series([""]).new_from_index(0, len(place)),
            "fingerprints": prints.gather(place),
        }
    ).with_columns(
        images=pl.struct(path="image_sha256", member=pl.lit(""), row=pl.lit(None, pl.Int64), column=pl.lit(""))
    )
    lists = pl.DataFrame({"owner": np.arange(rows)}).join(
        each.group_by("owner", maintain_order=True).agg(pl.all()), on="owner", how="left", maintain_order="left"
    )
    return {column: lists[column].fill_null([]) for column in lists.columns if column != "owner"}


def _prints(count: int, views: Iterator[bytes] | None) -> pl.Series:
    if views is None:
        return pl.Series([np.zeros((), FINGERPRINT).tobytes()], dtype=pl.Binary).new_from_index(0, count)
    return pl.Series([next(views) for _ in range(count)], dtype=pl.Binary)


def _repeat(frame: pl.DataFrame, draws: np.random.Generator) -> pl.DataFrame:
    """Let some rows repeat others of the scan, and some differ from them in their text keys alone."""
    own = np.arange(frame.height)
    kind = draws.random(len(own))
    origin = np.where(kind < SAME + ALIKE, draws.integers(0, len(own), len(own)), own)
    repeated = frame[origin].with_columns(frame["key"], frame["split"])
    alike = pl.Series((kind >= SAME) & (kind < SAME + ALIKE))
    return repeated.with_columns(
        pl.when(alike).then(frame[name]).otherwise(name).alias(name) for name in ("text_key", "question_answer_key")
    ).with_columns(answer=pl.when(alike).then(pl.col("answer") + " " + pl.col("key")).otherwise("answer"))


def _complete(frame: pl.DataFrame) -> pa.Table:
    table = frame.to_arrow()
    columns = []
    for field in SCHEMA:
        if field.name in frame.columns:
            columns.append(table[field.name].cast(field.type))
        elif field.type == pa.string():
            columns.append(pa.array([""] * frame.height, field.type))
        elif pa.types.is_list(field.type):
            columns.append(pa.array([[]] * frame.height, field.type))
        else:
            columns.append(pa.nulls(frame.height, field.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)
