"""MedMCQA, its JSON lines and the Hub's parquet."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import sampledata
from medmix.curate.errors import InputError
from medmix.curate.record import Record, Rejected

from .reading import by_split, records, rows, there, write

ROW: dict[str, Any] = {
    "id": "u-1",
    "question": "Which organ?",
    "opa": "Heart",
    "opb": "Liver",
    "opc": "Lung",
    "opd": "Spleen",
    "cop": 2,
    "exp": "Ans. is 'c'",
}


def read(folder: Path, **change: Any) -> Record | Rejected:
    """Read one row of the original's train split."""
    write(folder / "train.json", json.dumps({**ROW, **change}))
    (found,) = rows("medmcqa", folder, "original")
    return found


def write_parquet(path: Path, items: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(items), path)


def test_real_data(real_data: Path) -> None:
    found = records("medmcqa", real_data / "medmcqa", "original")
    assert by_split(found) == {"validation": 800}
    assert [sum(row.correct == place for row in found) for place in range(4)] == [257, 212, 176, 155]
    assert found[0] == Record(
        source="medmcqa",
        key="384a9281-2ee1-480b-a7d8-fd3ef49558e5",
        split="validation",
        task="mcqa",
        file="data/dev.json",
        row=0,
        group="medmcqa/384a9281-2ee1-480b-a7d8-fd3ef49558e5",
        question="27.\tThe lateral spread of dental caries is facilitated mostly  by the",
        answer="Dentinoenamel junction",
        choices=("Enamel spindles", "Dentinoenamel junction", "Enamel lamellae", "Striae of Retzius"),
        correct=1,
        answer_type="closed",
    )


def test_sample_data(tmp_path: Path) -> None:
    sampledata.write(tmp_path, 1)
    found = rows("medmcqa", tmp_path / "medmcqa", "original")
    assert by_split(found) == {"train": 91, "validation": 20, "test": 12}
    assert {getattr(row, "reason", "") for row in found if row.split == "test"} == {"no-answer"}


@pytest.mark.parametrize(("cop", "answer"), [(1, "Heart"), (4, "Spleen")])
def test_the_original_counts_from_one(tmp_path: Path, cop: int, answer: str) -> None:
    found = read(tmp_path, cop=cop)
    assert isinstance(found, Record)
    assert (found.answer, found.correct, found.explanation) == (answer, cop - 1, "")


@pytest.mark.parametrize(
    ("labels", "answers"),
    [
        ([1, 4, 2], ["Heart", "Spleen", "Liver"]),
        ([0, 3, 2], ["Heart", "Spleen", "Lung"]),
        ([0, 1, -1], ["Heart", "Liver", None]),
        ([4, 1, -1], ["Spleen", "Heart", None]),
    ],
)
@pytest.mark.parametrize("layout", ["original", "hub"])
def test_the_labels_of_a_file_tell_from_where_they_count(
    layout: str, labels: list[int], answers: list[str | None], tmp_path: Path
) -> None:
    items = [{**ROW, "id": f"u-{place}", "cop": cop} for place, cop in enumerate(labels)]
    if layout == "original":
        write(tmp_path / "train.json", "\n".join(map(json.dumps, items)))
    else:
        write_parquet(tmp_path / "data/train-00000-of-00001.parquet", items)
    found = rows("medmcqa", tmp_path, layout)
    assert [row.answer if isinstance(row, Record) else None for row in found] == answers


@pytest.mark.parametrize(("layout", "answer"), [("original", "Liver"), ("hub", "Lung")])
def test_labels_that_fit_both_count_as_in_upstream(layout: str, answer: str, tmp_path: Path) -> None:
    write(tmp_path / "train.json", json.dumps(ROW))
    write_parquet(tmp_path / "data/train-00000-of-00001.parquet", [ROW])
    (found,) = records("medmcqa", tmp_path, layout)
    assert found.answer == answer


def test_labels_that_contradict_each_other_are_an_input_error(tmp_path: Path) -> None:
    write(tmp_path / "train.json", "\n".join(json.dumps({**ROW, "cop": cop}) for cop in (0, 2, 4)))
    with pytest.raises(InputError, match=r"train\.json: numbers its 4 options both from 0 and up to 4"):
        rows("medmcqa", tmp_path, "original")


@pytest.mark.parametrize("cop", [0, -1, None])
def test_a_row_without_published_answer(tmp_path: Path, cop: int | None) -> None:
    found = read(tmp_path, cop=cop)
    assert isinstance(found, Rejected)
    assert (found.key, found.reason) == ("train/0", "no-answer")


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ({"cop": 5}, "'cop'"),
        ({"cop": -2}, "'cop'"),
        ({"cop": "b"}, "'cop'"),
        ({"opd": None}, "'opd'"),
        ({"question": 3}, "'question'"),
        ({"id": None}, "'id'"),
    ],
)
def test_a_bad_row_is_rejected(tmp_path: Path, change: dict[str, Any], evidence: str) -> None:
    found = read(tmp_path, **change)
    assert isinstance(found, Rejected)
    assert found.reason == "unparsable-row"
    assert evidence in found.evidence


def test_the_hub_counts_from_zero(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/train-00000-of-00001.parquet", [{**ROW, "cop": 0}, {**ROW, "id": "u-2", "cop": 9}])
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", [{**ROW, "id": "u-3", "cop": -1}])
    assert there("medmcqa", tmp_path) == ["hub"]
    good, bad, unpublished = rows("medmcqa", tmp_path, "hub")
    assert isinstance(good, Record)
    assert (good.key, good.split, good.answer, good.correct) == ("u-1", "train", "Heart", 0)
    assert isinstance(bad, Rejected)
    assert bad.reason == "unparsable-row"
    assert isinstance(unpublished, Rejected)
    assert (unpublished.split, unpublished.reason) == ("test", "no-answer")


def test_a_parquet_without_the_options_is_an_input_error(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/train-00000-of-00001.parquet", [{"id": "u-1", "question": "Which organ?"}])
    with pytest.raises(InputError, match="opa, opb, opc, opd"):
        rows("medmcqa", tmp_path, "hub")
