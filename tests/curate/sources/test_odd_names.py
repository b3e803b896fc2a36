"""Litter of operating systems and lone surrogates in any reader's files."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from medmix.curate import sampledata
from medmix.curate.record import Record, Rejected
from medmix.curate.sources import layouts

from .reading import rows, write

LONE = "\ud800"


@pytest.mark.parametrize("source", sampledata.TREES)
def test_litter_changes_no_row(source: str, root: Path, tmp_path: Path) -> None:
    """Beside each file of the sample data lies what macOS and Windows leave there."""
    for path in [path for path in (root / source).rglob("*") if path.is_file()]:
        copy = tmp_path / path.relative_to(root / source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path)
        for name in (f"._{path.name}", ".DS_Store", "Thumbs.db", "desktop.ini"):
            (copy.parent / name).write_bytes(b"\0\5\x16\7")
        write(tmp_path / "__MACOSX" / copy.relative_to(tmp_path).parent / f"._{path.name}", b"\0\5\x16\7")
    for layout in layouts(source):
        assert layout.shards(tmp_path) == layout.shards(root / source)
        if layout.shards(tmp_path):
            assert rows(source, tmp_path, layout.name) == rows(source, root / source, layout.name)


@pytest.mark.parametrize(
    ("source", "file"),
    [("iu_xray", "ecgen-radiology/1.xml"), ("omnimedvqa", "QA_information/Open-access/a.json")],
)
def test_litter_beside_lists_is_no_list(source: str, file: str, tmp_path: Path) -> None:
    for path in (tmp_path / file, (tmp_path / file).with_name("._" + Path(file).name)):
        write(path, "")
    found = [shard.files for layout in layouts(source) for shard in layout.shards(tmp_path)]
    assert found == [(file,)]


SLAKE: dict[str, Any] = {
    "qid": 1,
    "img_id": 1,
    "img_name": "xmlab1/source.jpg",
    "question": "Which organ?",
    "answer": "Lung",
    "answer_type": "OPEN",
    "modality": "CT",
    "q_lang": "en",
    "location": "Lung",
}


@pytest.mark.parametrize("field", ["qid", "img_id", "img_name", "question", "answer", "modality", "q_lang", "location"])
def test_lone_surrogates_can_be_stored(field: str, tmp_path: Path) -> None:
    write(tmp_path / "Slake1.0/train.json", json.dumps([{**SLAKE, field: f"a{LONE}"}]))
    (row,) = rows("slake", tmp_path, "original")
    assert isinstance(row, Record)
    stored = [row.key, row.group, row.modality, row.language, row.member, *map(str, row.images)]
    assert pa.array(stored, pa.string()).to_pylist() == stored
    assert ("\\ud800" in row.key) == (field == "qid")


def test_lone_surrogate_in_the_evidence(tmp_path: Path) -> None:
    write(
        tmp_path / "data_clean/questions/US/4_options/phrases_no_exclude_train.jsonl",
        json.dumps({"options": {LONE: "a", "B": "b"}}),
    )
    (bad,) = rows("medqa", tmp_path, "original")
    assert isinstance(bad, Rejected)
    assert bad.evidence == "field 'options' has the keys \\ud800, B, expected A, B, ..."
