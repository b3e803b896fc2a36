"""PathVQA from its authors and from the Hub."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from medmix.curate.errors import InputError
from medmix.curate.record import ImageRef, Record, Rejected

from .reading import by_split, records, rows, there, write, write_hub

ROW: dict[str, Any] = {"image": "train_0001", "question": "what is shown?", "answer": "a cell"}


def write_pickle(path: Path, content: Any) -> None:
    write(path, pickle.dumps(content))


def test_real_original(real_data: Path) -> None:
    folder = real_data / "pathvqa"
    assert there("pathvqa", folder) == ["original", "hub"]
    found = records("pathvqa", folder, "original")
    assert by_split(found) == {"train": 708, "test": 188}
    assert len({row.group for row in found}) == 120
    assert all((folder / row.images[0].path).is_file() for row in found)
    assert found[0] == Record(
        source="pathvqa",
        key="train/0",
        split="train",
        task="vqa",
        file="qas/train/train_qa.pkl",
        row=0,
        group="pathvqa/train_0017",
        question="What shows mild fatty change of liver cells?",
        answer="the peripheral zone",
        answer_type="open",
        images=(ImageRef("images/train/train_0017.jpg"),),
    )


def test_real_hub(real_data: Path) -> None:
    found = records("pathvqa", real_data / "pathvqa", "hub")
    file = "hub_parquet/data/train-00000-of-00001.parquet"
    assert by_split(found) == {"train": 75, "test": 18}
    assert len({row.group for row in found}) == 18
    assert found[0] == Record(
        source="pathvqa",
        key="train-00000-of-00001/0",
        split="train",
        task="vqa",
        file=file,
        row=0,
        group="pathvqa/b6931ed50b278942",
        question="what shows mild fatty change of liver cells?",
        answer="the peripheral zone",
        answer_type="open",
        images=(ImageRef(file, row=0),),
    )


def test_sample_data(root: Path) -> None:
    folder = root / "pathvqa"
    found = records("pathvqa", folder, "original")
    assert by_split(found) == {"train": 79, "validation": 18, "test": 24}
    assert all((folder / row.images[0].path).is_file() for row in found)


@pytest.mark.parametrize("base", ["", "split/"])
@pytest.mark.parametrize("image", ["val_0001", "val/val_0001"])
def test_root_and_image_names(tmp_path: Path, base: str, image: str) -> None:
    write_pickle(tmp_path / f"{base}qas/val/val_qa.pkl", [ROW | {"image": image}])
    (row,) = records("pathvqa", tmp_path, "original")
    assert (row.key, row.split, row.group) == ("val/0", "validation", "pathvqa/val_0001")
    assert row.images == (ImageRef(f"{base}images/val/val_0001.jpg"),)


def test_answer_types_and_repeated_triplets(tmp_path: Path) -> None:
    answers = ["yes", "No ", "no cells", "no cells"]
    write_pickle(tmp_path / "qas/train/train_qa.pkl", [ROW | {"answer": answer} for answer in answers])
    found = records("pathvqa", tmp_path, "original")
    assert [row.answer_type for row in found] == ["closed", "closed", "open", "open"]


@pytest.mark.parametrize(
    ("row", "evidence"),
    [
        ({"image": "train_0001", "question": "what?"}, "no field 'answer'"),
        (ROW | {"image": 1}, "field 'image' is a number"),
        (None, "null, expected an object"),
    ],
)
def test_bad_row(tmp_path: Path, row: Any, evidence: str) -> None:
    file = "qas/train/train_qa.pkl"
    write_pickle(tmp_path / file, [row, ROW])
    bad, good = rows("pathvqa", tmp_path, "original")
    assert bad == Rejected(
        source="pathvqa", key="train/0", split="train", file=file, row=0, reason="unparsable-row", evidence=evidence
    )
    assert isinstance(good, Record)


def test_shards_of_a_hub_split_are_read_in_order(tmp_path: Path) -> None:
    for number in (1, 0):
        file = f"copy/data/validation-0000{number}-of-00002.parquet"
        write_hub(tmp_path / file, [(b"jpeg", "is it?", "yes"), (b"jpeg", None, "yes")])
    found = rows("pathvqa", tmp_path, "hub")
    assert [row.key for row in found] == [
        f"validation-0000{number}-of-00002/{row}" for number in (0, 1) for row in (0, 1)
    ]
    assert [row.evidence for row in found if isinstance(row, Rejected)] == ["field 'question' is null"] * 2
    assert by_split(found) == {"validation": 4}


def test_unusable_pickle(tmp_path: Path) -> None:
    file = tmp_path / "qas/test/test_qa.pkl"
    write(file, pickle.dumps([ROW])[:-5])
    with pytest.raises(InputError, match="not a whole pickle"):
        rows("pathvqa", tmp_path, "original")
    file.unlink()
    file.mkdir()
    with pytest.raises(InputError, match="is a folder"):
        rows("pathvqa", tmp_path, "original")
