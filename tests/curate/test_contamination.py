from medmix.curate import contamination
from medmix.curate.mixture import EvaluationSet

from .rows import fates, table

VQA_RAD_TEST = EvaluationSet("vqa_rad", "test")
ITEM = {"source": "vqa_rad", "upstream_split": "test", "split": "test"}


def test_a_training_image_of_an_evaluation_set_goes_whatever_is_asked_about_it():
    rows = table(
        {**ITEM, "id": "vqa_rad/1", "pixels": ["p"]},
        {"pixels": ["q", "p"]},
        {"pixels": ["q"]},
    )
    assert fates(contamination.exact(rows, rows, [VQA_RAD_TEST])) == {1: ("contaminated", "vqa_rad/1")}


def test_validation_rows_are_kept_clean_too_and_other_test_rows_are_left_alone():
    rows = table(
        {**ITEM, "id": "vqa_rad/1", "pixels": ["p"]},
        {"pixels": ["p"], "split": "validation", "upstream_split": "validation"},
        {"pixels": ["p"], "split": "test", "upstream_split": "test"},
    )
    assert set(fates(contamination.exact(rows, rows, [VQA_RAD_TEST]))) == {1}


def test_an_equal_text_counts_only_without_images():
    rows = table(
        {**ITEM, "id": "vqa_rad/1", "question_answer_key": "same", "pixels": ["p"]},
        {"question_answer_key": "same", "pixels": ["other"]},
        {"question_answer_key": "same"},
    )
    assert fates(contamination.exact(rows, rows, [VQA_RAD_TEST])) == {2: ("contaminated", "vqa_rad/1")}


def test_an_evaluation_item_that_was_dropped_still_counts():
    everything = table({**ITEM, "id": "vqa_rad/1", "pixels": ["p"], "reason": "licence"}, {"pixels": ["p"]})
    alive = everything.filter(everything["reason"] == "")
    assert set(fates(contamination.exact(alive, everything, [VQA_RAD_TEST]))) == {1}


def test_other_splits_of_the_source_are_no_evaluation_set():
    rows = table({**ITEM, "upstream_split": "validation", "pixels": ["p"]}, {"pixels": ["p"]})
    assert fates(contamination.exact(rows, rows, [VQA_RAD_TEST])) == {}


def test_each_set_is_counted_with_what_fell_for_it_and_what_is_near_it():
    kept = {"outcome": "kept", "source": "vqa_rad"}
    rows = table(
        {**ITEM, "outcome": "dropped", "stage": "images", "reason": "missing-image"},
        {**ITEM, **kept, "split": "test", "question_answer_key": "yes"},
        {**kept, "question_answer_key": "yes"},
        {**kept},
        {**kept, "source": "slake"},
        {"outcome": "dropped", "reason": "contaminated", "evidence": "slake/1"},
    )
    assert contamination.coverage(rows, [VQA_RAD_TEST]) == [
        {
            "source": "vqa_rad",
            "split": "test",
            "items": 2,
            "unread": 1,
            "hits": 1,
            "in_domain": 2,
            "same_wording": 1,
        }
    ]
