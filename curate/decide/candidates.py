"""The table of pass 2: one row per record read, a few hundred bytes each, without texts and images."""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from .. import record
from ..measure import empty_text, report_sections
from ..measure.scans import ScanFile

DROPS = pl.Schema(
    {
        "index": pl.UInt32,
        "reason": pl.String,
        "evidence": pl.String,
        "score": pl.Float64,
        "transformation": pl.String,
        "relation": pl.String,
    }
)
"""The result of a stage: the rows that it drops, by `index`, and why; each row at most once.

`transformation` describes how the row's images differ from those of the evidence, "" if they do not; `relation` is how
the drop rests on images: `equal` pixels or a kind of `copies.confirm.Kind`, "" if it does not.
"""

UNREADABLE_STAGES = ("read", "images")
"""Stages that drop what cannot be read, in pass 1; the others drop by the mixture's rules."""

CATEGORY = pl.Categorical()
"""The type of columns with few values, or mostly "", each stored once; expressions use it like a string."""

DIGEST = pl.UInt128
"""The type of keys that scans store as 32 or more hex digits, of which the first 32 count."""

PRECEDENCE = ("split", "rank", "openness", "area", "text_bytes", "id")
"""The columns that `by_precedence` needs."""

PROTECTION = {"train": 0, "validation": 1, "test": 2}
"""Protection level of each split: models are scored on the higher ones, so these keep records that splits share."""


def load(scans: Sequence[ScanFile], limit: int | None, sections: Mapping[str, record.Section]) -> pl.DataFrame:
    """Read all scans, in reading order, into one table.

    For sources in `sections` only that section of a report counts, in its text and in its keys.

    Columns: `index` (position in reading order over all sources), `scan` and `scan_row` (location of the record),
    `id`, `source`, `rank` (position of the source in the mixture, from 0), `upstream_split`, `task`, `group`, `stage`,
    `reason`, `evidence` (of rows that pass 1 dropped, else ""), `language`, `wording` (of the licence, per row),
    `member`, `third_party`, `question_gap`, `answer_gap` (see `empty_text`), `images` (numbers from 0 in reading order,
    equal for images with equal keys), `uniform` (brightness of the first image that has only one, else ""),
    `min_side`, `area` (smallest width times smallest height, 0 without images),
    `image_bytes`, `text_bytes`, `text_key`, `question_answer_key`, `question_key`, `near_key` (see `text_keys`),
    `section` (of the report, if only one is trained on, else "").

    Repeated upstream keys get the suffixes `#2`, `#3`, ... in reading order, so that every id is unique. With a
    limit the table has only the first rows of each source; the others count as not read.
    """
    frames = [_read_scan(scan, number, sections.get(scan.source)) for number, scan in enumerate(scans)]
    table = pl.concat(frames)
    frames.clear()
    for place, name in enumerate(table.columns):  # one by one, so that memory never holds the whole table twice
        table.replace_column(place, table[name].rechunk())
    table = table.with_columns(rank=pl.col("source").rle_id())
    if limit is not None:
        table = table.filter(pl.int_range(pl.len()).over("rank") < limit)
    return number_images(table.with_columns(unique_ids(table["id"])).with_row_index("index"))


def unique_ids(ids: pl.Series) -> pl.Series:
    """Add `#2`, `#3`, ... to repeated ids."""
    repeated = ids.is_duplicated()
    again = ids.filter(repeated).to_frame("id")
    occurrence = pl.int_range(1, pl.len() + 1).over("id")
    named = again.select(pl.when(occurrence > 1).then(pl.format("{}#{}", "id", occurrence)).otherwise("id"))
    return ids.scatter(repeated.arg_true(), named.to_series()) if again.height else ids


def number_images(table: pl.DataFrame) -> pl.DataFrame:
    """Replace the keys of images, `keys`, by numbers, `images`."""
    each = table.select("index", key="keys").explode("key").drop_nulls()
    owners = each["index"]
    places = each.select("key").with_row_index("place")
    first = places.select(first=pl.col("place").first().over("key"))["first"]
    del each, places
    is_first = first == pl.int_range(first.len(), dtype=pl.UInt32, eager=True)
    numbers = (is_first.cum_sum() - 1).gather(first).cast(pl.UInt32)
    lists = pl.DataFrame({"index": owners, "images": numbers}).group_by("index", maintain_order=True).agg("images")
    joined = table.select("index").join(lists, on="index", how="left", maintain_order="left")
    images = joined["images"].fill_null(pl.Series([[]], dtype=pl.List(pl.UInt32)))
    return table.drop("keys").with_columns(images=images)


