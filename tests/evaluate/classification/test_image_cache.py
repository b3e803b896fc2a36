"""The cache of decoded images: what is in it, when it is used, what it refuses."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medmix.curate.errors import UsageError
from medmix.evaluate.classification import datasets, image_cache, readers
from medmix.evaluate.classification.samples import Sample

BUDGET = 10**8


def samples(folder: Path, *images: Image.Image) -> list[Sample]:
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, image in enumerate(images):
        path = folder / f"{number}.png"
        image.save(path)
        found.append(Sample(path.name, path, (0,)))
    return found


def test_an_image_keeps_its_proportions_and_says_where_it_ends(tmp_path: Path) -> None:
    wide = Image.new("RGB", (40, 20), (200, 100, 50))
    found = image_cache.load(samples(tmp_path / "set", wide), 8, tmp_path / "cache", BUDGET)
    assert found.pixels.shape == (1, 8, 8, 3)
    assert found.boxes.tolist() == [[2, 0, 6, 8]]
    assert (found.pixels[0, 2:6] == (200, 100, 50)).all()
    assert not found.pixels[0, :2].any()


def test_a_grey_set_takes_a_third_of_the_room(tmp_path: Path) -> None:
    grey, colour = Image.new("L", (8, 8), 7), Image.new("RGB", (8, 8), (1, 2, 3))
    assert image_cache.load(samples(tmp_path / "a", grey), 8, tmp_path / "ca", BUDGET).pixels.shape == (1, 8, 8, 1)
    mixed = image_cache.load(samples(tmp_path / "b", grey, colour), 8, tmp_path / "cb", BUDGET)
    assert mixed.pixels.shape == (2, 8, 8, 3)


def test_the_second_time_nothing_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = samples(tmp_path / "set", Image.new("L", (8, 8), 7))
    in_a_minute = time.time_ns() + 60_000_000_000
    monkeypatch.setattr(image_cache.time, "time_ns", lambda: in_a_minute)
    first = image_cache.load(mine, 8, tmp_path / "cache", BUDGET)
    monkeypatch.setattr(image_cache, "_decode", lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(image_cache, "file_sha256", lambda *_: pytest.fail("read again"))
    again = image_cache.load(mine, 8, tmp_path / "cache", BUDGET)
    assert again.digest == first.digest
    assert np.array_equal(again.pixels, first.pixels)
    assert again.pixel_digests == first.pixel_digests


def test_a_changed_image_is_decoded_again(tmp_path: Path) -> None:
    mine = samples(tmp_path / "set", Image.new("L", (8, 8), 7))
    before = image_cache.load(mine, 8, tmp_path / "cache", BUDGET)
    Image.new("L", (8, 8), 9).save(tmp_path / "set" / "0.png")
    os.utime(tmp_path / "set" / "0.png", ns=(1, 1))
    after = image_cache.load(mine, 8, tmp_path / "cache", BUDGET)
    assert after.digest != before.digest
    assert int(after.pixels[0, 0, 0, 0]) == 9


def test_an_image_replaced_by_one_of_equal_size_and_time_is_decoded_again(tmp_path: Path) -> None:
    mine = samples(tmp_path / "set", Image.new("L", (8, 8), 7))
    file = tmp_path / "set" / "0.png"
    before, state = image_cache.load(mine, 8, tmp_path / "cache", BUDGET), file.stat()
    Image.new("L", (8, 8), 9).save(file)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file.stat().st_size == state.st_size
    assert image_cache.load(mine, 8, tmp_path / "cache", BUDGET).digest != before.digest


def test_an_image_that_changed_within_a_tick_of_the_clock_is_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = samples(tmp_path / "set", Image.new("L", (8, 8), 7))
    state = image_cache.file_state(tmp_path / "set" / "0.png")
    monkeypatch.setattr(image_cache, "file_state", lambda path: state)
    before = image_cache.load(mine, 8, tmp_path / "cache", BUDGET)
    Image.new("L", (8, 8), 9).save(tmp_path / "set" / "0.png")
    assert image_cache.load(mine, 8, tmp_path / "cache", BUDGET).digest != before.digest


def test_two_processes_give_what_one_gives(real_data: Path, tmp_path: Path) -> None:
    mine = readers.read(datasets.load("busi"), real_data / "busi")[:70]
    one = image_cache.load(mine, 16, tmp_path / "one", BUDGET)
    two = image_cache.load(mine, 16, tmp_path / "two", BUDGET, workers=2)
    assert np.array_equal(one.pixels, two.pixels)
    assert one.pixel_digests == two.pixel_digests


def test_broken_images_are_named_and_leave_nothing_behind(tmp_path: Path) -> None:
    mine = samples(tmp_path / "set", *[Image.new("L", (8, 8), shade) for shade in range(3)])
    (tmp_path / "set" / "1.png").write_bytes(b"not an image")
    with pytest.raises(UsageError, match=r"1 of 3 images cannot be decoded: 1.png \(unreadable-image"):
        image_cache.load(mine, 8, tmp_path / "cache", BUDGET)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["digests.json"]


def test_elements_of_an_npz_are_decoded_as_they_are(real_data: Path, tmp_path: Path) -> None:
    mine = readers.read(datasets.load("breastmnist"), real_data / "medmnist")
    found = image_cache.load(mine, 28, tmp_path / "cache", BUDGET)
    with np.load(real_data / "medmnist" / "breastmnist.npz") as arrays:
        assert np.array_equal(found.pixels[0, :, :, 0], arrays["test_images"][0])
