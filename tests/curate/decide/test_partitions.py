"""Stages in parts of the table decide as in one piece."""

import polars as pl
import pytest

from medmix.curate.decide import contradictions, duplicates, leaks, overlap, partitions
from medmix.curate.decide.image_copies import add_clusters, first_owners
from medmix.curate.decide.leaks import NO_EXTERNAL_ITEMS
from medmix.curate.decide.stages import decide
from medmix.curate.mixture import CopyRule, EvaluationSet, Mixture, SourceChoice

from .rows import NO_TEXTS, copies, fates, related, table, texts

NOT_EVALUATION = pl.lit(False)


@pytest.fixture
def small_parts(monkeypatch):
    """Let a part have three rows, nearly."""
    monkeypatch.setattr(partitions, "ROWS_PER_PART", 3)


def test_parts_have_all_rows_of_their_keys_in_order(small_parts):
    rows = pl.DataFrame({"key": [number % 7 for number in range(40)], "row": range(40)})
    seen = []

    def find(part):
        seen.append(part.height)
        return part.select("row", group=pl.col("row").implode().over("key"))

    found = partitions.by_key(rows, "key", pl.col("row") != 5, find)
    assert len(seen) == 13
    assert sorted(found["row"]) == [row for row in range(40) if row != 5]
    for row, group in found.iter_rows():
        assert group == [other for other in range(40) if other % 7 == row % 7 and other != 5]


def test_runs_of_rows_are_found_in_the_order_of_the_table(small_parts):
    rows = pl.DataFrame({"row": range(10)})
    found = partitions.by_rows(rows, lambda part: part.select("row", size=pl.len()))
    assert found.rows() == [(row, 3 if row < 9 else 1) for row in range(10)]


ROWS = [
    {
        "images": [number % 6],
        "text_key": f"t{number % 4}",
        "group": f"g{number % 9}",
        "question_key": number % 5,
        "question_answer_key": f"q{number % 10}",
        "area": 1000 * (number % 3 + 1),
        "upstream_split": "test" if number == 7 else "train",
        "source": "vqa_rad" if number % 8 == 7 else "slake",
        "rank": int(number % 8 == 7),
    }
    for number in range(60)
]
RELATED = copies(related(0, 1), related(0, 2), related(3, 4))


def test_a_decision_in_parts_is_that_in_one_piece(monkeypatch):
    sources = {"slake": SourceChoice(), "vqa_rad": SourceChoice()}
    mixture = Mixture("m", "1.0.0", "d", sources, evaluation=(EvaluationSet("vqa_rad", "test"),))
    rows = table(*ROWS)
    whole = decide(rows, mixture, NO_TEXTS, RELATED, NO_EXTERNAL_ITEMS)
    monkeypatch.setattr(partitions, "ROWS_PER_PART", 3)
    parts = decide(rows, mixture, NO_TEXTS, RELATED, NO_EXTERNAL_ITEMS)
    assert set(whole.records["reason"]) >= {"duplicate", "contaminated", "split-conflict", ""}
    assert parts.records.equals(whole.records)
    assert (parts.leaks, parts.validation_leaks, parts.copies) == (whole.leaks, whole.validation_leaks, whole.copies)


def test_a_copy_is_described_by_the_owner_of_the_image_between_though_that_is_in_another_part(small_parts):
    rows = table(
        {"images": [0], "area": 90_000, "text_key": "other"},
        {"images": [1], "text_key": "t"},
        {"images": [2], "text_key": "t"},
    )
    rows = add_clusters(rows, RELATED, is_eligible=pl.lit(True))
    owners = first_owners(rows.lazy(), RELATED)
    drops = duplicates.exact(rows.filter(pl.col("text_key") == "t"), RELATED, NOT_EVALUATION, owners)
    assert drops["transformation"].to_list() == ["like it a copy of an image of slake/0"]


def test_contradictions_are_found_in_parts(small_parts):
    rows = table(
        *(
            {"images": [0], "question_key": key, "question_answer_key": f"{key} {answer}"}
            for key in range(6)
            for answer in range(2)
        )
    )
    parts = partitions.by_key(
        rows, "question_key", pl.lit(True), lambda part: contradictions.drops(part, NOT_EVALUATION)
    )
    assert fates(parts) == {index: ("contradictory", f"slake/{index ^ 1}") for index in range(12)}


STEM = "which of the following is the most appropriate next step in the management of this patient"


def test_near_duplicates_are_found_in_parts(small_parts, tmp_path):
    long = "a man of forty years has had pain in the left knee since he fell from a ladder while he worked number"
    rows, scanned = texts(
        tmp_path,
        *({"images": [0], "question": f"{long} {'abcdefgh'[place // 2]}" + "!" * (place % 2)} for place in range(16)),
    )
    found = duplicates.near(rows, copies(), NOT_EVALUATION, scanned, 0.8)
    monkey = partitions.ROWS_PER_PART
    assert monkey == 3
    partitions.ROWS_PER_PART = 1000
    try:
        assert duplicates.near(rows, copies(), NOT_EVALUATION, scanned, 0.8).sort("index").equals(found.sort("index"))
    finally:
        partitions.ROWS_PER_PART = monkey
    assert found.height >= 8


def test_boilerplate_of_many_items_is_matched_in_bounded_runs_and_hides_no_leak(monkeypatch, tmp_path):
    items = [{"split": "test", "upstream_split": "test", "question": f"{STEM} case {number}"} for number in range(30)]
    training = [{"question": f"{STEM} case {number} again"} for number in range(20, 25)]
    rows, scanned = texts(tmp_path, *items, *training)
    evaluation = (EvaluationSet("slake", "test"),)

    def match():
        return leaks.find_matches(rows, rows, evaluation, scanned, copies(), NO_EXTERNAL_ITEMS, CopyRule())

    found = match().filter(pl.col("kind") == "overlap").select("index", "item", "score").rows()
    assert found == [(30 + place, 20 + place, 1.0) for place in range(5)]
    most = []
    best = overlap.ItemGrams._best
    monkeypatch.setattr(overlap, "MAX_MATCHES", 200)
    monkeypatch.setattr(overlap.ItemGrams, "_best", lambda self, part: (most.append(part), best(self, part))[1])
    assert match().filter(pl.col("kind") == "overlap").select("index", "item", "score").rows() == found
    assert len(most) > 1
    assert max(part.filter(pl.col("index") != part["index"][0])["fields"].sum() for part in most) <= 200


def test_items_with_equal_texts_are_one_and_the_first_of_a_set_is_named(tmp_path):
    items = [{"split": "test", "upstream_split": "test", "question": STEM} for _ in range(5)]
    rows, scanned = texts(tmp_path, *items, {"question": f"{STEM} now"})
    grams = overlap.ItemGrams(
        overlap.grams_of(scanned.texts(rows[:5])),
        pl.DataFrame({"item": range(5), "set": [1, 0, 0, 1, 1]}).cast({"item": pl.UInt32, "set": pl.Int32}),
    )
    (part,) = scanned.texts(rows[5:])
    assert grams.shares(part).select("set", "item", "share").rows() == [(0, 1, 1.0), (1, 0, 1.0)]
    assert len(grams._grams) == 2 * 4  # of each set once
