"""IU X-Ray: Kaggle's tables, NLM's XML and R2Gen's JSON."""

from pathlib import Path
from typing import Any

import pytest

from medmix.curate import sampledata
from medmix.curate.errors import InputError
from medmix.curate.record import ImageRef, Record, Rejected
from medmix.curate.sources import Shard, layouts

from .reading import by_split, records, rows, there, write, write_json

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR7"/><MedlineCitation><Article><Abstract>
<AbstractText Label="INDICATION">Cough</AbstractText>
<AbstractText Label="FINDINGS">Clear &lt;lungs&gt;.</AbstractText>
<AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation>
<parentImage id="CXR7_IM-0001-1001"/><parentImage id="CXR7_IM-0001-2001"/></eCitation>
"""


def kaggle(folder: Path, reports: str, projections: str) -> list[Record | Rejected]:
    write(folder / "indiana_reports.csv", f"uid,findings,impression\n{reports}")
    write(folder / "indiana_projections.csv", f"uid,filename,projection\n{projections}")
    return rows("iu_xray", folder, "kaggle")


def only(found: list[Record | Rejected]) -> Rejected:
    (rejected,) = (row for row in found if isinstance(row, Rejected))
    return rejected


def test_real_tables(real_data: Path) -> None:
    folder = real_data / "iu_xray"
    assert there("iu_xray", folder) == ["kaggle", "r2gen"]
    found = records("iu_xray", folder, "kaggle")
    assert by_split(found) == {"": 600}
    assert sum(len(row.images) for row in found) == 1163
    assert sum(row.answer == "" for row in found) == 3
    assert sum(not row.answer.startswith("Findings: ") for row in found) == 88
    assert found[0] == Record(
        source="iu_xray",
        key="2",
        split="",
        task="report",
        file="indiana_reports.csv",
        row=0,
        group="iu_xray/2",
        answer=(
            "Findings: Borderline cardiomegaly. Midline sternotomy XXXX. Enlarged pulmonary arteries. Clear lungs. "
            "Inferior XXXX XXXX XXXX.\nImpression: No acute pulmonary findings."
        ),
        images=(
            ImageRef("images/images_normalized/2_IM-0652-1001.dcm.png"),
            ImageRef("images/images_normalized/2_IM-0652-2001.dcm.png"),
        ),
        modality="x-ray",
    )


def test_real_annotation(real_data: Path) -> None:
    found = records("iu_xray", real_data / "iu_xray", "r2gen")
    assert by_split(found) == {"train": 312, "validation": 47, "test": 91}
    assert all(row.group == f"iu_xray/{row.key}" and row.key.isdecimal() for row in found)
    assert found[0].images == (
        ImageRef("R2Gen/images/CXR1451_IM-0291/0.png"),
        ImageRef("R2Gen/images/CXR1451_IM-0291/1.png"),
    )


def test_sample_data(tmp_path: Path) -> None:
    sampledata.write(tmp_path, 1)
    found = records("iu_xray", tmp_path / "iu_xray", "kaggle")
    assert by_split(found) == {"": 56}
    assert all((tmp_path / "iu_xray" / image.path).is_file() for row in found for image in row.images)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Clear.,Normal.", "Findings: Clear.\nImpression: Normal."),
        ("Clear.,", "Findings: Clear."),
        (" ,Normal.", "Impression: Normal."),
        (",", ""),
    ],
)
def test_an_empty_part_is_left_out(tmp_path: Path, text: str, answer: str) -> None:
    (found,) = kaggle(tmp_path, f"1,{text}\n", "1,a.png,Frontal\n")
    assert isinstance(found, Record)
    assert found.answer == answer


def test_films_keep_the_order_of_their_table(tmp_path: Path) -> None:
    found = kaggle(tmp_path, "1,a,b\n2,c,d\n", "2,z.png,Frontal\n1,y.png,Lateral\n2,x.png,Lateral\n")
    films = [[image.path.rpartition("/")[2] for image in row.images] for row in found if isinstance(row, Record)]
    assert films == [["y.png"], ["z.png", "x.png"]]


def test_a_report_without_films_is_rejected(tmp_path: Path) -> None:
    bad = only(kaggle(tmp_path, "1,a,b\n2,c,d\n", "1,x.png,Frontal\n"))
    assert (bad.key, bad.reason, bad.evidence) == ("indiana_reports/1", "missing-image", "report 2 has no film")


def test_a_film_without_report_does_not_vanish(tmp_path: Path) -> None:
    bad = only(kaggle(tmp_path, "1,a,b\n", "1,x.png,Frontal\n3,y.png,Frontal\n"))
    assert bad == Rejected(
        source="iu_xray",
        key="projection/1",
        split="",
        file="indiana_projections.csv",
        row=1,
        reason="unparsable-row",
        evidence="no report has the uid '3'",
    )


def test_broken_rows_of_either_table_are_rejected(tmp_path: Path) -> None:
    found = kaggle(tmp_path, "1,a,b\n2,c\n,d,e\n", "1,x.png,Frontal\n1\n")
    bad = [row for row in found if isinstance(row, Rejected)]
    assert [(row.key, row.reason) for row in bad] == [
        ("indiana_reports/1", "unparsable-row"),
        ("indiana_reports/2", "unparsable-row"),
        ("projection/1", "unparsable-row"),
    ]
    assert bad[1].evidence == "field 'uid' is empty"


def test_a_table_without_the_columns_is_an_input_error(tmp_path: Path) -> None:
    write(tmp_path / "indiana_reports.csv", "uid,findings,impression\n")
    write(tmp_path / "indiana_projections.csv", "uid,projection\n")
    with pytest.raises(InputError, match="filename"):
        rows("iu_xray", tmp_path, "kaggle")


@pytest.mark.parametrize("films", ["", "NLMCXR_png/"])
def test_xml(tmp_path: Path, films: str) -> None:
    (tmp_path / films).mkdir(exist_ok=True)
    write(tmp_path / "ecgen-radiology" / "7.xml", XML.format(impression=""))
    assert there("iu_xray", tmp_path) == ["original"]
    (found,) = records("iu_xray", tmp_path, "original")
    assert found == Record(
        source="iu_xray",
        key="7",
        split="",
        task="report",
        file="ecgen-radiology/7.xml",
        row=0,
        group="iu_xray/7",
        answer="Findings: Clear <lungs>.",
        images=(ImageRef(f"{films}CXR7_IM-0001-1001.png"), ImageRef(f"{films}CXR7_IM-0001-2001.png")),
        modality="x-ray",
    )


def test_xml_files_come_by_number(tmp_path: Path) -> None:
    for uid in (10, 9, 100):
        write(tmp_path / "ecgen-radiology" / f"{uid}.xml", XML.format(impression=""))
    assert [row.key for row in rows("iu_xray", tmp_path, "original")] == ["9", "10", "100"]


@pytest.mark.parametrize(
    ("text", "reason", "evidence"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "unparsable-row", "document type"),
        ("<eCitation>", "unparsable-row", "not XML"),
        ("<eCitation/>", "missing-image", "no film"),
        ("<eCitation><parentImage/></eCitation>", "unparsable-row", "parentImage"),
    ],
)
def test_a_bad_xml_file_is_one_rejected_row(tmp_path: Path, text: str, reason: str, evidence: str) -> None:
    write(tmp_path / "ecgen-radiology" / "7.xml", text)
    write(tmp_path / "ecgen-radiology" / "8.xml", XML.format(impression="Normal."))
    bad, good = rows("iu_xray", tmp_path, "original")
    assert isinstance(good, Record)
    assert isinstance(bad, Rejected)
    assert (bad.key, bad.file, bad.reason) == ("7/0", "ecgen-radiology/7.xml", reason)
    assert evidence in bad.evidence


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "not XML: no element found: line 1, column 0"), (b"\xff", "byte 0xff at offset 0 is not UTF-8")],
)
def test_a_file_that_is_no_text_is_one_rejected_row_among_the_others(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    write(tmp_path / "ecgen-radiology" / "7.xml", content)
    write(tmp_path / "ecgen-radiology" / "8.xml", XML.format(impression="Normal."))
    bad, good = rows("iu_xray", tmp_path, "original")
    assert (bad.key, bad.file, bad.evidence) == ("7/0", "ecgen-radiology/7.xml", problem)
    assert isinstance(good, Record)


def test_an_xml_file_that_went_while_it_was_read_is_an_input_error(tmp_path: Path) -> None:
    layout = next(layout for layout in layouts("iu_xray") if layout.name == "original")
    with pytest.raises(InputError, match=r"7\.xml: does not exist"):
        list(layout.read(tmp_path, Shard(("ecgen-radiology/7.xml",))))


ITEM: dict[str, Any] = {"id": "CXR5_IM-0001", "report": "Clear.", "image_path": ["CXR5_IM-0001/0.png"], "split": "val"}


@pytest.mark.parametrize("place", ["", "R2Gen/", "iu_xray/"])
def test_r2gen_images_lie_beside_the_annotation(tmp_path: Path, place: str) -> None:
    write_json(tmp_path / place / "annotation.json", {"val": [ITEM]})
    (found,) = records("iu_xray", tmp_path, "r2gen")
    assert (found.key, found.split, found.answer) == ("5", "validation", "Findings: Clear.")
    assert found.images == (ImageRef(f"{place}images/CXR5_IM-0001/0.png"),)


@pytest.mark.parametrize(
    ("annotation", "evidence"),
    [
        ({"": [ITEM]}, "split ''"),
        ({"val": 3}, "a number, expected an object"),
        ({"val": [{**ITEM, "id": "5"}]}, "field 'id' is '5'"),
        ({"val": [{**ITEM, "report": None}]}, "field 'report' is null"),
        ({"val": [{**ITEM, "image_path": [1]}]}, "field 'image_path'"),
        ({"val": [{**ITEM, "image_path": []}]}, "no film"),
    ],
)
def test_a_bad_item_of_r2gen_is_rejected(tmp_path: Path, annotation: dict[str, Any], evidence: str) -> None:
    write_json(tmp_path / "annotation.json", annotation)
    bad = only(rows("iu_xray", tmp_path, "r2gen"))
    assert bad.key == "annotation/0"
    assert evidence in bad.evidence
