"""PMC-OA, whole, by split and beta."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from medmix.curate import sources
from medmix.curate.errors import InputError
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef, Record, Rejected
from medmix.curate.sources import pmc_oa

from .reading import by_split, records, rows, there, write

ROW = {"image": "PMC1_Fig2_3.jpg", "caption": "Axial CT."}
FOLDER = "caption_T060_filtered_top4_sep_v0_subfigures"


def write_lines(path: Path, *items: Any) -> None:
    write(path, "".join(json.dumps(item) + "\n" for item in items))


def write_zip(path: Path, *members: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, b"" if member.endswith("/") else b"jpeg")


def test_sample_data(root: Path) -> None:
    assert there("pmc_oa", root / "pmc_oa") == ["original"]
    found = records("pmc_oa", root / "pmc_oa", "original")
    assert by_split(found) == {"": 76}
    assert len({row.group for row in found}) == 39
    assert found[0] == Record(
        source="pmc_oa",
        key="PMC99000101_Fig1_1.jpg",
        split="",
        task="caption",
        file="pmc_oa.jsonl",
        row=0,
        group="pmc/PMC99000101",
        answer="Axial computed tomography image of the abdomen demonstrates three lesions on the left. "
        "The patient had reported pain for several weeks.",
        images=(ImageRef("images.zip", member="images/PMC99000101_Fig1_1.jpg"),),
        attribution="PMC99000101",
    )
    with ImageStore(root / "pmc_oa") as store:
        assert all(store.read(row.images[0]).startswith(b"\xff\xd8") for row in found)


def test_early_revisions_have_splits_and_more_fields(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "valid", "test")):
        row = {"image": f"PMC{number}_Fig1_1.jpg", "caption": "x", "pmcid": f"PMC{number}", "url_name": "f.jpg"}
        write_lines(tmp_path / f"{name}.jsonl", row)
    assert there("pmc_oa", tmp_path) == ["early"]
    assert by_split(records("pmc_oa", tmp_path, "early")) == {"train": 1, "validation": 1, "test": 1}


def test_beta_repeats_a_caption(tmp_path: Path) -> None:
    write_lines(tmp_path / "pmc_oa_beta.jsonl", ROW, ROW | {"image": "PMC1_Fig2_4.jpg"})
    assert there("pmc_oa", tmp_path) == ["beta"]
    first, second = records("pmc_oa", tmp_path, "beta")
    assert (first.answer, first.group) == (second.answer, second.group)


@pytest.mark.parametrize(
    ("members", "member"),
    [
        (["images/", "images/PMC1_Fig2_3.jpg"], "images/PMC1_Fig2_3.jpg"),
        ([f"{FOLDER}/PMC1_Fig2_3.jpg"], f"{FOLDER}/PMC1_Fig2_3.jpg"),
        (["PMC1_Fig2_3.jpg"], "PMC1_Fig2_3.jpg"),
    ],
)
def test_folder_in_the_archive(members: list[str], member: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "pmc_oa.jsonl", ROW)
    write_zip(tmp_path / "images.zip", *members)
    (row,) = records("pmc_oa", tmp_path, "original")
    assert row.images == (ImageRef("images.zip", member=member),)
    with ImageStore(tmp_path) as store:
        assert store.read(row.images[0]) == b"jpeg"


@pytest.mark.parametrize("folder", ["images", FOLDER, f"images/{FOLDER}"])
def test_unpacked_archive(folder: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "pmc_oa.jsonl", ROW)
    (tmp_path / folder).mkdir(parents=True)
    (row,) = records("pmc_oa", tmp_path, "original")
    assert row.images == (ImageRef(f"{folder}/PMC1_Fig2_3.jpg"),)


@pytest.mark.parametrize("content", [b"", b"no zip archive", b"PK\x03\x04 cut short", b"PK\x05\x06" + bytes(18)])
def test_broken_archive(content: bytes, tmp_path: Path) -> None:
    write_lines(tmp_path / "pmc_oa.jsonl", ROW)
    write(tmp_path / "images.zip", content)
    with pytest.raises(InputError, match=r"images\.zip: is not a whole zip archive"):
        rows("pmc_oa", tmp_path, "original")


def test_archive_that_is_not_there(tmp_path: Path) -> None:
    write_lines(tmp_path / "pmc_oa.jsonl", ROW)
    (row,) = records("pmc_oa", tmp_path, "original")
    assert row.images == (ImageRef("images.zip", member="PMC1_Fig2_3.jpg"),)


@pytest.mark.parametrize(
    ("image", "group", "attribution"),
    [
        ("PMC12_a_b.jpg", "pmc/PMC12", "PMC12"),
        ("../../x.jpg", "pmc/../../x.jpg", ""),
        ("PMC_1.jpg", "pmc/PMC_1.jpg", ""),
        ("PMC5.jpg", "pmc/PMC5.jpg", ""),
    ],
)
def test_article(image: str, group: str, attribution: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "pmc_oa.jsonl", ROW | {"image": image})
    (row,) = records("pmc_oa", tmp_path, "original")
    assert (row.group, row.attribution) == (group, attribution)


def test_bad_rows(tmp_path: Path) -> None:
    write(tmp_path / "pmc_oa.jsonl", '{"image": "a.jpg"}\n{"image": null, "caption": ""}\n{"cut\n\n[]')
    found = rows("pmc_oa", tmp_path, "original")
    assert [(row.key, row.row) for row in found] == [(f"pmc_oa/{row}", row) for row in (0, 1, 2, 4)]
    assert [row.evidence.partition(":")[0] for row in found if isinstance(row, Rejected)] == [
        "no field 'caption'",
        "field 'image' is null",
        "not JSON",
        "a list, expected an object",
    ]


def test_pieces_of_a_long_file_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [{"image": f"PMC{row}_Fig1_1.jpg", "caption": "é" * row} for row in range(10)]
    write(tmp_path / "pmc_oa.jsonl", "\ufeff" + "\r\n".join(map(json.dumps, items)))
    whole = records("pmc_oa", tmp_path, "original")
    assert len(whole) == 10
    for size in (1, 3, 5, 10):
        monkeypatch.setattr(pmc_oa, "SHARD_ROWS", size)
        assert len(sources.layouts("pmc_oa")[0].shards(tmp_path)) == -(-10 // size)
        assert records("pmc_oa", tmp_path, "original") == whole
