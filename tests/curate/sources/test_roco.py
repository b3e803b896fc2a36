"""ROCO, its text files and the Hub's parquet."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import facts, sampledata
from medmix.curate.errors import InputError
from medmix.curate.licences import rulings
from medmix.curate.record import ImageRef, Record, Rejected

from .reading import by_split, records, rows, there, write

PLACE = "data/train/radiology"
LINK = "{}\twget -r ftp://ftp.example.org/oa_package/0a/1b/{}.tar.gz -P /path/to/Dir\t{}\n"


def only(folder: Path, captions: str, licences: str = "", links: str = "") -> Record:
    """Write the three files, leaving out empty ones, and give the only record."""
    for name, content in (("captions", captions), ("licences", licences), ("dlinks", links)):
        if content:
            write(folder / PLACE / f"{name}.txt", content)
    (found,) = records("roco", folder, "original")
    return found


def test_real_data(real_data: Path) -> None:
    found = records("roco", real_data / "roco", "original")
    assert by_split(found) == {"train": 150, "validation": 410, "test": 350}
    assert Counter(row.modality for row in found) == {"radiology": 700, "non-radiology": 210}
    assert Counter(row.licence for row in found) == {"CC BY": 908, "CC0": 2}
    assert all(row.group.startswith("pmc/PMC") for row in found)
    assert found[0] == Record(
        source="roco",
        key="ROCO_81873",
        split="train",
        task="caption",
        file="data/train/non-radiology/captions.txt",
        row=0,
        group="pmc/PMC5505883",
        answer=(
            "Post-operative photograph demonstrating positioning of “lateral” sticker indicating centre of X-ray beam"
        ),
        images=(ImageRef("data/train/non-radiology/images/ROCO_81873.jpg"),),
        modality="non-radiology",
        licence="CC BY",
        attribution="PMC5505883 (11751_2017_287_Fig2_HTML.jpg)",
    )


def test_sample_data(tmp_path: Path) -> None:
    sampledata.write(tmp_path, 1)
    found = records("roco", tmp_path / "roco", "original")
    assert set(by_split(found)) == {"train", "validation", "test"}
    assert sum(row.licence == "NO-CC CODE" for row in found) == 7


def test_the_licences_say_which_article_and_file_names_may_hold_commas(tmp_path: Path) -> None:
    licences = "ROCO_ID,PMC_ID,CC\r\nROCO_1,PMC12_a,b_c.jpg,CC BY-NC\r\n"
    found = only(tmp_path, "ROCO_1\t A lung.\r\n", licences, LINK.format("ROCO_1", "PMC12", "a,b_c.jpg"))
    assert (found.group, found.licence, found.attribution) == ("pmc/PMC12", "CC BY-NC", "PMC12 (a,b_c.jpg)")
    assert found.answer == "A lung."


@pytest.mark.parametrize(
    ("licences", "links", "licence"),
    [
        (
            "ROCO_1,PMC1_a.jpg,CC BY\n",
            LINK.format("ROCO_1", "PMC2", "a.jpg"),
            "licences.txt names PMC1_a.jpg (CC BY), dlinks.txt names PMC2_a.jpg",
        ),
        (
            "ROCO_1,PMC1_a.jpg,CC BY\n",
            LINK.format("ROCO_1", "PMC1", "b.jpg"),
            "licences.txt names PMC1_a.jpg (CC BY), dlinks.txt names PMC1_b.jpg",
        ),
        (
            "ROCO_1,PMC1_a.jpg,CC BY\nROCO_1,PMC1_a.jpg,CC BY-NC\n",
            "",
            "licences.txt names PMC1_a.jpg (CC BY), licences.txt names PMC1_a.jpg (CC BY-NC)",
        ),
        (
            "ROCO_1,PMC1_a.jpg,CC BY\n",
            LINK.format("ROCO_1", "PMC1", "a.jpg") + LINK.format("ROCO_1", "PMC2", "a.jpg"),
            "licences.txt names PMC1_a.jpg (CC BY), dlinks.txt names PMC1_a.jpg, dlinks.txt names PMC2_a.jpg",
        ),
        ("ROCO_1,a.jpg,CC BY\n" * 2, LINK.format("ROCO_1", "PMC1", "a.jpg") * 2, "CC BY"),
    ],
)
def test_files_that_name_different_figures_leave_the_licence_unclear(
    licences: str, links: str, licence: str, tmp_path: Path
) -> None:
    found = only(tmp_path, "ROCO_1\t A lung.\n", licences, links)
    assert found.licence == licence
    ruling = rulings.rule(facts.load("roco").licence, found.licence, "", "")
    assert ruling.verdict == ("redistributable" if licence == "CC BY" else "unclear")


def test_licences_under_another_header_are_an_input_error(tmp_path: Path) -> None:
    write(tmp_path / PLACE / "captions.txt", "ROCO_1\t A lung.\n")
    write(tmp_path / PLACE / "licences.txt", "ROCO_ID,CC,PMC_ID\nROCO_1,CC BY,PMC1_a.jpg\n")
    with pytest.raises(InputError, match=r"licences\.txt, row 0: has the header 'ROCO_ID,CC,PMC_ID', expected"):
        rows("roco", tmp_path, "original")


def test_a_bad_byte_costs_its_caption(tmp_path: Path) -> None:
    write(tmp_path / PLACE / "captions.txt", b"ROCO_1\t A lung.\nROCO_2\t Caf\xe9.\nROCO_3\t A heart.\n")
    first, bad, last = rows("roco", tmp_path, "original")
    assert (first.key, last.key) == ("ROCO_1", "ROCO_3")
    assert isinstance(bad, Rejected)
    assert (bad.row, bad.evidence) == (1, "byte 0xe9 at offset 27 is not UTF-8")


@pytest.mark.parametrize(
    "licences", ["", "ROCO_ID,PMC_ID,CC\nROCO_2,PMC12_a.jpg,CC BY\n", "ROCO_1;PMC12_a.jpg;CC BY\n"]
)
def test_without_a_licence_line_the_link_says_which_article(tmp_path: Path, licences: str) -> None:
    found = only(tmp_path, "ROCO_1\t A lung.\n", licences, "broken\n" + LINK.format("ROCO_1", "PMC99", "z.jpg"))
    assert (found.group, found.licence, found.attribution) == ("pmc/PMC99", "", "PMC99 (z.jpg)")


def test_a_figure_of_unknown_article_is_a_group_of_its_own(tmp_path: Path) -> None:
    found = only(tmp_path, "ROCO_1\t A lung.\n", "ROCO_1,figure.jpg,CC0\n")
    assert (found.group, found.licence, found.attribution) == ("roco/ROCO_1", "CC0", "")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("ROCO_1\t  two blanks", " two blanks"),
        ("ROCO_1\tno blank", "no blank"),
        ("ROCO_1\t a\tb", "a\tb"),
        ("ROCO_1\t ", ""),
    ],
)
def test_only_one_blank_belongs_to_the_format(tmp_path: Path, line: str, answer: str) -> None:
    assert only(tmp_path, f"{line}\n").answer == answer


@pytest.mark.parametrize("line", ["ROCO_2 A lung.", "\tA lung."])
def test_a_line_without_id_and_caption_is_rejected(tmp_path: Path, line: str) -> None:
    write(tmp_path / PLACE / "captions.txt", f"ROCO_1\t A heart.\n\n{line}\n")
    good, bad = rows("roco", tmp_path, "original")
    assert isinstance(good, Record)
    assert bad == Rejected(
        source="roco",
        key="train/radiology/captions/2",
        split="train",
        file=f"{PLACE}/captions.txt",
        row=2,
        reason="unparsable-row",
        evidence="no id and caption with a tab between",
    )


def test_a_folder_in_place_of_the_captions_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / PLACE / "captions.txt").mkdir(parents=True)
    with pytest.raises(InputError, match="is a folder"):
        rows("roco", tmp_path, "original")


def test_hub(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    image = [{"bytes": b"", "path": None}] * 2
    table = pa.table({"image": image, "image_id": ["ROCOv2_2023_train_000001", "b"], "caption": [" CT.", None]})
    pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet")
    assert there("roco", tmp_path) == ["hub"]
    good, bad = rows("roco", tmp_path, "hub")
    assert good == Record(
        source="roco",
        key="ROCOv2_2023_train_000001",
        split="train",
        task="caption",
        file="data/train-00000-of-00001.parquet",
        row=0,
        group="roco/ROCOv2_2023_train_000001",
        answer="CT.",
        images=(ImageRef("data/train-00000-of-00001.parquet", row=0),),
        modality="radiology",
    )
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.evidence) == ("unparsable-row", "field 'caption' is null")
