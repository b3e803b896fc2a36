"""Which images stand for others, and what the ledger says of records that fall for an altered copy."""

import polars as pl

from medmix.curate.decide import duplicates, imagecopies

from .rows import NO_COPIES, copies, fates, table

ALL = pl.lit(True)
NOBODY = pl.lit(False)


def shown(*rows, found=NO_COPIES, taking_part=ALL):
    return imagecopies.clustered(table(*rows), found, taking_part)["shown"].to_list()


def test_a_copy_is_shown_by_the_image_most_worth_keeping():
    small, large = {"images": [0], "area": 100}, {"images": [1], "area": 900}
    assert shown(small, large, found=copies((0, 1, 0.9))) == [[1], [1]]
    assert shown(small, large) == [[0], [1]]


def test_the_images_of_records_that_take_no_part_do_not_stand_for_those_that_do():
    small, large = {"images": [0], "area": 100}, {"images": [1], "area": 900, "reason": "language"}
    assert shown(small, large, found=copies((0, 1, 0.9)), taking_part=pl.col("reason") == "") == [[0], [0]]


def test_copies_of_copies_do_not_chain():
    rows = ({"images": [0], "area": 3}, {"images": [1], "area": 2}, {"images": [2], "area": 1})
    assert shown(*rows, found=copies((0, 1, 0.9), (1, 2, 0.9))) == [[0], [0], [2]]


def test_records_with_several_images_and_with_none():
    rows = ({"images": [0, 1]}, {"images": [2, 1]}, {"images": [1, 2]}, {"images": []}, {"images": []})
    clusters = imagecopies.clustered(table(*rows), copies((0, 2, 0.9)), ALL)["image_cluster"].to_list()
    assert clusters[0] == clusters[1] != clusters[2]
    assert clusters[3] == clusters[4] not in clusters[:3]


def dropped(found, *rows):
    told = imagecopies.clustered(table(*({"text_key": "t", **row} for row in rows)), found, ALL)
    return duplicates.exact(told, found, NOBODY)


def test_a_duplicate_with_an_altered_image_is_dropped_with_likeness_and_transformation():
    drops = dropped(copies((0, 1, 0.87)), {"images": [0]}, {"images": [1]})
    assert drops.rows() == [(1, "duplicate", "slake/0", 0.87, "cut out and enlarged 1.25 times; likeness 0.87")]


def test_the_transformation_is_told_from_the_survivor_to_the_one_that_falls():
    drops = dropped(copies((0, 1, 0.87)), {"images": [0], "area": 1}, {"images": [1], "area": 2})
    assert drops["transformation"].to_list() == ["shown with more around it, 0.8 times the size; likeness 0.87"]


def test_two_cuts_of_a_third_image_are_said_to_come_together_through_it():
    whole, left, right = {"images": [0], "text_key": "other"}, {"images": [1]}, {"images": [2]}
    drops = dropped(copies((0, 1, 0.9), (0, 2, 0.8)), whole, left, right)
    assert drops.rows() == [(2, "duplicate", "slake/1", 1.0, "like it a copy of an image of slake/0")]


def test_equal_text_on_images_that_are_no_copies_stays():
    assert fates(dropped(NO_COPIES, {"images": [0]}, {"images": [1]})) == {}


def test_both_ways_tell_of_mirrors_turns_and_pixels():
    made = {"exact": False, "likeness": 0.9, "flipped": True, "turn": 90, "zoom": 1.0}
    turned = {**made, "image": 4, "other": 5, "flipped": False}
    rows = [{**made, "image": 0, "other": 1}, turned, {**turned, "image": 6, "other": 7, "exact": True, "turn": 0}]
    how = {
        (image, original): words
        for image, original, words in imagecopies.both_ways(pl.DataFrame(rows, NO_COPIES.schema))
        .select("image", "original", "how")
        .iter_rows()
    }
    assert how[1, 0] == how[0, 1] == "mirrored, turned by 90 degrees; likeness 0.9"
    assert how[5, 4] == "turned by 90 degrees; likeness 0.9"
    assert how[4, 5] == "turned by 270 degrees; likeness 0.9"
    assert how[7, 6] == "of equal pixels in another file"
