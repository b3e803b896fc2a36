"""From cached pixels to an encoder's input: batches, normalised, with random augmentation in training."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .image_cache import ImageCache
from .recipe import Augment


@dataclass(frozen=True, slots=True)
class Batch:
    """Images as in the cache: pixels uint8 [B, S, S, C], boxes int16 [B, 4]."""

    pixels: Tensor
    boxes: Tensor


def read_batch(images: ImageCache, indices: npt.NDArray[np.int64]) -> Batch:
    """Read images from the cache, in the order of `indices`, [B]."""
    order = np.argsort(indices, kind="stable")  # ascending, as on the disk
    pixels = np.empty((len(indices), *images.pixels.shape[1:]), np.uint8)
    pixels[order] = images.pixels[indices[order]]
    return Batch(torch.from_numpy(pixels), torch.from_numpy(images.boxes[indices]))


def normalize(batch: Batch, mean: Tensor, std: Tensor) -> Tensor:
    """Return [B, 3, S, S] float32, normalised per channel, [3]; outside an image's box pixels are 0, the mean."""
    images = batch.pixels.to(mean.device).permute(0, 3, 1, 2).float() / 255
    images = (images.expand(-1, 3, -1, -1) - mean[:, None, None]) / std[:, None, None]
    size = images.shape[-1]
    top, left, bottom, right = (side[:, None] for side in batch.boxes.to(mean.device).unbind(1))
    line = torch.arange(size, device=mean.device)
    rows, columns = (line >= top) & (line < bottom), (line >= left) & (line < right)
    return images * (rows[:, None, :, None] & columns[:, None, None, :])


def augment_images(images: Tensor, augment: Augment, random: torch.Generator) -> Tensor:
    """Randomly crop, rotate, flip and colour-jitter each image, [B, 3, S, S]; empty areas have the mean colour.

    The random numbers are drawn on the CPU, so that equal seeds give equal augmentation on every device.
    """
    count = len(images)

    def draw(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=random) * (high - low) + low

    side = draw(augment.crop, 1.0).sqrt()
    angle = draw(-augment.rotate, augment.rotate) * (math.pi / 180)
    mirror = 1 - 2 * (draw(0, 1) < augment.hflip).float()
    shift_x, shift_y = draw(-1, 1) * (1 - side), draw(-1, 1) * (1 - side)
    contrast, light = (
        1 + draw(-augment.color_jitter, augment.color_jitter),
        draw(-augment.color_jitter, augment.color_jitter),
    )
    cosine, sine = side * angle.cos(), side * angle.sin()
    maps = torch.stack(
        [torch.stack([cosine * mirror, -sine, shift_x], 1), torch.stack([sine * mirror, cosine, shift_y], 1)], 1
    ).to(images.device)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    scale, shift = (values.to(images.device)[:, None, None, None] for values in (contrast, light))
    return moved * scale + shift
