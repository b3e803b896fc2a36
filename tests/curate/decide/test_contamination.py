import polars as pl
import pytest

from medmix.curate.decide import contamination, leaks
from medmix.curate.decide.leaks import NO_EXTERNAL_ITEMS
from medmix.curate.evaluationsets import coverage, item_keys
from medmix.curate.evaluationsets.item_keys import item_key
from medmix.curate.measure.scans import ScanFile
from medmix.curate.mixture import CopyRule, EvaluationSet

from .rows import NO_COPIES, NO_TEXTS, RELATED, copies, fates, related, table, texts

LEAK_RULE = CopyRule()
VQA_RAD_TEST = EvaluationSet("vqa_rad", "test")
ITEM = {"source": "vqa_rad", "upstream_split": "test", "split": "test"}


def dropped(rows, everything=None, evaluation=(VQA_RAD_TEST,), scanned=NO_TEXTS, copies=NO_COPIES, rule=LEAK_RULE):
    """Match rows with the evaluation sets by exact keys, or by texts if given, and give the drops."""
    everything = rows if everything is None else everything
    exact = everything.with_columns(stage=pl.lit("images")) if scanned is NO_TEXTS else everything
    matches = leaks.find_matches(rows, exact, evaluation, scanned, copies, NO_EXTERNAL_ITEMS, rule)
    return contamination.drops(rows, matches, everything, evaluation, NO_EXTERNAL_ITEMS)


def test_a_training_image_of_an_evaluation_set_goes_whatever_is_asked_about_it():
    rows = table(
        {**ITEM, "id": "vqa_rad/1", "images": [1]},
        {"images": [2, 1]},
        {"images": [2]},
    )
    assert fates(dropped(rows)) == {1: ("contaminated", "vqa_rad/1")}


def test_an_altered_copy_of_a_test_image_goes_too_and_the_ledger_says_how_it_was_made():
    rows = table({**ITEM, "id": "vqa_rad/1", "images": [1]}, {"images": [2]}, {"images": [3]}, {"images": [4, 1]})
    found = dropped(rows, copies=copies((1, 2, 0.83), (2, 3, 0.9), (1, 4, 0.7)))
    assert found.rows() == [
        (1, "contaminated", "vqa_rad/1", 0.83, "cropped and enlarged 1.25 times; similarity 0.83", "copy"),
        (3, "contaminated", "vqa_rad/1", None, "", "equal"),
    ]  # 3 is a copy of a copy and none of the test image; the last one also holds the very image


def test_copies_are_counted_apart_from_equal_images():
    rows = table({**ITEM, "images": [1]}, {"images": [2]}, {"images": [3]}, {"images": [1]})
    matches = leaks.find_matches(
        rows, rows, [VQA_RAD_TEST], NO_TEXTS, copies((1, 2, 0.8), (1, 3)), NO_EXTERNAL_ITEMS, LEAK_RULE
    )
    (row,) = leaks.matrix(matches, rows, [VQA_RAD_TEST])
    assert (row["image"], row["near-duplicate"]) == (2, 1)


MATCHES = {
    "copy": "near-duplicate",
    "panel": "panel",
    "overlap 0.5": "image-overlap",
    "overlap 0.49": "image-overlap",
    "sequence": "sequence",
}
"""The kind of match of each of `RELATED`."""


