import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medmix.curate.copies.confirm import NO_MATCH, Match, compare, prepare

from ..pictures import ALTERATIONS, FLIP, TURN, TURN_BACK, cropped, picture, pixels


def match(one: Image.Image, other: Image.Image) -> Match:
    return compare(prepare(pixels(one)), prepare(pixels(other)))


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_copy_is_one(name: str) -> None:
    found = match(picture(1), ALTERATIONS[name](picture(1)))
    assert found.same
    assert found.likeness >= 0.8


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), other=st.integers(10_001, 20_000))
def test_different_pictures_are_no_copies(seed: int, other: int) -> None:
    assert not match(picture(seed), picture(other)).same


def test_the_same_coarse_shapes_with_other_detail_are_no_copy() -> None:
    coarse = np.asarray(picture(1).resize((12, 10)).resize((256, 208), Image.Resampling.BICUBIC), float)
    one, two = (
        Image.fromarray(np.clip(coarse + 0.2 * (pixels(picture(seed)) - 128.0), 0, 255).astype(np.uint8))
        for seed in (2, 3)
    )
    assert np.corrcoef(pixels(one).ravel(), pixels(two).ravel())[0, 1] > 0.8
    assert not match(one, two).same


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(sorted(ALTERATIONS)))
def test_the_order_of_the_two_does_not_matter(seed: int, name: str) -> None:
    one, other = picture(seed), ALTERATIONS[name](picture(seed))
    there, back = match(one, other), match(other, one)
    assert (there.same, there.likeness, there.share, there.flipped) == (
        back.same,
        back.likeness,
        back.share,
        back.flipped,
    )
    assert there.zoom * back.zoom == pytest.approx(1, abs=1e-4)  # fitted to the pixels in either direction


@pytest.mark.parametrize(
    ("change", "flipped", "turn"),
    [([], False, 0), ([FLIP], True, 0), ([TURN], False, 90), ([TURN_BACK], False, 270), ([FLIP, TURN], True, 90)],
)
def test_it_says_how_the_copy_was_mirrored_and_turned(change: list[int], flipped: bool, turn: int) -> None:
    copy = picture(4)
    for kind in change:
        copy = copy.transpose(kind)
    there, back = match(picture(4), copy), match(copy, picture(4))
    assert (there.flipped, there.turn) == (flipped, turn)
    assert (back.flipped, back.turn) == (flipped, turn if flipped else -turn % 360)


def test_it_says_how_far_the_copy_is_zoomed_in() -> None:
    found = match(picture(4), cropped(picture(4), 0.1, 0.1, 0.1, 0.1))
    assert found.zoom == pytest.approx(1.25, abs=0.02)
    assert found.share > 0.95


def test_two_corners_that_hardly_overlap_are_no_copies() -> None:
    image = picture(4, 512, 416)
    assert not match(cropped(image, 0, 0, 0.45, 0.45), cropped(image, 0.45, 0.45, 0, 0)).same


def test_blank_and_tiny_pictures_match_nothing() -> None:
    blank = prepare(np.zeros((100, 100), np.uint8))
    assert blank is None
    assert compare(blank, prepare(pixels(picture(1)))) == NO_MATCH
    assert compare(blank, blank) == NO_MATCH
