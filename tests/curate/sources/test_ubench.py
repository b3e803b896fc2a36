"""μ-Bench, Arrow shards and the Hub's parquet."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate.errors import InputError
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef, Record, Rejected

from .reading import by_split, records, rows, there, write

FILE = "perception/0.1.0/ubench-test-00000-of-00001.arrow"
QUESTION = {
    "id": "1",
    "name": "stain",
    "question": "Which stain?",
    "options": ["H&E", "IHC", "none of the above"],
    "answer": "IHC",
    "answer_idx": 1,
}
ROW: dict[str, Any] = {
    "image_id": "x_1",
    "image": {"bytes": b"png", "path": "1.png"},
    "dataset": "kather_et_al_2018",
    "license": "CC BY 4.0",
    "modality": "Light microscopy",
    "captions": {"stain": "An IHC image.", "domain": None},
    "questions": {"stain": QUESTION, "domain": None},
}


def write_arrow(path: Path, *items: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(items))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def read(folder: Path, **change: Any) -> list[Record | Rejected]:
    write_arrow(folder / FILE, ROW | change)
    return rows("ubench", folder, "original")


def test_sample_data(root: Path) -> None:
    folder = root / "ubench"
    assert there("ubench", folder) == ["original"]
    found = records("ubench", folder, "original")
    assert by_split(found) == {"test": 209}
    assert len({row.group for row in found}) == 36
    assert Counter(row.key.split("/")[1] for row in found) == {
        "domain": 36,
        "subdomain": 29,
        "modality": 36,
        "submodality": 36,
        "stain": 36,
        "classification": 36,
    }
    assert Counter(row.attribution == "" for row in {row.group: row for row in found}.values())[True] == 3
    assert {row.licence for row in found} == {"CC BY 4.0", "CC BY-NC 4.0", "CC0 1.0"}
    file = "perception/0.1.0/ubench-test-00000-of-00002.arrow"
    assert found[0] == Record(
        source="ubench",
        key="acevedo_et_al_2020_00001/domain",
        split="test",
        task="mcqa",
        file=file,
        row=0,
        group="ubench/acevedo_et_al_2020_00001",
        question="What domain does this image belong to?",
        answer="pathology",
        choices=("pathology", "botany", "biology", "none of the above"),
        correct=0,
        answer_type="closed",
        images=(ImageRef(file, row=0),),
        modality="light microscopy",
        licence="CC BY 4.0",
        attribution="acevedo_et_al_2020",
    )
    with ImageStore(folder) as store:
        assert all(store.read(row.images[0]).startswith(b"\x89PNG") for row in found)


def test_rows_are_counted_over_batches(tmp_path: Path) -> None:
    write_arrow(tmp_path / FILE, *(ROW | {"image_id": str(number)} for number in range(5)))
    assert [(row.row, row.key) for row in records("ubench", tmp_path, "original")] == [
        (number, f"{number}/stain") for number in range(5)
    ]


@pytest.mark.parametrize("name", ["data/test-00000-of-00001.parquet", "default/test/0000.parquet"])
def test_parquet_has_the_same_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([ROW]), path)
    assert there("ubench", tmp_path) == ["hub"]
    (row,) = records("ubench", tmp_path, "hub")
    assert (row.key, row.answer, row.images) == ("x_1/stain", "IHC", (ImageRef(name, row=0),))
    with ImageStore(tmp_path) as store:
        assert store.read(row.images[0]) == b"png"


def test_nulls(tmp_path: Path) -> None:
    (row,) = read(tmp_path, dataset=None, license=None, modality=None)
    assert isinstance(row, Record)
    assert (row.attribution, row.licence, row.modality) == ("", "", "")
    nulls = {**dict.fromkeys(QUESTION), "options": []}
    assert [row.key for row in read(tmp_path, questions={"stain": QUESTION, "domain": nulls})] == ["x_1/stain"]


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ({"questions": {"stain": None, "domain": None}}, "an image without questions"),
        ({"questions": None}, "an image without questions"),
        ({"questions": ["Which stain?"]}, "an image without questions"),
        ({"questions": {"stain": "Which?"}}, "a text, expected an object"),
        ({"questions": {"stain": QUESTION | {"question": None}}}, "field 'question' is null"),
        (
            {"questions": {"stain": QUESTION | {"answer": "H&E"}}},
            "answer 'H&E' is not option 1 of ('H&E', 'IHC', 'none of the above')",
        ),
        (
            {"questions": {"stain": QUESTION | {"answer_idx": -2}}},
            "answer 'IHC' is not option -2 of ('H&E', 'IHC', 'none of the above')",
        ),
        (
            {"questions": {"stain": QUESTION | {"options": ["a", None]}}},
            "field 'options' holds what is no text: ('a', None)",
        ),
        ({"image_id": None}, "field 'image_id' is null"),
        ({"license": 4}, "field 'license' is a number"),
    ],
)
def test_bad_row(change: dict[str, Any], evidence: str, tmp_path: Path) -> None:
    (row,) = read(tmp_path, **change)
    assert isinstance(row, Rejected)
    assert (row.key, row.split, row.evidence) == ("ubench-test-00000-of-00001/0", "test", evidence)


@pytest.mark.parametrize("lost", ["image", "questions", "license"])
def test_columns_other_than_published(lost: str, tmp_path: Path) -> None:
    write_arrow(tmp_path / FILE, {name: value for name, value in ROW.items() if name != lost})
    with pytest.raises(InputError, match=f"lacks the columns {lost}; it has "):
        rows("ubench", tmp_path, "original")


@pytest.mark.parametrize("cut", [0, 10, 400, -200])
def test_broken_arrow(cut: int, tmp_path: Path) -> None:
    write_arrow(tmp_path / FILE, *[ROW] * 5)
    write(tmp_path / FILE, (tmp_path / FILE).read_bytes()[:cut])
    with pytest.raises(InputError, match="is not readable as an Arrow stream"):
        rows("ubench", tmp_path, "original")