@pytest.mark.parametrize(
    ("rule", "leaking"),
    [
        (LEAK_RULE, ["copy", "panel", "overlap 0.5"]),
        (CopyRule(panel="keep", overlap=0.4, sequence="drop"), ["copy", "overlap 0.5", "overlap 0.49", "sequence"]),
        (CopyRule(overlap="keep"), ["copy", "panel"]),
    ],
)
@pytest.mark.parametrize("name", RELATED)
def test_the_rule_decides_which_related_images_are_leaks_and_all_are_counted(name, rule, leaking):
    rows = table({**ITEM, "id": "vqa_rad/1", "images": [1]}, {"images": [2]})
    found = copies(related(1, 2, 0.8, **RELATED[name]))
    drops = dropped(rows, copies=found, rule=rule)
    kind = RELATED[name]["kind"]
    assert drops["relation"].to_list() == ([kind] if name in leaking else [])
    matches = leaks.find_matches(rows, rows, [VQA_RAD_TEST], NO_TEXTS, found, NO_EXTERNAL_ITEMS, rule)
    (row,) = leaks.matrix(matches, rows, [VQA_RAD_TEST])
    counted = {kind: count for kind, count in row.items() if kind in leaks.KINDS and count}
    assert counted == {MATCHES[name]: 1}
    assert row["leaks"] == (counted if name in leaking else {})


def best_match(*pairs, rule=LEAK_RULE):
    """Give kind, item and score of the match of image 9 with the test images 0 to 3."""
    rows = table(*({**ITEM, "images": [number]} for number in range(4)), {"images": [9]})
    matches = leaks.find_matches(rows, rows, [VQA_RAD_TEST], NO_TEXTS, copies(*pairs), NO_EXTERNAL_ITEMS, rule)
    return matches.filter(pl.col("relation") != "").select("kind", "item", "score").rows()


def test_a_row_counts_for_the_closest_kind_of_a_set_and_then_for_the_most_similar_item():
    pairs = [
        related(0, 9, 0.99, kind="sequence"),
        related(1, 9, 0.95, kind="overlap", share=0.9),
        related(2, 9, 0.7, kind="panel"),
        related(3, 9, 0.8, kind="panel"),
    ]
    assert best_match(*pairs) == [("panel", 3, 0.8)]
    assert best_match(*pairs, (2, 9, 0.6)) == [("near-duplicate", 2, 0.6)]
    assert best_match(*pairs, (1, 9)) == [("image", 1, None)]


def test_a_leak_goes_before_a_closer_kind_that_is_none():
    pairs = [related(0, 9, 0.9, kind="panel"), related(1, 9, 0.7, kind="sequence")]
    assert best_match(*pairs, rule=CopyRule(panel="keep", sequence="drop")) == [("sequence", 1, 0.7)]
    shares = [related(2, 9, 0.9, kind="overlap", share=0.3), related(3, 9, 0.7, kind="overlap", share=0.6)]
    assert best_match(*shares) == [("image-overlap", 3, 0.7)]


def test_what_training_shares_with_validation_is_a_leak_by_the_same_rule():
    rows = table({"images": [1], "split": "validation"}, {"images": [2]}, {"images": [3]})
    found = copies(related(1, 2, kind="panel"), related(1, 3, kind="sequence"))
    for rule, leaking in ((LEAK_RULE, {"panel": 1}), (CopyRule(panel="keep"), {})):
        matches, sets = leaks.match_validation(rows, [], NO_TEXTS, found, rule)
        (row,) = leaks.matrix(matches, rows, sets)
        assert (row["set"], row["panel"], row["sequence"], row["leaks"]) == ("slake validation", 1, 1, leaking)


def test_validation_rows_are_kept_clean_too_and_other_test_rows_are_left_alone():
    rows = table(
        {**ITEM, "id": "vqa_rad/1", "images": [1]},
        {"images": [1], "split": "validation", "upstream_split": "validation"},
        {"images": [1], "split": "test", "upstream_split": "test"},
    )
    assert set(fates(dropped(rows))) == {1}


def test_an_equal_text_counts_only_without_images():
    rows = table(
        {**ITEM, "id": "vqa_rad/1", "question_answer_key": "same", "images": [1]},
        {"question_answer_key": "same", "images": [9]},
        {"question_answer_key": "same"},
    )
    assert fates(dropped(rows)) == {2: ("contaminated", "vqa_rad/1")}


def test_an_evaluation_item_that_was_dropped_still_counts():
    everything = table({**ITEM, "id": "vqa_rad/1", "images": [1], "reason": "licence"}, {"images": [1]})
    alive = everything.filter(everything["reason"] == "")
    assert set(fates(dropped(alive, everything))) == {1}


