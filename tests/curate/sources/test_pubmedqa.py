"""PubMedQA, its JSON files and the Hub's parquet."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import sampledata
from medmix.curate.errors import InputError
from medmix.curate.record import Record, Rejected
from medmix.curate.sources import layouts

from .reading import by_split, records, rows, there, write, write_json

ITEM: dict[str, Any] = {
    "QUESTION": "Does it work?",
    "CONTEXTS": ["We tried.", "It worked."],
    "LONG_ANSWER": "It works.",
    "final_decision": "yes",
}
UNLABELLED = {name: value for name, value in ITEM.items() if name != "final_decision"}
HUB_ROW: dict[str, Any] = {
    "pubid": 11,
    "question": "Does it work?",
    "context": {"contexts": ["We tried.", "It worked."], "labels": ["METHODS", "RESULTS"]},
    "long_answer": "It works.",
    "final_decision": "yes",
}


def write_hub(folder: Path, subset: str, items: list[dict[str, Any]]) -> None:
    path = folder / subset / "train-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(items), path)


def test_real_data(real_data: Path) -> None:
    found = records("pubmedqa", real_data / "pubmedqa", "original")
    assert by_split(found) == {"test": 135, "train": 165}
    assert {answer: sum(row.answer == answer for row in found) for answer in ("yes", "no", "maybe")} == {
        "yes": 175,
        "no": 97,
        "maybe": 28,
    }
    first = found[0]
    assert (first.key, first.split, first.task, first.row) == ("17208539", "test", "qa", 0)
    assert (first.group, first.answer, first.answer_type) == ("pubmed/17208539", "no", "closed")
    assert first.context.startswith("The transanal endorectal pull-through (TERPT) is becoming")
    assert first.context.count("\n\n") == 2
    assert first.explanation.startswith("Our long-term study showed significantly better (2-fold) results")


def test_sample_data(tmp_path: Path) -> None:
    sampledata.write(tmp_path, 1)
    assert by_split(records("pubmedqa", tmp_path / "pubmedqa", "original")) == {"train": 80, "test": 20}


@pytest.mark.parametrize("place", ["", "data/"])
def test_subsets(tmp_path: Path, place: str) -> None:
    write_json(tmp_path / place / "ori_pqal.json", {"11": ITEM, "12": {**ITEM, "final_decision": "maybe"}})
    write_json(tmp_path / place / "ori_pqaa.json", {"13": {**ITEM, "final_decision": "no"}})
    write_json(tmp_path / place / "ori_pqau.json", {"14": UNLABELLED})
    write_json(tmp_path / place / "test_ground_truth.json", {"11": "yes"})
    labelled, other, artificial, unlabelled = records("pubmedqa", tmp_path, "original")
    assert labelled == Record(
        source="pubmedqa",
        key="11",
        split="test",
        task="qa",
        file=f"{place}ori_pqal.json",
        row=0,
        group="pubmed/11",
        question="Does it work?",
        answer="yes",
        answer_type="closed",
        context="We tried.\n\nIt worked.",
        explanation="It works.",
        attribution="PMID 11",
    )
    assert [(row.key, row.split, row.answer) for row in (other, artificial)] == [
        ("12", "train", "maybe"),
        ("13", "train", "no"),
    ]
    assert (unlabelled.key, unlabelled.split) == ("14", "train")
    assert (unlabelled.answer, unlabelled.answer_type, unlabelled.explanation) == ("It works.", "open", "")


def test_without_the_truth_no_labelled_item_gets_into_training(tmp_path: Path) -> None:
    write_json(tmp_path / "ori_pqal.json", {"11": ITEM, "12": ITEM})
    write_json(tmp_path / "ori_pqaa.json", {"13": ITEM})
    assert [row.split for row in records("pubmedqa", tmp_path, "original")] == ["test", "test", "train"]


def test_that_the_truth_is_not_there_is_worth_a_line(tmp_path: Path) -> None:
    notes = next(layout.notes for layout in layouts("pubmedqa") if layout.name == "original")
    write_json(tmp_path / "ori_pqaa.json", {"13": ITEM})
    assert notes(tmp_path) == []
    write_json(tmp_path / "ori_pqal.json", {"11": ITEM, "12": ITEM})
    (line,) = notes(tmp_path)
    assert line.startswith("without test_ground_truth.json all labelled rows count as test and none is trained on; ")
    write_json(tmp_path / "test_ground_truth.json", {"11": "yes"})
    assert notes(tmp_path) == []


@pytest.mark.parametrize(
    ("item", "evidence"),
    [
        (UNLABELLED, "'final_decision'"),
        ({**ITEM, "final_decision": "perhaps"}, "'final_decision'"),
        ({**ITEM, "CONTEXTS": "We tried."}, "'CONTEXTS'"),
        ({**ITEM, "CONTEXTS": [None]}, "contexts"),
        ({**ITEM, "LONG_ANSWER": None}, "'LONG_ANSWER'"),
        ("yes", "a text, expected an object"),
    ],
)
def test_a_bad_item_is_rejected_and_the_next_one_read(tmp_path: Path, item: Any, evidence: str) -> None:
    write_json(tmp_path / "ori_pqaa.json", {"11": item, "12": ITEM})
    bad, good = rows("pubmedqa", tmp_path, "original")
    assert isinstance(bad, Rejected)
    assert (bad.key, bad.reason, good.key) == ("ori_pqaa/0", "unparsable-row", "12")
    assert evidence in bad.evidence


def test_hub(tmp_path: Path) -> None:
    write_hub(tmp_path, "pqa_labeled", [HUB_ROW, {**HUB_ROW, "pubid": 12}])
    write_hub(tmp_path, "pqa_artificial", [{**HUB_ROW, "pubid": 13}, {**HUB_ROW, "pubid": None}])
    undecided = {name: value for name, value in HUB_ROW.items() if name != "final_decision"}
    write_hub(tmp_path, "pqa_unlabeled", [{**undecided, "pubid": 14}])
    write_json(tmp_path / "test_ground_truth.json", {"12": "yes"})
    assert there("pubmedqa", tmp_path) == ["hub"]
    first, second, third, bad, unlabelled = rows("pubmedqa", tmp_path, "hub")
    assert [(row.key, row.split) for row in (first, second, third)] == [
        ("11", "train"),
        ("12", "test"),
        ("13", "train"),
    ]
    assert isinstance(first, Record)
    assert (first.context, first.answer, first.explanation) == ("We tried.\n\nIt worked.", "yes", "It works.")
    assert isinstance(bad, Rejected)
    assert (bad.key, bad.evidence) == ("pqa_artificial/train-00000-of-00001/1", "field 'pubid' is null")
    assert isinstance(unlabelled, Record)
    assert (unlabelled.answer, unlabelled.answer_type) == ("It works.", "open")


def test_a_list_in_place_of_the_object_is_an_input_error(tmp_path: Path) -> None:
    write(tmp_path / "ori_pqal.json", "[]")
    with pytest.raises(InputError, match="expected a JSON object"):
        rows("pubmedqa", tmp_path, "original")
