import polars as pl

from medmix.curate.decide import contradictions

from .rows import fates, table

NOBODY = pl.lit(False)
ASKED = {"images": [1], "question_key": 1}


def test_other_answers_to_one_question_on_one_image_contradict_each_other():
    rows = table(
        {**ASKED, "question_answer_key": "yes"},
        {**ASKED, "question_answer_key": "no"},
        {**ASKED, "question_answer_key": "yes"},
        {**ASKED, "images": [2], "question_answer_key": "no"},
        {**ASKED, "question_key": 2, "question_answer_key": "two"},
        {"question_key": 1, "question_answer_key": "no image"},
        {"images": [1], "question_answer_key": "a caption"},
    )
    assert fates(contradictions.drops(rows, NOBODY)) == {
        0: ("contradictory", "slake/1"),
        1: ("contradictory", "slake/0"),
        2: ("contradictory", "slake/1"),
    }
    assert contradictions.count(rows) == {
        "slake": {"questions": 1, "records": 3, "examples": [["slake/0", "slake/1", "slake/2"]]}
    }


def test_evaluation_items_contradict_and_stay():
    rows = table({**ASKED, "split": "test"}, ASKED)
    assert fates(contradictions.drops(rows, pl.col("split") == "test")) == {1: ("contradictory", "slake/0")}


def test_records_of_credentialed_sources_are_not_named():
    rows = table({**ASKED, "verdict": "credentialed"}, {**ASKED, "verdict": "credentialed"})
    assert contradictions.count(rows) == {"slake": {"questions": 1, "records": 2, "examples": []}}