def test_other_splits_of_the_source_are_no_evaluation_set():
    rows = table({**ITEM, "upstream_split": "validation", "images": [1]}, {"images": [1]})
    assert fates(dropped(rows)) == {}


def test_each_set_is_counted_with_what_fell_for_it_and_what_is_near_it(tmp_path):
    kept = {"outcome": "kept", "source": "vqa_rad"}
    rows = table(
        {**ITEM, "outcome": "dropped", "stage": "images", "reason": "missing-image"},
        {**ITEM, **kept, "split": "test", "question_answer_key": "yes", "images": [4]},
        {**kept, "question_answer_key": "yes"},
        {**kept},
        {**kept, "source": "slake"},
        {"outcome": "dropped", "reason": "contaminated", "evidence": "slake/1"},
    )
    scan = tmp_path / "scan.parquet"
    pl.DataFrame({"image_sha256": [["a"], ["b"], [], [], []]}).write_parquet(scan)
    found = coverage.coverage(rows, [VQA_RAD_TEST], {}, [ScanFile("vqa_rad", scan)], ["vqa_rad"])
    assert found.keys == {"vqa_rad test": [item_key(["b"], None)]}
    assert found.sets == [
        {
            "set": "vqa_rad test",
            "source": "vqa_rad",
            "split": "test",
            "checked": True,
            "partial": True,
            "items": 2,
            "items_sha256": item_keys.keys_digest([item_key(["b"], None)]),
            "images": 1,
            "unreadable": 1,
            "hits": 1,
            "in_domain": 2,
            "same_question_answer": 1,
            "leaks": "drop",
        }
    ]


def test_leaks_that_are_only_reported_drop_nothing():
    rows = table({**ITEM, "images": [1]}, {"images": [1]})
    assert fates(dropped(rows, evaluation=[EvaluationSet("vqa_rad", "test", leaks="report")])) == {}


def test_the_whole_group_falls_where_the_set_asks_for_it():
    rows = table(
        {**ITEM, "id": "vqa_rad/1", "images": [1], "group": "case-1"},
        {"images": [1], "group": "case-2"},
        {"images": [2], "group": "case-2"},
        {"images": [3], "group": "case-1"},
        {"images": [4], "group": "case-3"},
    )
    assert set(fates(dropped(rows))) == {1}
    whole = [EvaluationSet("vqa_rad", "test", group=True)]
    assert fates(dropped(rows, evaluation=whole)) == dict.fromkeys((1, 2, 3), ("contaminated", "vqa_rad/1"))


VIGNETTE = (
    "A 54-year-old carpenter comes to the clinic because his left hand has been weak since he fell from a ladder in "
    "spring. Which of the following is the most appropriate next step in the management of this patient?"
)
OTHER = (
    "A newborn girl is brought to the ward with a murmur that was not heard before birth and with blue lips. Which of "
    "the following is the most appropriate next step in the management of this patient?"
)
MEDQA_TEST = {"source": "medqa", "upstream_split": "test", "split": "test", "task": "mcqa"}
TEXT_SETS = [EvaluationSet("medqa", "test")]


def overlapping(folder, item, *rows):
    """Give index -> share of the item, by which text-only records of these texts fall."""
    told, scanned = texts(folder, {**MEDQA_TEST, **item}, *rows)
    drops = dropped(told, evaluation=TEXT_SETS, scanned=scanned)
    return dict(drops.select("index", "score").iter_rows())


def test_a_text_that_holds_the_question_falls_whatever_its_case_answer_options_and_place(tmp_path):
    rows = [
        {"question": VIGNETTE.upper(), "answer": "other", "choices": ["other"]},
        {"question": "What then?", "answer": "rest", "explanation": f"As in: {VIGNETTE}"},
        {"question": OTHER, "answer": "surgery"},
        {"question": VIGNETTE, "answer": "surgery", "images": [1]},
    ]
    assert overlapping(tmp_path, {"question": VIGNETTE, "answer": "surgery"}, *rows) == {1: 1.0, 2: 1.0}


