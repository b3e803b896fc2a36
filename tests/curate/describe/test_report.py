import json
import re

import polars as pl

from medmix.curate.describe import report


def test_the_page_lists_reasons_leaks_and_examples_but_no_credentialed_record(mix):
    page = (mix / report.NAME).read_text(encoding="utf-8")
    document = json.loads((mix / "manifest.json").read_text(encoding="utf-8"))
    reasons = {reason for entry in document["sources"].values() for reason in entry["dropped_by_reason"]}
    assert set(re.findall(r"<summary>([a-z-]+):", page)) == reasons
    assert "<code>roco/ROCO_00050</code>" in page
    assert "re-encoded, resized or recoloured; similarity " in page
    assert "mimic_cxr/" not in page
    assert page.count('class="n hit"') == sum(row["image"] > 0 for row in document["leaks"]) + sum(
        row[kind] > 0 for row in document["leaks"] for kind in ("near-duplicate", "text", "overlap")
    )


def test_ids_are_escaped_and_credentialed_evidence_is_not_shown(mix, tmp_path):
    document = json.loads((mix / "manifest.json").read_text(encoding="utf-8"))
    row = {"source": "slake", "split": "train", "outcome": "dropped", "stage": "duplicates", "reason": "duplicate"}
    rest = {"score": 1.0, "relation": "equal", "transformation": ""}
    pl.DataFrame(
        [
            {"id": "slake/<b>", **row, "evidence": "slake/1", **rest},
            {"id": "slake/2", **row, "evidence": "mimic_cxr/s50000001", **rest},
            {"id": "slake/3", **row, "evidence": "slake/1", **rest, "transformation": "like an image of mimic_cxr/s5"},
        ]
    ).write_parquet(tmp_path / "ledger.parquet")
    page = report.text(tmp_path, document)
    assert "<code>slake/&lt;b&gt;</code>" in page
    assert "slake/2" not in page
    assert "slake/3" not in page
    assert "s5" not in page
