import numpy as np
import pytest
from PIL import Image, ImageOps

from medmix.curate.copies import mapped, neighbours
from medmix.curate.copies.fingerprints import (
    FEW_KEYPOINTS,
    FINGERPRINT,
    Fingerprints,
    Views,
    fingerprint,
    view_fingerprints,
)
from medmix.curate.copies.neighbours import equal_fingerprints

from ..pictures import ALTERATIONS, below, beside, cropped, picture, pixels


def prints(*images) -> Fingerprints:
    return np.array([fingerprint(pixels(image)) for image in images], FINGERPRINT)


def candidates(wholes: Fingerprints, known: int = 0, workers: int = 1):
    """Search images of which there are no other views."""
    return neighbours.candidates(Views.of([whole[None] for whole in wholes]), known, workers)


@pytest.fixture(scope="module")
def strangers() -> Fingerprints:
    return prints(*(picture(seed) for seed in range(100, 140)))


def test_strangers_are_not_proposed(strangers):
    assert candidates(strangers).tolist() == []


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_copy_is_proposed(strangers, name):
    copies = prints(picture(1), ALTERATIONS[name](picture(1)))
    assert candidates(np.concatenate([copies[:1], strangers, copies[1:]])).tolist() == [[0, 41]]


def test_equal_fingerprints_are_paired_with_each_other(strangers):
    many = np.concatenate([strangers[:3], np.repeat(strangers[1:2], 2)])
    assert candidates(many).tolist() == [[1, 3], [1, 4], [3, 4]]
    assert equal_fingerprints(many).tolist() == [[1, 3], [1, 4]]


def test_a_copy_is_proposed_for_each_image_of_equal_fingerprint(strangers):
    copies = prints(picture(1), picture(1), ALTERATIONS["flip"](picture(1)), ALTERATIONS["flip"](picture(1)))
    everything = np.concatenate([copies, strangers])
    assert candidates(everything).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    assert candidates(everything[[0, 2, 1, 3]], known=2).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_of_very_many_images_of_equal_fingerprint_the_rest_hang_on_the_first():
    most = neighbours.MAX_IMAGES_PER_KEY
    found = candidates(prints(picture(1)).repeat(most + 100))
    assert len(found) == most * (most - 1) // 2 + 100
    assert found[found[:, 1] >= most, 0].tolist() == [0] * 100


def test_blank_images_are_never_proposed():
    assert candidates(np.zeros(50, FINGERPRINT)).tolist() == []
    assert candidates(np.zeros(0, FINGERPRINT)).tolist() == []


def test_a_new_source_is_compared_with_all_and_the_known_ones_are_not_compared_again(strangers):
    copy = prints(ALTERATIONS["flip"](picture(100)))
    everything = np.concatenate([strangers, strangers[5:6], copy, copy])
    assert candidates(everything).tolist() == [[0, 41], [0, 42], [5, 40], [41, 42]]
    assert candidates(everything, known=40).tolist() == [[0, 41], [0, 42], [5, 40], [41, 42]]
    assert candidates(everything, known=42).tolist() == [[0, 42], [41, 42]]
    assert candidates(everything, known=43).tolist() == []


def test_workers_and_blocks_change_nothing(strangers, monkeypatch):
    everything = np.concatenate(
        [strangers, prints(*(ALTERATIONS["crop of 5 %"](picture(seed)) for seed in range(100, 110)))]
    )
    whole = candidates(everything)
    assert whole.tolist() == [[place, place + 40] for place in range(10)]
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    assert candidates(everything, workers=2).tolist() == whole.tolist()


def test_a_crowded_key_does_not_explode():
    crowd = prints(picture(1)).repeat(3000)
    crowd["hash"] = np.random.default_rng(0).integers(0, 1 << 63, (3000, 4), np.uint64)
    found = candidates(crowd)
    assert len(found) < 3000 * (neighbours.MAX_IMAGES_PER_KEY + 1) * 5
    assert set(found.ravel()) == set(range(3000))


def test_a_picture_with_few_keypoints_is_found_by_its_hash_in_any_orientation(strangers):
    smooth = picture(7).resize((5, 4)).resize((200, 160), 3)
    copies = prints(smooth, smooth.transpose(2))
    assert copies["count"].max() < FEW_KEYPOINTS
    copies["count"] = 0
    assert candidates(np.concatenate([copies, strangers])).tolist() == [[0, 1]]


def test_more_images_than_can_be_numbered_are_refused(monkeypatch):
    monkeypatch.setattr(neighbours, "_ROW_BITS", 2)
    with pytest.raises(ValueError, match="5 images: more views than 4"):
        candidates(np.zeros(5, FINGERPRINT))


MORE = {
    "negative": ImageOps.invert,
    "a quarter off each border": lambda image: cropped(image, 0.25, 0.25, 0.25, 0.25),
    "squeezed and cut": lambda image: cropped(image, 0.05, 0.05, 0.05, 0.05).resize((150, 240)),
    "15 degrees": lambda image: image.rotate(15, Image.Resampling.BICUBIC),
    "right part": lambda image: cropped(image, 0.45, 0, 0, 0),
    "panel of two": lambda image: beside(image, picture(50)),
    "panel of two, a gutter between": lambda image: beside(image, picture(50), gutter=8),
    "panel of four": lambda image: below(beside(image, picture(50)), beside(picture(51), picture(52))),
}


@pytest.mark.parametrize("name", MORE)
def test_a_copy_or_part_is_proposed_by_one_of_its_views(name):
    """In both orders, and whichever of the two is new."""
    images = [picture(1, 320, 256), *(picture(seed) for seed in range(100, 140)), MORE[name](picture(1, 320, 256))]
    for order in (images, images[::-1]):
        views = Views.of([view_fingerprints(pixels(image)) for image in order])
        assert neighbours.candidates(views).tolist() == [[0, 41]]
        assert neighbours.candidates(views, known=41).tolist() == [[0, 41]]


def test_two_middles_alone_propose_nothing():
    """What two pictures share only in their middles is found by neither whole."""
    middle = prints(picture(3))
    same = Views.of([np.concatenate([whole[None], middle]) for whole in prints(picture(1), picture(2))])
    assert same.is_middle.tolist() == [True, True]
    assert neighbours.candidates(same).tolist() == []


def test_views_are_taken_by_image_in_any_order():
    prints = [view_fingerprints(pixels(picture(seed, 320, 200 + 10 * seed))) for seed in range(4)]
    views = Views.of(prints)
    assert [len(one) for one in prints] == [3, 3, 3, 3]
    assert views.owner.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    taken = mapped.take(views, np.array([2, 0]))
    assert (taken.whole == views.whole[[2, 0]]).all()
    assert (taken.others == views.others[[4, 5, 0, 1]]).all()
    assert taken.owner.tolist() == [0, 0, 1, 1]
    joined = mapped.followed_by(taken, mapped.take(views, np.array([3])))
    assert joined.owner.tolist() == [0, 0, 1, 1, 2, 2]


def test_keys_that_many_images_share_propose_a_pair_only_together(strangers, monkeypatch):
    """Three keypoints of one image in another: enough where they are rare, too little where a crowd has them."""
    one, other = prints(picture(1)), prints(picture(1))
    for name in ("keys", "places", "doubts"):
        other[name][0, 3:] = strangers[name][0, 3:]
    other["hash"] = strangers["hash"][0]
    everything = np.concatenate([one, other, strangers[1:]])
    assert candidates(everything).tolist() == [[0, 1]]
    monkeypatch.setattr(neighbours, "MAX_IMAGES_PER_KEY", 2)
    assert candidates(everything).tolist() == []
