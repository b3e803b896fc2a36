import numpy as np
import pytest

from medmix.curate.copies import neighbours
from medmix.curate.copies.fingerprints import FINGERPRINT, Fingerprints, fingerprint
from medmix.curate.copies.neighbours import candidates, equal_fingerprints

from ..pictures import ALTERATIONS, picture, pixels


def prints(*images) -> Fingerprints:
    return np.array([fingerprint(pixels(image)) for image in images], FINGERPRINT)


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
    assert copies["count"].max() < neighbours.FEW_KEYPOINTS
    copies["count"] = 0
    assert candidates(np.concatenate([copies, strangers])).tolist() == [[0, 1]]


def test_more_images_than_can_be_numbered_are_refused(monkeypatch):
    monkeypatch.setattr(neighbours, "_IMAGE_BITS", 2)
    with pytest.raises(ValueError, match="5 images: more than 4"):
        candidates(np.zeros(5, FINGERPRINT))
