"""Which images stand for others, and what the ledger says of records that fall for an altered copy."""

import polars as pl

from medmix.curate.decide import duplicates, image_copies

from .rows import NO_COPIES, copies, fates, related, table

ALL = pl.lit(True)
NOBODY = pl.lit(False)


def representatives(*rows, found=NO_COPIES, is_eligible=ALL):
    return image_copies.add_clusters(table(*rows), found, is_eligible)["representatives"].to_list()


def test_a_copy_is_represented_by_the_image_most_worth_keeping():
    small, large = {"images": [0], "area": 100}, {"images": [1], "area": 900}
    assert representatives(small, large, found=copies((0, 1, 0.9))) == [[1], [1]]
    assert representatives(small, large) == [[0], [1]]


def test_the_images_of_records_that_are_not_eligible_do_not_represent_those_that_are():
    small, large = {"images": [0], "area": 100}, {"images": [1], "area": 900, "reason": "language"}
    assert representatives(small, large, found=copies((0, 1, 0.9)), is_eligible=pl.col("reason") == "") == [[0], [0]]


def test_copies_of_copies_do_not_chain():
    rows = ({"images": [0], "area": 3}, {"images": [1], "area": 2}, {"images": [2], "area": 1})
    assert representatives(*rows, found=copies((0, 1, 0.9), (1, 2, 0.9))) == [[0], [0], [2]]


def test_records_with_several_images_and_with_none():
    rows = ({"images": [0, 1]}, {"images": [2, 1]}, {"images": [1, 2]}, {"images": []}, {"images": []})
    clusters = image_copies.add_clusters(table(*rows), copies((0, 2, 0.9)), ALL)["image_cluster"].to_list()
    assert clusters[0] == clusters[1] != clusters[2]
    assert clusters[3] == clusters[4] not in clusters[:3]


def dropped(found, *rows):
    clustered = image_copies.add_clusters(table(*({"text_key": "t", **row} for row in rows)), found, ALL)
    return duplicates.exact(clustered, found, NOBODY)


def test_a_duplicate_with_an_altered_image_is_dropped_with_similarity_and_transformation():
    drops = dropped(copies((0, 1, 0.87)), {"images": [0]}, {"images": [1]})
    assert drops.rows() == [
        (1, "duplicate", "slake/0", 0.87, "cropped and enlarged 1.25 times; similarity 0.87", "copy")
    ]


def test_the_transformation_is_described_from_the_survivor_to_the_dropped_one():
    drops = dropped(copies((0, 1, 0.87)), {"images": [0], "area": 1}, {"images": [1], "area": 2})
    assert drops["transformation"].to_list() == ["a wider view, scaled 0.8 times; similarity 0.87"]


def test_two_crops_of_a_third_image_share_a_cluster_through_it():
    whole, left, right = {"images": [0], "text_key": "other"}, {"images": [1]}, {"images": [2]}
    drops = dropped(copies((0, 1, 0.9), (0, 2, 0.8)), whole, left, right)
    assert drops.rows() == [(2, "duplicate", "slake/1", 1.0, "like it a copy of an image of slake/0", "copy")]


def test_equal_text_on_images_that_are_no_copies_stays():
    assert fates(dropped(NO_COPIES, {"images": [0]}, {"images": [1]})) == {}


def words(*pairs) -> dict[tuple[int, int], str]:
    """Give (image, original) -> how the image was made of the original."""
    both = image_copies.in_both_directions(copies(*pairs)).select("image", "original", "transformation")
    return {(image, original): text for image, original, text in both.iter_rows()}


def test_flips_and_rotations_are_described_in_both_directions():
    made = {"turn": 90, "zoom": 1.0}
    described = words(related(0, 1, flipped=True, **made), related(4, 5, **made))
    assert described[1, 0] == described[0, 1] == "flipped, rotated by 90 degrees; similarity 0.9"
    assert described[5, 4] == "rotated by 90 degrees; similarity 0.9"
    assert described[4, 5] == "rotated by 270 degrees; similarity 0.9"


def test_panels_overlaps_and_sequences_are_described_in_both_directions():
    half = {"left": 0.5, "top": 0.0, "right": 1.0, "bottom": 0.996}
    described = words(
        related(0, 1, 0.93, kind="panel", zoom=1.41, **half),
        related(2, 3, 0.93, kind="panel", zoom=0.71, turn=90, **half),
        related(4, 5, 0.8, kind="overlap", share=0.62),
        related(6, 7, 0.75, kind="sequence", zoom=0.97),
    )
    assert described == {
        (1, 0): "a panel, at 0.50 0.00 1.00 1.00 of the other; similarity 0.93",
        (0, 1): "shows the other as a panel, at 0.50 0.00 1.00 1.00; similarity 0.93",
        (3, 2): "shows the other as a panel, at 0.50 0.00 1.00 1.00, rotated by 90 degrees; similarity 0.93",
        (2, 3): "a panel, at 0.50 0.00 1.00 1.00 of the other, rotated by 270 degrees; similarity 0.93",
        (5, 4): "overlaps by 0.62; similarity 0.8",
        (4, 5): "overlaps by 0.62; similarity 0.8",
        (7, 6): "a neighbouring slice or frame; similarity 0.75",
        (6, 7): "a neighbouring slice or frame; similarity 0.75",
    }


def test_the_least_close_relation_of_several_images_is_that_of_the_record():
    found = copies((1, 2), related(1, 4, kind="panel", zoom=1.4), related(0, 5, kind="overlap", share=0.6))
    rows = [{"images": [1, 1, 1], "area": 90_000}, {"images": [1, 2, 1]}, {"images": [2, 4, 1]}, {"images": [1, 1, 1]}]
    assert dropped(found, *rows)["relation"].to_list() == ["equal", "panel", "equal"]


def test_records_without_images_are_related_by_none():
    assert dropped(NO_COPIES, {}, {}).select("transformation", "relation").rows() == [("", "")]


def test_images_related_through_a_third_have_the_less_close_relation_of_the_two():
    whole, copy, panel = {"images": [0], "text_key": "other"}, {"images": [1]}, {"images": [2]}
    drops = dropped(copies((0, 1, 0.9), related(0, 2, kind="panel", zoom=1.4)), whole, copy, panel)
    assert drops.rows() == [(2, "duplicate", "slake/1", 1.0, "like it related to an image of slake/0", "panel")]


def test_what_is_confirmed_of_an_image_holds_for_all_with_its_pixels():
    found = copies((0, 1), (0, 2), (0, 3, 0.9))
    rows = [{"images": [1], "area": 90_000}, {"images": [2]}, {"images": [3]}]
    drops = dropped(found, *rows)
    assert drops.rows() == [
        (1, "duplicate", "slake/0", 1.0, "equal pixels in another file", "equal"),
        (2, "duplicate", "slake/0", 0.9, "cropped and enlarged 1.25 times; similarity 0.9", "copy"),
    ]
