"""MedQA with four options and with five."""

import json
from pathlib import Path
from typing import Any

import pytest

from medmix.curate import sampledata
from medmix.curate.record import Record, Rejected

from .reading import by_split, records, rows, there, write

FOUR = "data_clean/questions/US/4_options/phrases_no_exclude_{}.jsonl"
ROW: dict[str, Any] = {
    "question": "Which organ?",
    "answer": "Liver",
    "options": {"B": "Liver", "A": "Heart", "C": "Lung", "D": "Spleen"},
    "answer_idx": "B",
}


def test_real_data(real_data: Path) -> None:
    found = records("medqa", real_data / "medqa", "original")
    assert by_split(found) == {"test": 500}
    assert all(row.correct is not None and row.choices[row.correct] == row.answer for row in found)
    assert found[1] == Record(
        source="medqa",
        key="test/1",
        split="test",
        task="mcqa",
        file=FOUR.format("test"),
        row=1,
        group="medqa/test/1",
        question=found[1].question,
        answer="Cholesterol embolization",
        choices=(
            "Renal papillary necrosis",
            "Cholesterol embolization",
            "Eosinophilic granulomatosis with polyangiitis",
            "Polyarteritis nodosa",
        ),
        correct=1,
        answer_type="closed",
    )
    assert found[1].question.startswith("Two weeks after undergoing an emergency cardiac catherization with stenting")


def test_sample_data(tmp_path: Path) -> None:
    sampledata.write(tmp_path, 1)
    assert by_split(records("medqa", tmp_path / "medqa", "original")) == {"train": 81, "validation": 12, "test": 24}


@pytest.mark.parametrize(("layout", "pattern"), [("original", FOUR), ("hub", "phrases_no_exclude_{}.jsonl")])
def test_four_options_come_first(tmp_path: Path, layout: str, pattern: str) -> None:
    write(tmp_path / pattern.format("dev"), json.dumps(ROW))
    write(tmp_path / "data_clean/questions/US/dev.jsonl", json.dumps(ROW))
    assert there("medqa", tmp_path) == [layout, "five-options"]
    (found,) = records("medqa", tmp_path, layout)
    assert (found.key, found.file) == ("validation/0", pattern.format("dev"))
    assert (found.choices, found.correct) == (("Heart", "Liver", "Lung", "Spleen"), 1)


def test_five_options(tmp_path: Path) -> None:
    row = {**ROW, "options": {**ROW["options"], "E": "Kidney"}, "answer_idx": "E", "answer": "Kidney"}
    write(tmp_path / "data_clean/questions/US/train.jsonl", json.dumps(row))
    (found,) = records("medqa", tmp_path, "five-options")
    assert (found.split, len(found.choices), found.correct) == ("train", 5, 4)


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ({"answer": "Heart"}, "'answer'"),
        ({"answer_idx": "E"}, "'answer_idx'"),
        ({"answer_idx": ""}, "'answer_idx'"),
        ({"answer_idx": 1}, "'answer_idx'"),
        ({"options": {}}, "'options'"),
        ({"options": {"A": "Heart", "C": "Liver"}}, "'options'"),
        ({"options": ["Heart", "Liver"]}, "'options'"),
        ({"options": {"A": "Heart", "B": None}}, "'B'"),
        ({"question": None}, "'question'"),
    ],
)
def test_a_bad_row_is_rejected_and_the_next_one_read(tmp_path: Path, change: dict[str, Any], evidence: str) -> None:
    write(tmp_path / FOUR.format("test"), f"{json.dumps({**ROW, **change})}\n\n{{\n{json.dumps(ROW)}\n")
    bad, cut, good = rows("medqa", tmp_path, "original")
    assert isinstance(bad, Rejected)
    assert isinstance(cut, Rejected)
    assert (bad.key, bad.reason) == ("test/0", "unparsable-row")
    assert evidence in bad.evidence
    assert (cut.key, cut.reason, good.key) == ("test/2", "unparsable-row", "test/3")
