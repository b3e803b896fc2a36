import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from medmix.curate.decide import duplicates

from .rows import NO_COPIES, fates, table, texts

NOBODY = pl.lit(False)


def test_equal_pixels_and_equal_text_are_duplicates():
    rows = table(
        {"images": [1], "text_key": "t"},
        {"images": [1], "text_key": "t"},
        {"images": [1], "text_key": "u"},
        {"images": [2], "text_key": "t"},
        {"images": [1, 2], "text_key": "t"},
    )
    assert fates(duplicates.exact(rows, NO_COPIES, NOBODY)) == {1: ("duplicate", "slake/0")}


def test_without_images_the_text_alone_counts():
    rows = table({"text_key": "t"}, {"text_key": "t"}, {"text_key": "u"})
    assert fates(duplicates.exact(rows, NO_COPIES, NOBODY)) == {1: ("duplicate", "slake/0")}


def survivor(*rows):
    """Give the place of the only row that survives among records with the same text."""
    dropped = fates(duplicates.exact(table(*({"text_key": "t", **row} for row in rows)), NO_COPIES, NOBODY))
    (alive,) = set(range(len(rows))) - set(dropped)
    return alive


def test_the_survivor_is_chosen_by_split_then_source_then_licence_size_length_and_id():
    first, last = {"rank": 0, "id": "a"}, {"rank": 1, "id": "b"}
    assert survivor(last, first) == 1
    assert survivor({**last, "split": "validation"}, first) == 0
    assert survivor({"openness": 1}, {"openness": 3}) == 1
    assert survivor({"openness": 3, "area": 5}, {"openness": 3, "area": 6}) == 1
    assert survivor({"text_bytes": 4}, {"text_bytes": 9}) == 1
    assert survivor({"id": "x/2"}, {"id": "x/1"}) == 1


def test_spared_rows_are_neither_dropped_nor_survivors():
    rows = table({"text_key": "t", "split": "test"}, {"text_key": "t", "split": "test"}, {"text_key": "t"})
    assert fates(duplicates.exact(rows, NO_COPIES, pl.col("split") == "test")) == {}


CAPTION = "Axial computed tomography of the chest shows a round nodule beside the hilum and clips over the abdomen"
LONGER = f"{CAPTION}, courtesy of the department"


def near(folder, *rows):
    """Give index -> (reason, survivor, score) among records of these texts."""
    told, scanned = texts(folder, *rows)
    drops = duplicates.near(told, NO_COPIES, NOBODY, scanned, 0.8)
    return {index: tuple(rest) for index, *rest in drops.select("index", "reason", "evidence", "score").iter_rows()}


def test_the_same_image_and_nearly_the_same_text_is_a_near_duplicate_of_the_longer_text(tmp_path):
    found = near(tmp_path, {"answer": CAPTION, "images": [1]}, {"answer": LONGER, "images": [1], "text_bytes": 99})
    assert found == {0: ("near-duplicate", "slake/1", 16 / 20)}


def test_nearly_the_same_text_on_another_image_is_none(tmp_path):
    assert near(tmp_path, {"answer": CAPTION, "images": [1]}, {"answer": LONGER, "images": [2]}) == {}


def test_images_of_one_cluster_count_as_the_same(tmp_path):
    rows, scanned = texts(tmp_path, {"answer": CAPTION, "images": [1]}, {"answer": LONGER, "images": [2]})
    clustered = rows.with_columns(image_cluster=pl.lit(7, pl.UInt32))
    assert set(fates(duplicates.near(clustered, NO_COPIES, NOBODY, scanned, 0.8))) == {1}


def test_another_side_or_number_is_no_near_duplicate(tmp_path):
    rows = [{"answer": LONGER + end, "images": [1]} for end in ("", " left", " right", " T1", " T2")]
    assert near(tmp_path, *rows) == {}


def test_questions_are_compared_with_answers_and_options(tmp_path):
    one = {"question": CAPTION, "answer": "b", "choices": ["a", "b"]}
    rows = [one, {**one, "question": LONGER}, {**one, "choices": ["b", "c"]}, {**one, "answer": "a"}]
    assert set(near(tmp_path, *rows)) == {1}


def test_one_that_fell_takes_no_other_with_it(tmp_path):
    """Each text is near the next, the first and the last are not; the chain does not merge them."""
    chain = [CAPTION, f"{CAPTION} seen today", f"{CAPTION} seen today by the radiologist on duty"]
    found = near(tmp_path, *({"answer": text} for text in chain))
    assert {index: evidence for index, (_, evidence, _) in found.items()} == {1: "slake/0"}


@settings(deadline=None)
@given(st.permutations(range(5)))
def test_the_order_of_the_rows_does_not_matter(order):
    told = [CAPTION, LONGER, f"{CAPTION} as seen", f"No {CAPTION}", f"{LONGER} in spring"]
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"answer": told[place], "id": f"x/{place}", "text_bytes": len(told[place])} for place in order]
        found = near(Path(folder), *rows)
    assert {rows[index]["id"]: evidence for index, (_, evidence, _) in found.items()} == {
        "x/1": "x/4",
        "x/0": "x/2",
    }


def test_boilerplate_costs_a_bounded_number_of_comparisons(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(duplicates, "similarity", lambda *pair: asked.append(pair))
    monkeypatch.setattr(duplicates, "MAX_COMPARED", 2)
    rows = [{"answer": f"{CAPTION} {'again ' * number}"} for number in range(1, 30)]
    assert near(tmp_path, *rows) == {}
    assert 0 < len(asked) <= 29 * 2 * 20
