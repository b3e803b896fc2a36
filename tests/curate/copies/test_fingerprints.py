import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medmix.curate.copies.fingerprints import (
    FINGERPRINT,
    KEYPOINTS,
    MIRROR_MASK,
    ORIENTATIONS,
    fingerprint,
    transform_hash,
    view_fingerprints,
)

from ..pictures import FLIP, TURN, jpeg, picture, pixels


def shared(one: np.ndarray, other: np.ndarray) -> int:
    """Count the keys of one that the other has too."""
    return len(np.intersect1d(one["keys"][: one["count"]], other["keys"][: other["count"]]))


def test_size_and_count():
    print_ = fingerprint(pixels(picture(1)))
    assert FINGERPRINT.itemsize == print_.nbytes == 520
    assert (print_["width"], print_["height"]) == (142, 115)
    assert print_["count"] == KEYPOINTS


@pytest.mark.parametrize("image", [np.zeros((300, 300), np.uint8), np.full((20, 20), 9, np.uint8)])
def test_blank_and_tiny_images_have_an_empty_one(image: np.ndarray) -> None:
    assert fingerprint(image) == np.zeros((), FINGERPRINT)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from([FLIP, TURN]))
def test_a_mirrored_or_turned_picture_has_the_same_keys(seed: int, kind: int) -> None:
    image = picture(seed)
    one, other = fingerprint(pixels(image)), fingerprint(pixels(image.transpose(kind)))
    assert shared(one, other) >= 0.7 * KEYPOINTS


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_another_picture_has_other_keys(seed: int) -> None:
    assert shared(fingerprint(pixels(picture(seed))), fingerprint(pixels(picture(seed + 1)))) <= 1


def test_a_mirrored_picture_is_mirrored_in_its_keypoints() -> None:
    image = picture(3)
    one, other = fingerprint(pixels(image)), fingerprint(pixels(image.transpose(FLIP)))
    _, mine, yours = np.intersect1d(one["keys"], other["keys"], return_indices=True)
    clear = (one["doubts"][mine, 1] >> 7) == 0
    assert np.all((one["doubts"][mine, 0] >> 7 != other["doubts"][yours, 0] >> 7)[clear])
    assert np.median(np.abs(one["places"][mine, 0] + other["places"][yours, 0].astype(int) - 256)) <= 3


def test_the_mirror_mask_turns_a_key_into_its_mirror() -> None:
    assert MIRROR_MASK.bit_count() == 14


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), orientation=st.sampled_from(ORIENTATIONS))
def test_hashes_of_all_orientations_come_from_one(seed: int, orientation: tuple[bool, bool, bool]) -> None:
    image = pixels(picture(seed, 200, 200))
    seen = image
    flip_x, flip_y, turn = orientation
    seen = seen[:, ::-1] if flip_x else seen
    seen = seen[::-1] if flip_y else seen
    seen = seen.T if turn else seen
    expected = fingerprint(np.ascontiguousarray(seen))["hash"]
    given_ = transform_hash(fingerprint(image)["hash"][None], *orientation)[0]
    assert np.bitwise_count(expected ^ given_).sum() <= 4


def test_the_hash_of_a_recompressed_copy_is_near() -> None:
    one, other = (fingerprint(pixels(image))["hash"] for image in (picture(5), jpeg(picture(5), 60)))
    stranger = fingerprint(pixels(picture(6)))["hash"]
    assert np.bitwise_count(one ^ other).sum() <= 16
    assert np.bitwise_count(one ^ stranger).sum() >= 90


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 100))
def test_every_image_has_a_whole_and_a_middle(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    taken = view_fingerprints(image)
    assert len(taken) >= 2
    assert taken[0] == fingerprint(image)
    assert all(view["width"] for view in taken[2:])


def test_the_views_of_a_wide_figure_are_its_middle_its_square_and_its_panels():
    figure = np.concatenate([pixels(picture(seed)) for seed in (1, 2)], axis=1)
    taken = view_fingerprints(figure)
    assert [shared(taken[place], fingerprint(pixels(picture(seed)))) >= 40 for place, seed in ((3, 1), (4, 2))] == [
        True
    ] * 2
    assert (len(taken), abs(int(taken[2]["width"]) - int(taken[2]["height"])) <= 1) == (5, True)
