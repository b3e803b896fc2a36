"""SLAKE, English and Chinese."""

from pathlib import Path
from typing import Any

import pytest

from medmix.curate.errors import InputError
from medmix.curate.record import ImageRef, Record, Rejected

from .reading import by_split, records, rows, there, write, write_json

ROW: dict[str, Any] = {
    "img_id": 1,
    "img_name": "xmlab1/source.jpg",
    "question": "What modality is used to take this image?",
    "answer": "MRI",
    "q_lang": "en",
    "location": "Abdomen",
    "modality": "MRI",
    "answer_type": "OPEN",
    "qid": 0,
}


def test_real_data(real_data: Path) -> None:
    found = records("slake", real_data / "slake", "original")
    assert by_split(found) == {"train": 1404, "validation": 290, "test": 349}
    assert len({row.group for row in found}) == 90
    assert {row.language for row in found} == {"en", "zh"}
    assert {row.modality for row in found} == {"ct", "mri", "x-ray"}
    assert {row.answer_type for row in found} == {"open", "closed"}
    assert found[0] == Record(
        source="slake",
        key="112",
        split="train",
        task="vqa",
        file="Slake1.0/train.json",
        row=0,
        group="slake/115",
        question="What modality is used to take this image?",
        answer="CT",
        answer_type="open",
        images=(ImageRef("Slake1.0/imgs/xmlab115/source.jpg"),),
        modality="ct",
        language="en",
        member="Lung CT",
    )


def test_sample_data(root: Path) -> None:
    folder = root / "slake"
    found = records("slake", folder, "original")
    assert set(by_split(found)) == {"train", "validation", "test"}
    assert all((folder / row.images[0].path).is_file() for row in found)
    assert sum(row.answer == "" for row in found) == 1


@pytest.mark.parametrize("base", ["", "Slake1.0/"])
@pytest.mark.parametrize(("layout", "name"), [("original", "validate"), ("hub", "validation")])
def test_the_name_of_the_validation_file_tells_the_layouts_apart(
    tmp_path: Path, layout: str, name: str, base: str
) -> None:
    write_json(tmp_path / base / f"{name}.json", [ROW])
    write_json(tmp_path / base / "train.json", [ROW | {"qid": 1}])
    assert there("slake", tmp_path) == [layout]
    train, validation = records("slake", tmp_path, layout)
    assert (train.split, train.file) == ("train", f"{base}train.json")
    assert (validation.split, validation.images) == ("validation", (ImageRef(f"{base}imgs/xmlab1/source.jpg"),))


def test_both_names_of_the_validation_file_are_not_read_twice(tmp_path: Path) -> None:
    write_json(tmp_path / "validate.json", [ROW])
    write_json(tmp_path / "validation.json", [ROW])
    assert there("slake", tmp_path) == ["hub"]
    assert len(records("slake", tmp_path, "hub")) == 1


def test_images_are_taken_from_the_archive_until_it_is_unpacked(tmp_path: Path) -> None:
    write_json(tmp_path / "validation.json", [ROW])
    write(tmp_path / "imgs.zip", b"")
    (row,) = records("slake", tmp_path, "hub")
    assert row.images == (ImageRef("imgs.zip", member="imgs/xmlab1/source.jpg"),)
    (tmp_path / "imgs").mkdir()
    (row,) = records("slake", tmp_path, "hub")
    assert row.images == (ImageRef("imgs/xmlab1/source.jpg"),)


def test_order_of_keys_empty_answer_and_chinese(tmp_path: Path) -> None:
    chinese = {"qid": 1, "q_lang": "zh", "question": "图中有什么?", "answer": "", "answer_type": "CLOSED"}
    write_json(tmp_path / "test.json", [dict(reversed(ROW.items())), ROW | chinese])
    first, second = records("slake", tmp_path, "original")
    assert first.answer == "MRI"
    assert (second.language, second.question, second.answer, second.answer_type) == ("zh", "图中有什么?", "", "closed")


@pytest.mark.parametrize(
    "field", ["qid", "img_id", "img_name", "question", "answer", "q_lang", "modality", "answer_type"]
)
def test_bad_row(tmp_path: Path, field: str) -> None:
    write_json(
        tmp_path / "train.json", [{key: value for key, value in ROW.items() if key != field}, ROW | {field: None}]
    )
    lacking, null = rows("slake", tmp_path, "original")
    assert isinstance(lacking, Rejected)
    assert (lacking.key, lacking.reason, lacking.evidence) == ("train/0", "unparsable-row", f"no field {field!r}")
    assert isinstance(null, Rejected)
    assert null.evidence == f"field {field!r} is null"


def test_climbing_name_is_passed_on(tmp_path: Path) -> None:
    write_json(tmp_path / "train.json", [ROW | {"img_name": "../../secret.jpg"}])
    (row,) = records("slake", tmp_path, "original")
    assert row.images == (ImageRef("imgs/../../secret.jpg"),)


def test_unusable_file(tmp_path: Path) -> None:
    write(tmp_path / "train.json", '{"qid": 1}')
    with pytest.raises(InputError, match="expected a JSON list"):
        rows("slake", tmp_path, "original")
    (tmp_path / "train.json").unlink()
    (tmp_path / "train.json").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        rows("slake", tmp_path, "original")