def digest(hexadecimal: pl.Expr) -> pl.Expr:
    """Give the number of the first 32 hex digits, as `DIGEST`; null for "", an error for other texts."""
    return hexadecimal.str.head(32).str.decode("hex").bin.reinterpret(dtype=DIGEST, endianness="big")


def hexadecimal(numbers: pl.Series) -> pl.Series:
    """Give the 32 hex digits of each `DIGEST`; text keys that are texts stay as they are."""
    if numbers.dtype != DIGEST:
        return numbers
    return pl.Series([None if number is None else f"{number:032x}" for number in numbers], dtype=pl.String)


def with_digests(items: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Give items the type of `question_answer_key` that a table has."""
    key = "question_answer_key"
    return items.with_columns(digest(pl.col(key))) if table[key].dtype == DIGEST else items


def is_one_of(splits: Sequence[tuple[str, str]]) -> pl.Expr:
    """Match rows of these upstream splits, (source, split)."""
    matches = [(pl.col("source") == source) & (pl.col("upstream_split") == split) for source, split in splits]
    return pl.any_horizontal(*matches) if matches else pl.lit(False)


def _read_scan(scan: ScanFile, number: int, section: record.Section | None) -> pl.DataFrame:
    text_bytes = pl.sum_horizontal(pl.col(name).str.len_bytes() for name in ("question", "answer", "context"))
    width, height = pl.col("image_width").list.min(), pl.col("image_height").list.min()
    return (
        (
            report_sections.select_section(pl.read_parquet(scan.path), section).lazy()
            if section
            else pl.scan_parquet(scan.path)
        )
        .select(
            *("group", "evidence", "question_key", "near_key"),
            *(pl.col(name).cast(CATEGORY) for name in ("task", "stage", "reason", "language", "member", "third_party")),
            *(digest(pl.col(name)).alias(name) for name in ("text_key", "question_answer_key")),
            scan=pl.lit(number, pl.UInt32),
            scan_row=pl.int_range(pl.len(), dtype=pl.UInt32),
            id=pl.concat_str(pl.lit(f"{scan.source}/"), "key"),
            source=pl.lit(scan.source).cast(CATEGORY),
            upstream_split=pl.col("split").cast(CATEGORY),
            wording=pl.col("licence").cast(CATEGORY),
            question_gap=empty_text.question_gap().cast(CATEGORY),
            answer_gap=empty_text.answer_gap().cast(CATEGORY),
            keys=pl.col("image_key").list.eval(digest(pl.element())),
            min_side=pl.min_horizontal(width, height),
            uniform=pl.col("image_uniform").list.filter(pl.element() != "").list.first().fill_null("").cast(CATEGORY),
            area=(width * height).fill_null(0),
            image_bytes=pl.col("image_bytes").list.sum(),
            text_bytes=text_bytes,
            section=pl.lit(section or "").cast(CATEGORY),
        )
        .collect()
    )


def read_rows(
    scans: Sequence[ScanFile], rows: pl.DataFrame, *columns: str
) -> Iterator[tuple[ScanFile, pl.DataFrame, pl.DataFrame]]:
    """Give each scan, those of `rows` that it has, and columns of the scan for these."""
    for (number,), part in rows.group_by("scan", maintain_order=True):
        scan = scans[int(str(number))]
        yield scan, part, pl.read_parquet(scan.path, columns=list(columns))[part["scan_row"]]


def by_precedence(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort rows by precedence: of two duplicates the first survives.

    The order: the more protected split, the earlier source of the mixture, the more open licence, the larger image,
    the longer text, the id.
    """
    return rows.with_columns(level=pl.col("split").replace_strict(PROTECTION, return_dtype=pl.Int8)).sort(
        ["level", "rank", "openness", "area", "text_bytes", "id"],
        descending=[True, False, True, True, True, False],
    )


def dropped(
    rows: pl.DataFrame,
    reason: str,
    evidence: pl.Expr,
    score: pl.Expr | None = None,
    transformation: pl.Expr | None = None,
    relation: pl.Expr | None = None,
) -> pl.DataFrame:
    """Give `DROPS` of all `rows`, for one reason."""
    return rows.select(
        index=pl.col("index"),
        reason=pl.lit(reason),
        evidence=evidence.cast(pl.String),
        score=pl.lit(None, pl.Float64) if score is None else score.cast(pl.Float64),
        transformation=pl.lit("") if transformation is None else transformation,
        relation=pl.lit("") if relation is None else relation.cast(pl.String),
    )
