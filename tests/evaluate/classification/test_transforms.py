"""What an encoder sees: normalised by its own mean, the mean colour beside an image, random changes by a seed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medmix.evaluate.classification import image_cache
from medmix.evaluate.classification.recipe import Augment
from medmix.evaluate.classification.samples import Sample
from medmix.evaluate.classification.transforms import augment_images, normalize, read_batch
from medmix.train.data.collate import to_tensor
from medmix.train.recipe import Vision

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.2, 0.2])


@pytest.fixture
def two(tmp_path: Path) -> image_cache.ImageCache:
    found = []
    for number, size in enumerate([(16, 8), (8, 8)]):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (*size[::-1], 3), np.uint8)).save(path)
        found.append(Sample(path.name, path, (0,)))
    return image_cache.load(found, 16, tmp_path / "cache", 10**8)


def test_beside_an_image_is_the_mean_colour(two: image_cache.ImageCache) -> None:
    wide, square = normalize(read_batch(two, np.array([0, 1])), MEAN, STD)
    assert not wide[:, :4].any()
    assert not wide[:, 12:].any()
    expected = (torch.from_numpy(two.pixels[0, 4:12].copy()).permute(2, 0, 1) / 255 - MEAN[:, None, None]) / 0.2
    assert torch.allclose(wide[:, 4:12], expected, atol=1e-6)
    assert square[:, 0].any()


def test_it_is_nearly_what_training_sees(two: image_cache.ImageCache, tmp_path: Path) -> None:
    vision = Vision("x", 16, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    seen = to_tensor(Image.open(tmp_path / "0.png"), vision)
    assert (normalize(read_batch(two, np.array([0])), MEAN, STD)[0] - seen).abs().max() < 0.05


def test_images_come_in_the_order_asked_for(two: image_cache.ImageCache) -> None:
    batch = read_batch(two, np.array([1, 0, 1]))
    assert np.array_equal(batch.pixels.numpy(), two.pixels[[1, 0, 1]])
    assert batch.boxes.tolist() == two.boxes[[1, 0, 1]].tolist()


def test_without_changes_an_image_stays_as_it_is(two: image_cache.ImageCache) -> None:
    images = normalize(read_batch(two, np.array([0, 1])), MEAN, STD)
    assert torch.allclose(augment_images(images, Augment(), torch.Generator()), images, atol=1e-5)


def test_a_mirrored_image_is_mirrored(two: image_cache.ImageCache) -> None:
    images = normalize(read_batch(two, np.array([0, 1])), MEAN, STD)
    assert torch.allclose(augment_images(images, Augment(hflip=1.0), torch.Generator()), images.flip(3), atol=1e-5)


def test_a_quarter_turn_is_one(two: image_cache.ImageCache, monkeypatch: pytest.MonkeyPatch) -> None:
    images = normalize(read_batch(two, np.array([0, 1])), MEAN, STD)
    monkeypatch.setattr(torch, "rand", lambda count, generator: torch.ones(count))  # all draws at their upper ends
    turned = augment_images(images, Augment(rotate=90.0), torch.Generator())
    assert torch.allclose(turned, images.rot90(1, (2, 3)), atol=1e-4) or torch.allclose(
        turned, images.rot90(-1, (2, 3)), atol=1e-4
    )


def test_equal_seeds_give_equal_changes(two: image_cache.ImageCache) -> None:
    images = normalize(read_batch(two, np.array([0, 1])), MEAN, STD)
    change = Augment(0.8, 10.0, 0.5, 0.1)
    first, again, other = (augment_images(images, change, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
