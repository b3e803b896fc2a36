"""Withheld images are found by their pixels: coded anew, a little changed; other images are not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medmix.curate.measure.images import measure
from medmix.curate.publish.gate import withheld_images
from medmix.curate.publish.gate.withheld import hash_of_hex
from medmix.curate.publish.gate.withheld_images import HashIndex, picture_hashes, show_same

from .tampering import image_variants

LOSSLESS = ("its bytes", "a byte more", "as PNG", "as RGB", "as JPEG of quality 95", "with a comment", "brighter")


@pytest.fixture(scope="module")
def films(real_data) -> list[bytes]:
    """Real images of two kinds: radiographs and slices as JPEG, deep films as PNG."""
    paths = sorted((real_data / "vqa_rad/data_RAD/images").glob("*.jpg"))[:6]
    paths += sorted((real_data / "covid19_image_repository/png").glob("*.png"))[:2]
    return [path.read_bytes() for path in paths]


@pytest.fixture(scope="module")
def index(films) -> HashIndex:
    return HashIndex.of(np.stack([hash_of_hex(measure(data, 1 << 30).phash) for data in films]))


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_real_image_coded_anew_is_found_and_no_other(films, index, kind):
    for number, data in enumerate(films):
        variant = image_variants(data)[kind]
        shown = [place for place in index.near(picture_hashes(variant)).tolist() if show_same(variant, films[place])]
        assert shown == [number]


def test_real_images_are_not_taken_for_each_other(real_data, films, index):
    others = sorted((real_data / "vqa_rad/data_RAD/images").glob("*.jpg"))[6:90]
    assert len(others) == 84
    for path in others:
        data = path.read_bytes()
        assert not any(show_same(data, films[place]) for place in index.near(picture_hashes(data)))


def test_the_search_finds_all_that_share_a_word():
    generator = np.random.default_rng(3)
    hashes = generator.integers(0, 2**63, (500, 4), np.uint64)
    index = HashIndex.of(hashes)
    for number in range(0, 500, 50):
        bits = np.unpackbits(hashes[number].view(np.uint8))
        bits[generator.choice(256, 7, replace=False)] ^= 1
        assert index.near([np.packbits(bits).view("<u8")]).tolist() == [number]
        bits[:] = 1 - bits
        assert index.near([np.packbits(bits).view("<u8")]).tolist() == []


def test_a_black_image_has_no_hash_and_an_unreadable_one_shows_nothing(tmp_path: Path):
    Image.new("L", (64, 64)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert withheld_images.picture_hashes(data) == []
    assert show_same(data, data)
    assert not show_same(data, b"no image")
