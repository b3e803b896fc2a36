"""OmniMedVQA, from its archive and unpacked."""

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from medmix.curate import tables
from medmix.curate.errors import InputError, RowError
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef, Record, Rejected
from medmix.curate.tables import archives

from .reading import by_split, records, rows, there, write, write_json

ROW: dict[str, Any] = {
    "dataset": "ACRIMA",
    "question_id": "ACRIMA_0001",
    "question_type": "Disease Diagnosis",
    "question": "Is there glaucoma?",
    "gt_answer": "Yes",
    "image_path": "Images/ACRIMA/Im002_ACRIMA.png",
    "option_A": "No",
    "option_B": "Yes",
    "modality_type": "Fundus Photography",
}
LIST = "QA_information/Open-access/ACRIMA.json"


def read(folder: Path, **change: Any) -> Record | Rejected:
    """Read one row; None takes a field away."""
    row = {name: value for name, value in {**ROW, **change}.items() if value is not None}
    write_json(folder / LIST, [row])
    (found,) = rows("omnimedvqa", folder, "original")
    return found


def write_archive(folder: Path, members: dict[str, str]) -> None:
    with zipfile.ZipFile(folder / "OmniMedVQA.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_sample_data(root: Path) -> None:
    folder = root / "omnimedvqa"
    assert there("omnimedvqa", folder) == ["archive"]
    found = records("omnimedvqa", folder, "archive")
    assert by_split(found) == {"test": 82}
    assert len({row.group for row in found}) == 41
    assert Counter(row.modality for row in found)["ct(computed tomography)"] == 16
    assert found[0] == Record(
        source="omnimedvqa",
        key="Chest X-Ray PA/ChestX-RayPA_0000",
        split="test",
        task="mcqa",
        file="OmniMedVQA.zip#OmniMedVQA/QA_information/Open-access/Chest X-Ray PA.json",
        row=0,
        group="omnimedvqa/Chest X-Ray PA/Images/Chest X-Ray PA/chest_x-ray_pa_001.png",
        question="Is there an opacity?",
        answer="Yes",
        choices=("Yes", "No"),
        correct=0,
        answer_type="closed",
        images=(ImageRef("OmniMedVQA.zip", member="OmniMedVQA/Images/Chest X-Ray PA/chest_x-ray_pa_001.png"),),
        modality="x-ray",
        attribution="Chest X-Ray PA",
        member="Chest X-Ray PA",
    )


def test_restricted_sets_have_no_images(root: Path) -> None:
    missing = Counter()
    with ImageStore(root / "omnimedvqa") as store:
        for row in records("omnimedvqa", root / "omnimedvqa", "archive"):
            try:
                store.read(row.images[0])
            except RowError as error:
                missing[row.attribution, error.reason] += 1
    assert missing == {("Brain Tumor", "missing-image"): 6}


def test_unpacked_archive_has_the_same_rows(root: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(root / "omnimedvqa/OmniMedVQA.zip") as archive:
        archive.extractall(tmp_path)
    assert there("omnimedvqa", tmp_path) == ["original"]
    unpacked = records("omnimedvqa", tmp_path, "original")
    packed = records("omnimedvqa", root / "omnimedvqa", "archive")
    assert sorted(row.id for row in unpacked) == sorted(row.id for row in packed)
    with ImageStore(tmp_path) as store:
        assert (
            sum((tmp_path / row.images[0].path).is_file() and bool(store.read(row.images[0])) for row in unpacked) == 76
        )


def test_modality_under_the_wrong_name(tmp_path: Path) -> None:
    row = read(tmp_path, modality_type=None, modality="CT(Computed Tomography)")
    assert isinstance(row, Record)
    assert row.modality == "ct(computed tomography)"


def test_root_and_blanks(tmp_path: Path) -> None:
    row = read(tmp_path, gt_answer=" Maybe ", option_C="Maybe")
    assert isinstance(row, Record)
    assert (row.file, row.images) == (LIST, (ImageRef("Images/ACRIMA/Im002_ACRIMA.png"),))
    assert (row.choices, row.correct, row.answer) == (("No", "Yes", "Maybe"), 2, "Maybe")


@pytest.mark.parametrize("name", ["../../../x.png", "/etc/passwd"])
def test_climbing_name_is_refused_when_read(name: str, tmp_path: Path) -> None:
    row = read(tmp_path, image_path=name)
    assert isinstance(row, Record)
    with ImageStore(tmp_path) as store, pytest.raises(RowError, match="unsafe-path"):
        store.read(row.images[0])


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ({"gt_answer": "yes"}, "field 'gt_answer' is 'yes', which is 0 of ('No', 'Yes')"),
        ({"option_C": "Yes"}, "field 'gt_answer' is 'Yes', which is 2 of ('No', 'Yes', 'Yes')"),
        ({"option_A": None}, "1 options, expected option_A, option_B, ... without gaps"),
        ({"option_D": "x"}, "3 options, expected option_A, option_B, ... without gaps"),
        ({"option_A": 1}, "field 'option_A' is a number"),
        ({"question_id": None}, "no field 'question_id'"),
        ({"modality_type": None}, "no field 'modality'"),
    ],
)
def test_bad_row(change: dict[str, Any], evidence: str, tmp_path: Path) -> None:
    row = read(tmp_path, **change)
    assert isinstance(row, Rejected)
    assert (row.key, row.reason, row.evidence) == ("ACRIMA/0", "unparsable-row", evidence)


def test_broken_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path, {"OmniMedVQA/Images/a.png": "png"})
    assert there("omnimedvqa", tmp_path) == []
    write_archive(tmp_path, {f"OmniMedVQA/{LIST}": "{}"})
    with pytest.raises(InputError, match="expected a JSON list"):
        rows("omnimedvqa", tmp_path, "archive")
    write_archive(tmp_path, {f"OmniMedVQA/{LIST}": json.dumps([ROW] * 9)})
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(InputError, match=r"has a member .* of \d+ bytes; do not use it"):
        rows("omnimedvqa", tmp_path, "archive")
    path = tmp_path / "OmniMedVQA.zip"
    write(path, path.read_bytes()[:-30])
    with pytest.raises(InputError, match="is not a whole zip archive"):
        there("omnimedvqa", tmp_path)


def test_damaged_list_in_the_archive(tmp_path: Path) -> None:
    write_archive(tmp_path, {f"OmniMedVQA/{LIST}": json.dumps([ROW])})
    path = tmp_path / "OmniMedVQA.zip"
    content = bytearray(path.read_bytes())
    content[90:120] = bytes(30)
    write(path, bytes(content))
    with pytest.raises(
        InputError, match=r"OmniMedVQA\.zip#OmniMedVQA/QA_information/Open-access/ACRIMA\.json: cannot be read"
    ):
        rows("omnimedvqa", tmp_path, "archive")


def test_member_that_is_not_there(tmp_path: Path) -> None:
    write_archive(tmp_path, {"OmniMedVQA/a": "x"})
    with pytest.raises(InputError, match="has no member OmniMedVQA/b"):
        tables.read_text(tmp_path / "OmniMedVQA.zip", "OmniMedVQA/b")
