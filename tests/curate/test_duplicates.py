import polars as pl

from medmix.curate import duplicates

from .rows import fates, table

NOBODY = pl.lit(False)


def test_equal_pixels_and_equal_text_are_duplicates():
    rows = table(
        {"pixels": ["p"], "text_key": "t"},
        {"pixels": ["p"], "text_key": "t"},
        {"pixels": ["p"], "text_key": "u"},
        {"pixels": ["q"], "text_key": "t"},
        {"pixels": ["p", "q"], "text_key": "t"},
    )
    assert fates(duplicates.exact(rows, NOBODY)) == {1: ("duplicate", "slake/0")}


def test_without_images_the_text_alone_counts():
    rows = table({"text_key": "t"}, {"text_key": "t"}, {"text_key": "u"})
    assert fates(duplicates.exact(rows, NOBODY)) == {1: ("duplicate", "slake/0")}


def survivor(*rows):
    """Give the place of the only row that survives among records with the same text."""
    dropped = fates(duplicates.exact(table(*({"text_key": "t", **row} for row in rows)), NOBODY))
    (alive,) = set(range(len(rows))) - set(dropped)
    return alive


def test_the_survivor_is_chosen_by_split_then_source_then_licence_size_length_and_id():
    first, last = {"rank": 0, "id": "a"}, {"rank": 1, "id": "b"}
    assert survivor(last, first) == 1
    assert survivor({**last, "split": "validation"}, first) == 0
    assert survivor({"openness": 1}, {"openness": 3}) == 1
    assert survivor({"openness": 3, "area": 5}, {"openness": 3, "area": 6}) == 1
    assert survivor({"answer_chars": 4}, {"answer_chars": 9}) == 1
    assert survivor({"id": "x/2"}, {"id": "x/1"}) == 1


def test_spared_rows_are_neither_dropped_nor_survivors():
    rows = table({"text_key": "t", "split": "test"}, {"text_key": "t", "split": "test"}, {"text_key": "t"})
    assert fates(duplicates.exact(rows, pl.col("split") == "test")) == {}
