"""Rows as pass 2 sees them, for tests of the stages: only what a test names differs from a plain record."""

from pathlib import Path
from typing import Any

import polars as pl

from medmix.curate.decide.copy_search import ALTERED, EQUAL, NO_COPIES, Copies
from medmix.curate.decide.scan_texts import ScanTexts
from medmix.curate.measure.scans import ScanFile
from medmix.curate.measure.text_keys import COLUMNS, Texts, measure_texts

DEFAULTS: dict[str, Any] = {
    "scan": 0,
    "source": "slake",
    "rank": 0,
    "upstream_split": "train",
    "split": "train",
    "task": "vqa",
    "stage": "",
    "reason": "",
    "evidence": "",
    "language": "en",
    "wording": "",
    "article": "",
    "article_read": "",
    "member": "",
    "third_party": "",
    "question_gap": "",
    "answer_gap": "",
    "images": [],
    "min_side": 100,
    "uniform": "",
    "area": 10_000,
    "image_bytes": 1_000,
    "text_bytes": 13,
    "section": "",
    "question_key": None,
    "near_key": None,
    "openness": 3,
    "licence": "CC-BY-4.0",
    "verdict": "redistributable",
}

SCHEMA = {
    "images": pl.List(pl.UInt32),
    "index": pl.UInt32,
    "min_side": pl.Int64,
    "question_key": pl.UInt64,
    "near_key": pl.UInt64,
}

NO_TEXTS = ScanTexts((), {})


PLAIN_PAIR = {"kind": "copy", "share": 1.0, "flipped": False, "turn": 0, "zoom": 1.25}
PLAIN_PAIR |= {"left": 0.0, "top": 0.0, "right": 1.0, "bottom": 1.0}


RELATED: dict[str, dict[str, Any]] = {
    "copy": {"kind": "copy"},
    "panel": {"kind": "panel"},
    "overlap 0.5": {"kind": "overlap", "share": 0.5},
    "overlap 0.49": {"kind": "overlap", "share": 0.49},
    "sequence": {"kind": "sequence"},
}
"""One pair of each kind, and of overlaps on both sides of the default share, for `related`."""


def copies(*pairs: tuple[int, int, float] | tuple[int, int] | dict[str, Any]) -> Copies:
    """Make related images: (image, other, similarity) for copies, else `related`; (leader, image) for equal pixels."""
    altered = [pair if isinstance(pair, dict) else related(*pair) for pair in pairs if len(pair) != 2]
    equal = [{"image": pair[1], "leader": pair[0]} for pair in pairs if len(pair) == 2]
    return NO_COPIES._replace(altered=pl.DataFrame(altered, ALTERED), equal=pl.DataFrame(equal, EQUAL))


def related(image: int, other: int, similarity: float = 0.9, **how: Any) -> dict[str, Any]:
    """Give a pair of `ALTERED`: a crop, unless `how` names another kind, share or box."""
    return {**PLAIN_PAIR, "image": image, "other": other, "similarity": similarity, **how}


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    """Make a table of records; ids, groups and text keys are unique unless a row names them."""
    return pl.DataFrame(
        [
            {
                **DEFAULTS,
                "index": place,
                "scan_row": place,
                "id": f"slake/{place}",
                "group": f"group-{place}",
                "text_key": f"text-{place}",
                "question_answer_key": f"qa-{place}",
                **row,
            }
            for place, row in enumerate(rows)
        ],
        schema_overrides=SCHEMA,
    ).with_columns(
        representatives="images", image_cluster=pl.col("images").cast(pl.List(pl.String)).list.join("+").rank("dense")
    )


def texts(folder: Path, *rows: dict[str, Any]) -> tuple[pl.DataFrame, ScanTexts]:
    """Make a table of records with texts (`question`, `answer`, `context`, `choices`, `explanation`) and their scan."""
    full = [{"question": "", "answer": "", "context": "", "choices": [], "explanation": "", **row} for row in rows]
    fields = ("question", "answer", "context", "choices")
    keys = measure_texts([Texts(*(row[field] for field in fields)) for row in full])
    scan = pl.DataFrame(
        {
            **{field: [row[field] for row in full] for field in (*fields, "explanation")},
            **{name: [getattr(key, name) for key in keys] for name in COLUMNS},
        },
        schema_overrides={"choices": pl.List(pl.String), **COLUMNS},
    )
    scan.write_parquet(folder / "scan.parquet")
    names = {*fields, "explanation"}
    plain = [{name: value for name, value in row.items() if name not in names} for row in rows]
    measured = [{name: getattr(key, name) for name in COLUMNS if name != "minhash"} for key in keys]
    rows_of_table = [{**key, **row} for key, row in zip(measured, plain, strict=True)]
    return table(*rows_of_table), ScanTexts([ScanFile("slake", folder / "scan.parquet")], {})


def fates(drops: pl.DataFrame) -> dict[int, tuple[str, str]]:
    """Give index -> (reason, evidence) of what a stage drops."""
    return {
        index: (reason, evidence) for index, reason, evidence in drops.select("index", "reason", "evidence").iter_rows()
    }
