"""VQA-RAD from OSF, re-packed, and from the Hub."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from medmix.curate.errors import InputError
from medmix.curate.record import ImageRef, Record, Rejected

from .reading import by_split, records, rows, there, write, write_hub, write_json

PUBLIC = "VQA_RAD Dataset Public.json"
ROW: dict[str, Any] = {
    "qid": 1,
    "phrase_type": "freeform",
    "image_name": "synpic1.jpg",
    "question": "Are regions of the brain infarcted?",
    "question_rephrase": "NULL",
    "answer": "Yes",
    "answer_type": "CLOSED",
}


def test_real_repacking(real_data: Path) -> None:
    folder = real_data / "vqa_rad"
    assert there("vqa_rad", folder) == ["repacked"]
    found = records("vqa_rad", folder, "repacked")
    assert by_split(found) == {"train": 966, "test": 151}
    assert {row.answer_type for row in found} == {"open", "closed"}
    assert len({row.group for row in found}) == 100
    assert all((folder / row.images[0].path).is_file() for row in found)
    assert found[0] == Record(
        source="vqa_rad",
        key="9",
        split="train",
        task="vqa",
        file="data_RAD/trainset.json",
        row=0,
        group="medpix/synpic39460",
        question="Where is the abnormality?",
        answer="left temporal lobe",
        answer_type="open",
        images=(ImageRef("data_RAD/images/synpic39460.jpg"),),
    )


def test_sample_data(root: Path) -> None:
    folder = root / "vqa_rad"
    found = records("vqa_rad", folder, "original")
    assert set(by_split(found)) == {"train", "test"}
    assert {row.answer_type for row in found} == {"open", "closed"}
    assert sum((folder / row.images[0].path).is_file() for row in found) == len(found) - 1  # one name climbs out


def original(folder: Path, *changes: dict[str, Any]) -> list[Record | Rejected]:
    write_json(folder / PUBLIC, [ROW | change for change in changes])
    return rows("vqa_rad", folder, "original")


def test_original(tmp_path: Path) -> None:
    changes = (
        {"answer_type": "CLOSED "},
        {"qid": "2", "answer": 3, "answer_type": "OPEN"},
        {"qid": 3, "phrase_type": "test_para", "answer": "left\tlung"},
    )
    closed, number, tabbed = original(tmp_path, *changes)
    assert closed == Record(
        source="vqa_rad",
        key="1",
        split="train",
        task="vqa",
        file=PUBLIC,
        row=0,
        group="medpix/synpic1",
        question="Are regions of the brain infarcted?",
        answer="Yes",
        answer_type="closed",
        images=(ImageRef("VQA_RAD Image Folder/synpic1.jpg"),),
    )
    assert isinstance(number, Record)
    assert (number.key, number.answer, number.answer_type) == ("2", "3", "open")
    assert isinstance(tabbed, Record)
    assert (tabbed.split, tabbed.answer) == ("test", "left\tlung")


@pytest.mark.parametrize("rephrase", ["NULL", "Is there an infarct?"])
def test_rephrased_question_is_no_row_of_the_original(tmp_path: Path, rephrase: str) -> None:
    (row,) = original(tmp_path, {"question_rephrase": rephrase})
    assert isinstance(row, Record)
    assert row.question == ROW["question"]


def test_unknown_answer_type_is_left_open(tmp_path: Path) -> None:
    (row,) = original(tmp_path, {"answer_type": "?"})
    assert isinstance(row, Record)
    assert row.answer_type == ""


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ({"answer": None}, "field 'answer' is null"),
        ({"answer": True}, "field 'answer' is bool"),
        ({"qid": 1.5}, "field 'qid' is a number"),
        ({"image_name": ["synpic1.jpg"]}, "field 'image_name' is a list"),
        ({"phrase_type": 1}, "field 'phrase_type' is a number"),
    ],
)
def test_bad_row(tmp_path: Path, change: dict[str, Any], evidence: str) -> None:
    bad, good = original(tmp_path, change, {"qid": 2})
    assert bad == Rejected(
        source="vqa_rad",
        key="VQA_RAD Dataset Public/0",
        split="",
        file=PUBLIC,
        row=0,
        reason="unparsable-row",
        evidence=evidence,
    )
    assert isinstance(good, Record)


def test_row_without_a_field(tmp_path: Path) -> None:
    write_json(tmp_path / PUBLIC, [{key: value for key, value in ROW.items() if key != "question"}, "text"])
    found = rows("vqa_rad", tmp_path, "original")
    evidence = [row.evidence for row in found if isinstance(row, Rejected)]
    assert evidence == ["no field 'question'", "a text, expected an object"]


def test_repacking_in_the_root(tmp_path: Path) -> None:
    write_json(tmp_path / "testset.json", [ROW])
    (row,) = records("vqa_rad", tmp_path, "repacked")
    assert (row.split, row.images) == ("test", (ImageRef("images/synpic1.jpg"),))


def test_hub(tmp_path: Path) -> None:
    file = "data/train-00000-of-00001-eb8844602202be60.parquet"
    write_hub(tmp_path / file, [(b"jpeg", "is it?", "Yes"), (b"jpeg", "where?", "left"), (None, "what?", "CT")])
    write_hub(tmp_path / "data/test-00000-of-00001-e5bc3d208bb4deeb.parquet", [(b"other", "is it?", "no")])
    first, second, bad, test = rows("vqa_rad", tmp_path, "hub")
    assert first == Record(
        source="vqa_rad",
        key="train-00000-of-00001-eb8844602202be60/0",
        split="train",
        task="vqa",
        file=file,
        row=0,
        group=f"medpix/{hashlib.sha256(b'jpeg').hexdigest()[:16]}",
        question="is it?",
        answer="Yes",
        answer_type="closed",
        images=(ImageRef(file, row=0),),
    )
    assert isinstance(second, Record)
    assert (second.group, second.answer_type) == (first.group, "")
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.evidence) == ("unparsable-row", "field 'bytes' is null")
    assert test.split == "test"


def test_original_is_preferred(tmp_path: Path) -> None:
    write_json(tmp_path / PUBLIC, [ROW])
    write_json(tmp_path / "data_RAD/trainset.json", [ROW])
    write_hub(tmp_path / "data/train-00000-of-00001.parquet", [(b"jpeg", "is it?", "yes")])
    assert there("vqa_rad", tmp_path) == ["original", "repacked", "hub"]


def test_nothing_there(tmp_path: Path) -> None:
    assert there("vqa_rad", tmp_path) == []


@pytest.mark.parametrize(("layout", "file"), [("original", PUBLIC), ("repacked", "trainset.json")])
def test_unusable_file(tmp_path: Path, layout: str, file: str) -> None:
    write(tmp_path / file, '[{"qid": 1, "ans')
    with pytest.raises(InputError, match="cut short"):
        rows("vqa_rad", tmp_path, layout)
    (tmp_path / file).unlink()
    (tmp_path / file).mkdir()
    with pytest.raises(InputError, match="is a folder"):
        rows("vqa_rad", tmp_path, layout)
