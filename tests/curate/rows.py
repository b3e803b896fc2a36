"""Rows as pass 2 sees them, for tests of the stages: only what a test names differs from a plain record."""

from typing import Any

import polars as pl

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
    "question_chars": 10,
    "answer_chars": 3,
    "pixels": [],
    "min_side": 100,
    "area": 10_000,
    "image_bytes": 1_000,
    "text_bytes": 13,
    "section": "",
    "openness": 3,
    "licence": "CC-BY-4.0",
    "verdict": "redistributable",
}

SCHEMA = {"pixels": pl.List(pl.String), "index": pl.UInt32, "min_side": pl.Int64}


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
    )


def fates(drops: pl.DataFrame) -> dict[int, tuple[str, str]]:
    """Give index -> (reason, evidence) of what a stage drops."""
    return {
        index: (reason, evidence) for index, reason, evidence in drops.select("index", "reason", "evidence").iter_rows()
    }
