"""Scans of rows and files whose names are odd."""

import io
import json
from pathlib import Path

import polars as pl
from PIL import Image

from medmix.curate.measure.scan import ScanTask, scan
from medmix.curate.measure.text import find_model
from medmix.curate.sources import Shard

NFC, NFD = "caf\u00e9.jpg", "cafe\u0301.jpg"
ROW = {
    "img_id": 1,
    "question": "Which organ?",
    "answer": "Lung",
    "answer_type": "OPEN",
    "modality": "CT",
    "q_lang": "en",
}


def test_names_in_another_spelling_and_lone_surrogates(tmp_path: Path) -> None:
    """A kept row's evidence tells the name of its image; a lone surrogate anywhere is no error."""
    picture = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(picture, "jpeg")
    (tmp_path / "imgs").mkdir()
    for name in (NFD, "plain.jpg"):
        (tmp_path / "imgs" / name).write_bytes(picture.getvalue())
    names = (NFC, "plain.jpg", "\ud800.jpg")
    lone = dict.fromkeys(("question", "modality", "q_lang", "location"), "�")
    rows = [{**ROW, "qid": place, "img_name": name} for place, name in enumerate(names)]
    rows.append({**ROW, **lone, "qid": "\ud800", "img_id": "\ud800", "img_name": "plain.jpg"})
    (tmp_path / "train.json").write_text(json.dumps(rows))
    task = ScanTask(
        "slake",
        tmp_path,
        "original",
        Shard(("train.json",), "train"),
        tmp_path / "scans",
        10**6,
        "en",
        find_model(None),
    )
    found = pl.read_parquet(scan(task)).select("key", "reason", "evidence").rows()
    assert found == [
        ("0", "", "found as 'imgs/cafe\\u0301.jpg'"),
        ("1", "", ""),
        ("2", "missing-image", "imgs/?.jpg"),
        ("\\ud800", "", ""),
    ]