def test_half_of_the_question_is_a_leak_and_boilerplate_is_none(tmp_path):
    """The question has 40 words, so 28 13-grams; its last 26 words hold 14 of them and its last 25 words 13."""
    words = VIGNETTE.split()
    rows = [{"question": " ".join(words[-count:]), "answer": "surgery"} for count in (26, 25)]
    assert overlapping(tmp_path, {"question": VIGNETTE, "answer": "x"}, *rows) == {1: 14 / 28}


def test_a_short_question_counts_whole_from_eight_words_on(tmp_path):
    rows = [
        {"question": "Say: which nerve runs through the canal of Guyon there?", "answer": "x"},
        {"question": "Which nerve runs through the canal of Alcock?", "answer": "x"},
    ]
    eight = {"question": "Which nerve runs through the canal of Guyon?", "answer": "ulnar"}
    assert overlapping(tmp_path, eight, *rows) == {1: 1.0}
    seven = {"question": "Which nerve runs through canal of Guyon?", "answer": "ulnar"}
    assert (
        overlapping(tmp_path, seven, {"question": "Say: which nerve runs through canal of Guyon?", "answer": "x"}) == {}
    )


def test_a_short_question_counts_by_its_words_and_with_its_answer(tmp_path):
    item = {"question": "“Drug of choice” in petit mal is:", "answer": "Valproate."}
    rows = [
        {"question": '"Drug of choice" in petit mal is -', "answer": "valproate"},
        {"question": "'Drug of choice in petit mal are?'", "answer": "Valproate"},
        {"question": "Drug of choice in petit mal is", "answer": "Phenytoin"},
        {"question": "Drug of no choice in petit mal is", "answer": "Valproate"},
    ]
    told, scanned = texts(tmp_path, {**MEDQA_TEST, **item}, *rows)
    drops = dropped(told, evaluation=TEXT_SETS, scanned=scanned)
    assert fates(drops) == dict.fromkeys((1, 2), ("contaminated", "slake/0"))


def test_the_matrix_counts_by_source_set_and_kind(tmp_path):
    told, scanned = texts(
        tmp_path,
        {**MEDQA_TEST, "question": VIGNETTE, "answer": "surgery"},
        {**ITEM, "question": "What is shown?", "answer": "a cyst", "images": [1], "group": "case-1"},
        {"source": "medmcqa", "rank": 1, "question": VIGNETTE, "answer": "surgery"},
        {"source": "medmcqa", "rank": 1, "question": VIGNETTE, "answer": "other"},
        {"source": "medmcqa", "rank": 1, "question": OTHER, "answer": "other"},
        {"question": "What is shown?", "answer": "A cyst", "images": [2]},
        {"question": "What else?", "answer": "A cyst", "images": [1], "group": "case-1"},
    )
    sets = [VQA_RAD_TEST, *TEXT_SETS]
    none = {
        "image": 0,
        "near-duplicate": 0,
        "panel": 0,
        "image-overlap": 0,
        "text": 0,
        "overlap": 0,
        "sequence": 0,
        "group": 0,
        "same-question-answer": 0,
        "ngram-match": 0,
    }
    matches = leaks.find_matches(told, told, sets, scanned, NO_COPIES, NO_EXTERNAL_ITEMS, LEAK_RULE)
    assert leaks.matrix(matches, told, sets) == [
        {
            **{"source": "slake", "set": "vqa_rad test", **none},
            **{"image": 1, "group": 1, "same-question-answer": 1, "leaks": {"image": 1}},
        },
        {
            **{"source": "medmcqa", "set": "medqa test", **none},
            **{"text": 1, "overlap": 1, "ngram-match": 1, "leaks": {"text": 1, "overlap": 1}},
        },
    ]
