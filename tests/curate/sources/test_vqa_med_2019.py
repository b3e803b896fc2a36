"""VQA-Med 2019: lines with bars, alternatives, an archive of images."""

import zipfile
from pathlib import Path

import pytest

from medmix.curate.errors import InputError
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef, Record, Rejected

from .reading import by_split, records, rows, there, write

TRAIN = "ImageClef-2019-VQA-Med-Training/All_QA_Pairs_train.txt"
VALIDATION = "ImageClef-2019-VQA-Med-Validation/All_QA_Pairs_val.txt"
TEST = "VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt"
ARCHIVE = "VQAMed2019Test/VQAMed2019_Test_Images.zip"


def test_real_data(real_data: Path) -> None:
    found = records("vqa_med_2019", real_data / "vqa_med_2019", "original")
    assert by_split(found) == {"train": 798, "validation": 320, "test": 250}
    assert not any("|" in row.question or "#" in row.answer for row in found)
    several = {row.key: (row.answer, row.alternatives) for row in found if row.alternatives}
    assert len(several) == 5
    assert several["synpic43535/test/139"] == (
        "heart and great vessels",
        ("lung, mediastinum, pleura", "spine and contents"),
    )
    assert {row.answer_type for row in found} == {"open", "closed"}
    assert found[0] == Record(
        source="vqa_med_2019",
        key="synpic21981/train/0",
        split="train",
        task="vqa",
        file=TRAIN,
        row=0,
        group="medpix/synpic21981",
        question="is this a ct scan?",
        answer="no",
        answer_type="closed",
        images=(ImageRef("ImageClef-2019-VQA-Med-Training/Train_images/synpic21981.jpg"),),
    )
    reference = next(row for row in found if row.key == "synpic31308/test/0")
    assert (reference.question, reference.answer) == ("what modality is shown?", "an - angiogram")


def test_sample_data(root: Path) -> None:
    folder = root / "vqa_med_2019"
    found = records("vqa_med_2019", folder, "original")
    assert set(by_split(found)) == {"train", "validation", "test"}
    with ImageStore(folder) as store:
        assert all(store.read(row.images[0]) for row in found)


def test_windows_line_ends_and_no_last_one(tmp_path: Path) -> None:
    write(tmp_path / VALIDATION, "synpic1|what plane?|axial\r\n\r\nsynpic2|is it ct?|yes")
    first, second = records("vqa_med_2019", tmp_path, "original")
    assert (first.answer, first.answer_type) == ("axial", "open")
    assert (second.row, second.answer, second.answer_type) == (2, "yes", "closed")


def test_bar_in_a_question(tmp_path: Path) -> None:
    write(tmp_path / TRAIN, "synpic1|t1|t2 or flair?|t2\n")
    write(tmp_path / TEST, "synpic2|modality|t1|t2 or flair?|t2\n")
    for row in records("vqa_med_2019", tmp_path, "original"):
        assert (row.question, row.answer) == ("t1|t2 or flair?", "t2")


def test_several_answers_are_one_and_its_alternatives(tmp_path: Path) -> None:
    lines = "gastrointestinal #lung, mediastinum, pleura", "yes#", "mr - t1 (axial)"
    write(tmp_path / TEST, "".join(f"synpic1|organ|what organ?|{line}\n" for line in lines))
    assert [(row.answer, row.alternatives) for row in records("vqa_med_2019", tmp_path, "original")] == [
        ("gastrointestinal", ("lung, mediastinum, pleura",)),
        ("yes", ()),
        ("mr - t1 (axial)", ()),
    ]


@pytest.mark.parametrize(
    ("file", "line", "evidence"),
    [
        (TRAIN, "synpic1|what plane?", "2 fields, expected 3"),
        (TRAIN, "synpic1", "1 fields, expected 3"),
        (TEST, "synpic1|what plane?|axial", "3 fields, expected 4"),
    ],
)
def test_bad_line(tmp_path: Path, file: str, line: str, evidence: str) -> None:
    write(tmp_path / file, f"{line}\nsynpic1|plane|what plane?|axial\n")
    bad, good = rows("vqa_med_2019", tmp_path, "original")
    assert isinstance(bad, Rejected)
    assert (bad.key, bad.reason, bad.evidence) == (f"{Path(file).stem}/0", "unparsable-row", evidence)
    assert isinstance(good, Record)


def test_questions_without_answers(tmp_path: Path) -> None:
    file = "VQAMed2019Test/VQAMed2019_Test_Questions.txt"
    write(tmp_path / file, "synpic1|what plane?\n")
    (row,) = rows("vqa_med_2019", tmp_path, "original")
    assert isinstance(row, Rejected)
    assert (row.file, row.split, row.reason) == (file, "test", "no-answer")


@pytest.mark.parametrize("member", ["synpic1.jpg", "VQAMed2019_Test_Images/synpic1.jpg"])
def test_archive_of_test_images(tmp_path: Path, member: str) -> None:
    write(tmp_path / TEST, "synpic1|plane|what plane?|axial\nsynpic2|plane|what plane?|axial\n")
    with zipfile.ZipFile(tmp_path / ARCHIVE, "w") as archive:
        archive.writestr(member, b"jpeg")
    packed, absent = records("vqa_med_2019", tmp_path, "original")
    assert packed.images == (ImageRef(ARCHIVE, member=member),)
    assert absent.images == (ImageRef(ARCHIVE, member="synpic2.jpg"),)


def test_unpacked_test_images(tmp_path: Path) -> None:
    write(tmp_path / TEST, "synpic1|plane|what plane?|axial\n")
    (row,) = records("vqa_med_2019", tmp_path, "original")
    assert row.images == (ImageRef("VQAMed2019Test/VQAMed2019_Test_Images/synpic1.jpg"),)


def test_unusable_files(tmp_path: Path) -> None:
    assert there("vqa_med_2019", tmp_path) == []
    write(tmp_path / TEST, "synpic1|plane|what plane?|axial\n")
    write(tmp_path / ARCHIVE, "<html>not found</html>")
    with pytest.raises(InputError, match="not a whole zip"):
        rows("vqa_med_2019", tmp_path, "original")
    (tmp_path / TRAIN).mkdir(parents=True)
    with pytest.raises(InputError, match="is a folder"):
        rows("vqa_med_2019", tmp_path, "original")
