"""Near-duplicates among the texts of the real samples, whatever their images; each pair was read and is right."""

from pathlib import Path

import polars as pl
import pytest

from medmix.curate.decide import duplicates
from medmix.curate.record import Record
from medmix.curate.sources import layouts

from ..decide.rows import NO_COPIES, texts

EXPECTED = {
    # layout, the pairs: one dropped, its survivor, the Jaccard similarity
    "iu_xray": ("kaggle", {("iu_xray/2170", "iu_xray/1716", 0.85), ("iu_xray/2775", "iu_xray/1047", 0.81)}),
    "slake": ("original", {("slake/10888", "slake/10999", 0.91), ("slake/11231", "slake/7541", 0.8)}),
    "roco": ("original", set()),
    "vqa_rad": ("repacked", set()),
    "medqa": ("original", set()),
    "medmcqa": ("original", set()),
    "pubmedqa": ("original", set()),
}


def records(root: Path, source: str, name: str) -> list[Record]:
    layout = next(layout for layout in layouts(source) if layout.name == name)
    read = (row for shard in layout.shards(root / source) for row in layout.read(root / source, shard))
    return [row for row in read if isinstance(row, Record)]


@pytest.mark.parametrize("source", EXPECTED)
def test_only_texts_that_say_the_same_are_near_duplicates(real_data, tmp_path, source):
    layout, expected = EXPECTED[source]
    fields = ("question", "answer", "context", "choices")
    told = [
        {"id": row.id, "text_bytes": len(row.question + row.answer), **{field: getattr(row, field) for field in fields}}
        for row in records(real_data, source, layout)
    ]
    rows, scanned = texts(tmp_path, *told)
    nobody = pl.lit(False)
    equal = duplicates.exact(rows, NO_COPIES, nobody)
    is_left = ~pl.col("index").is_in(equal["index"].implode())
    left = rows.with_columns(reason=pl.when(is_left).then("reason").otherwise(pl.lit("duplicate")))
    drops = duplicates.near(left, NO_COPIES, nobody, scanned, 0.8)
    found = drops.join(rows.select("index", "id"), on="index").select("id", "evidence", pl.col("score").round(2))
    assert set(found.iter_rows()) == expected
