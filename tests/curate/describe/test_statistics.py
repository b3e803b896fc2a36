"""Each statistic on tiny shards, and the statistics of the sample mix by an independent count."""

from collections import Counter
from pathlib import Path

import datasets
import pytest

from medmix.curate.describe import statistics
from medmix.curate.shards import write_rows
from medmix.curate.write import manifest
from medmix.curate.write.features import mix_schema


def write(folder: Path, *rows: dict, shard: str = "data/slake/train-00000-of-00001.parquet") -> str:
    """Write a shard of records that differ from a plain question only in what a test names."""
    write_rows(folder / shard, mix_schema(), ((record(**row), 100) for row in rows))
    return shard


def record(**changes) -> dict:
    row = {"task": "vqa", "modality": "mri", "language": "en", "answer_type": "open", "question": "What?"}
    row |= {"answer": "lung", "choices": [], "license_verdict": "redistributable", "image_sha256": ["0"]} | changes
    reply = row.pop("reply", row["answer"])
    turns = [("user", row["question"]), ("assistant", reply)]
    row["messages"] = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    plain = dict.fromkeys(("id", "source", "split", "group", "license", "attribution"), "")
    upstream = {"dataset": "", "revision": "", "file": "", "row": 0}
    return {**plain, "images": [], "alternatives": [], "image_phash": [], "upstream": upstream, **row}


def measured(folder: Path, *rows: dict) -> dict:
    return statistics.measure(folder, [write(folder, *rows)])["slake"]


def test_values_are_counted(tmp_path):
    counts = measured(tmp_path, {}, {"modality": "ct", "language": "zh"}, {"image_sha256": []})
    assert counts["records"] == 3
    assert counts["modalities"] == {"ct": 1, "mri": 2}
    assert counts["languages"] == {"en": 2, "zh": 1}
    assert counts["tasks"] == {"vqa": 3}
    assert counts["answer_types"] == {"open": 3}
    assert counts["images_per_record"] == {"0": 1, "1": 2}


def test_yes_and_no_are_counted_however_they_are_written(tmp_path):
    counts = measured(tmp_path, {"answer": "Yes."}, {"answer": "yes"}, {"answer": "NO"}, {"answer": "no lesion"})
    assert counts["yes_no"] == {"no": 1, "yes": 2}


def test_right_options_are_counted_as_they_are_trained_on(tmp_path):
    options = {"task": "mcqa", "choices": ["lung", "lung"]}
    counts = measured(tmp_path, {**options, "reply": "B. lung"}, {**options, "reply": "A. lung"}, {"reply": "A. b"})
    assert counts["correct_option"] == {"A": 1, "B": 1}


def test_only_captions_and_reports_are_near_empty(tmp_path):
    short, long = "x" * 19, "x" * 20
    counts = measured(
        tmp_path,
        {"task": "caption", "answer": short},
        {"task": "report", "answer": short},
        {"task": "caption", "answer": long},
        {"answer": short},
    )
    assert counts["near_empty"] == 2


def test_lengths_are_summarised_by_quantiles_and_a_histogram_of_powers_of_two(tmp_path):
    counts = measured(tmp_path, *({"answer": "x" * length} for length in (1, 2, 3, 4, 9)))
    assert counts["answer_characters"] == {
        "minimum": 1,
        "median": 3,
        "p95": 9,
        "maximum": 9,
        "histogram": [1, 2, 1, 1],
    }


def test_captions_have_no_question_length(tmp_path):
    counts = measured(tmp_path, {"task": "caption", "question": ""})
    assert counts["question_characters"]["histogram"] == []


def test_frequent_answers_are_shown_and_others_only_counted(tmp_path):
    counts = measured(
        tmp_path,
        {},
        {},
        {"answer": "once"},
        {"answer": "x" * 61},
        {"answer": "x" * 61},
        {"task": "caption", "answer": "a caption that is no answer"},
    )
    assert counts["frequent_answers"] == [["lung", 2]]
    assert counts["distinct_answers"] == 3


def test_no_answer_of_a_credentialed_source_is_shown(tmp_path):
    secret = {"license_verdict": "credentialed", "answer": "secret"}
    counts = measured(tmp_path, secret, secret)
    assert counts["frequent_answers"] == []
    assert counts["distinct_answers"] == 1


def test_statistics_do_not_depend_on_the_division_into_shards(tmp_path):
    rows = [{"answer": answer} for answer in ("a", "b", "b", "yes", "c")]
    whole = statistics.measure(tmp_path, [write(tmp_path, *rows)])
    names = [f"data/slake/train-0000{place}-of-00002.parquet" for place in (1, 0)]
    parts = [write(tmp_path, *part, shard=name) for part, name in zip((rows[:2], rows[2:]), names, strict=True)]
    assert statistics.measure(tmp_path, parts) == whole


@pytest.mark.parametrize("source", ["slake", "roco", "medmcqa"])
def test_an_independent_count_of_the_sample_mix_agrees(mix, tmp_path, source):
    counts = manifest.read(mix)["statistics"][source]
    splits = datasets.load_dataset(str(mix), source, cache_dir=str(tmp_path)).values()
    rows = [row for split in splits for row in split.remove_columns("images")]
    assert counts["records"] == len(rows)
    assert counts["languages"] == dict(Counter(row["language"] for row in rows))
    assert counts["answer_characters"]["maximum"] == max(len(row["answer"]) for row in rows)
    assert sum(counts["answer_characters"]["histogram"]) == len(rows)
    asked = [row["answer"] for row in rows if row["question"]]
    assert counts["distinct_answers"] == len(set(asked))
