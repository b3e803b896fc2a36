from typing import Any

from medmix.evaluate.answers import leaks

ROW = {
    "set": "vqa_rad test",
    "image": 6,
    "text": 0,
    "overlap": 0,
    "group": 9,
    "same-question-answer": 79,
    "ngram-match": 0,
    "leaks": {"image": 6},
}
NEAR = {"image": 0, "near-duplicate": 2, "panel": 4, "leaks": {"panel": 3, "near-duplicate": 2}}


def manifest(**changed: Any) -> dict[str, Any]:
    """A manifest of a mix that trains on OmniMedVQA's test split and only reports leaks into VQA-RAD."""
    document = {
        "settings": {"mixture": {"splits": {"test": "keep"}, "sources": {"omnimedvqa": {"splits": {"test": "train"}}}}},
        "sources": {"omnimedvqa": {"kept_by_split": {"train": 72}}, "vqa_rad": {"kept_by_split": {"train": 5}}},
        "evaluation": [
            {"source": "vqa_rad", "split": "test", "leaks": "report", "items": 451, "unreadable": 2},
            {"source": "slake", "split": "test", "leaks": "drop", "items": 9, "unreadable": 0},
            {"source": "pathvqa", "split": "test", "leaks": "drop", "items": 9, "unreadable": 9},
        ],
        "leaks": [{"source": "vqa_rad", **ROW}, {"source": "roco", **ROW, **NEAR}],
        "validation_leaks": [{"source": "roco", **ROW, "set": "slake validation"}],
    }
    return document | changed


def test_a_split_that_is_trained_on_is_spent() -> None:
    assert leaks.leaks_into_split(manifest(), "omnimedvqa", "test") == [
        "the mix trains on its test split (splits: {test: train}): 72 records of it"
    ]
    assert leaks.leaks_into_split(manifest(), "omnimedvqa", "validation") == []
    assert leaks.leaks_into_split(manifest(), "medqa", "test") == []


def test_the_rule_of_the_whole_mixture_counts_where_a_source_has_none() -> None:
    settings = {"mixture": {"splits": {"test": "train"}, "sources": {"vqa_rad": {"splits": None}}}}
    assert leaks.leaks_into_split(manifest(settings=settings, evaluation=[]), "vqa_rad", "test") == [
        "the mix trains on its test split (splits: {test: train}): 5 records of it"
    ]


def test_leaks_that_are_only_reported_are_counted_by_whatever_kind_the_matrix_has() -> None:
    assert leaks.leaks_into_split(manifest(), "vqa_rad", "test") == [
        "training records of vqa_rad share something with it (6 by image)",
        "training records of roco share something with it (2 by near-duplicate, 3 by panel)",
    ]
    harmless = manifest(leaks=[{"source": "roco", **ROW, "image": 0, "leaks": {}}])
    assert leaks.leaks_into_split(harmless, "vqa_rad", "test") == []  # a shared group or wording is no leak


def test_leaks_that_were_dropped_are_none() -> None:
    dropped = manifest(evaluation=[{"source": "vqa_rad", "split": "test", "leaks": "drop"}])
    assert leaks.leaks_into_split(dropped, "vqa_rad", "test") == []


def test_copies_that_upstream_has_in_training_and_validation_are_leaks_into_validation() -> None:
    assert leaks.leaks_into_split(manifest(), "slake", "validation") == [
        "training records of roco share something with it (6 by image)"
    ]
    assert leaks.leaks_into_split(manifest(), "slake", "test") == []


def test_the_rows_of_a_benchmark_are_those_of_its_sets() -> None:
    assert [row["source"] for row in leaks.leak_rows(manifest(), ["vqa_rad"])] == ["vqa_rad", "roco"]
