"""From cached pixels to what an encoder sees: batches, normalised, with random changes while training."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .image_cache import Pictures
from .recipe import Augment


@dataclass(frozen=True, slots=True)
class Batch:
    """Images as they lie in the cache: pixels uint8 [B, S, S, C], boxes int16 [B, 4]."""

    pixels: Tensor
    boxes: Tensor


def gather(pictures: Pictures, places: npt.NDArray[np.int64]) -> Batch:
    """Read some images from the cache, in the order of `places`, [B]."""
    order = np.argsort(places, kind="stable")  # ascending, as they lie on the disk
    pixels = np.empty((len(places), *pictures.pixels.shape[1:]), np.uint8)
    pixels[order] = pictures.pixels[places[order]]
    return Batch(torch.from_numpy(pixels), torch.from_numpy(pictures.boxes[places]))


def normalised(batch: Batch, mean: Tensor, std: Tensor) -> Tensor:
    """Give [B, 3, S, S] float32, normalised by channel [3]; what lies outside an image's box is 0, the mean colour."""
    images = batch.pixels.to(mean.device).permute(0, 3, 1, 2).float() / 255
    images = (images.expand(-1, 3, -1, -1) - mean[:, None, None]) / std[:, None, None]
    size = images.shape[-1]
    top, left, bottom, right = (side[:, None] for side in batch.boxes.to(mean.device).unbind(1))
    line = torch.arange(size, device=mean.device)
    rows, columns = (line >= top) & (line < bottom), (line >= left) & (line < right)
    return images * (rows[:, None, :, None] & columns[:, None, None, :])


def augmented(images: Tensor, augment: Augment, random: torch.Generator) -> Tensor:
    """Crop, turn, mirror and tone each image at random, [B, 3, S, S]; what is outside of one is the mean colour.

    The random numbers are drawn on the CPU, so that equal seeds give equal changes on every device.
    """
    count = len(images)

    def draw(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=random) * (high - low) + low

    side = draw(augment.crop, 1.0).sqrt()
    angle = draw(-augment.rotate, augment.rotate) * (math.pi / 180)
    mirror = 1 - 2 * (draw(0, 1) < augment.flip).float()
    shift_x, shift_y = draw(-1, 1) * (1 - side), draw(-1, 1) * (1 - side)
    contrast, light = 1 + draw(-augment.tone, augment.tone), draw(-augment.tone, augment.tone)
    cosine, sine = side * angle.cos(), side * angle.sin()
    maps = torch.stack(
        [torch.stack([cosine * mirror, -sine, shift_x], 1), torch.stack([sine * mirror, cosine, shift_y], 1)], 1
    ).to(images.device)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    scale, shift = (values.to(images.device)[:, None, None, None] for values in (contrast, light))
    return moved * scale + shift
