"""From records to padded batches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from medmix.curate.errors import RowError, WorkError
from medmix.curate.images import canonical

from .recipe import Vision
from .render import IGNORE, IMAGE, image_parts


@dataclass(frozen=True, slots=True)
class Sample:
    """One record ready for the model: token ids and labels [T], pixels of each image [3, S, S]."""

    id: str
    input_ids: list[int]
    labels: list[int]
    pixels: list[Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """B samples padded to the longest.

    Attributes:
        ids: of the records.
        input_ids: [B, T] int64; `IMAGE` where an image token goes, the pad token's id as padding.
        attention_mask: [B, T] int64; 1 for tokens, 0 for padding.
        labels: [B, T] int64; `IGNORE` outside the answers.
        pixels: [N, 3, S, S] float32; the images of all samples, in the order of their tokens; N may be 0.
    """

    ids: tuple[str, ...]
    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    pixels: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Give the batch on another device."""
        return Batch(
            self.ids,
            self.input_ids.to(device),
            self.attention_mask.to(device),
            self.labels.to(device),
            self.pixels.to(device),
        )

    def blank(self) -> "Batch":
        """Give the batch with every image replaced by the mean colour."""
        return replace(self, pixels=torch.zeros_like(self.pixels))


def pixels(record: dict[str, Any], vision: Vision) -> list[Tensor]:
    """Decode the first `vision.max_images` images of a record to [3, S, S] float32, normalised.

    An image keeps its aspect ratio: it is fitted into the square and the rest is black, because a crop
    can lose the finding and a stretch changes shapes that are findings themselves.

    Raises:
        WorkError: an image cannot be decoded, or the record has not as many images as image parts.
    """
    images = record["images"]
    if image_parts(record) != len(images):
        raise WorkError(f"{record['id']}: {len(images)} images but {image_parts(record)} image parts")
    try:
        return [
            to_tensor(canonical(image["bytes"], vision.max_pixels), vision) for image in images[: vision.max_images]
        ]
    except RowError as error:
        raise WorkError(f"{record['id']}: an image cannot be used ({error}); type: medmix check") from None


def to_tensor(image: Image.Image, vision: Vision) -> Tensor:
    """Fit an RGB image into a square and normalise it: [3, S, S] float32."""
    square = ImageOps.pad(image, (vision.size, vision.size), method=Image.Resampling.BICUBIC, color="black")
    scaled = np.asarray(square, dtype=np.float32) / 255
    normal = (scaled - np.array(vision.mean, np.float32)) / np.array(vision.std, np.float32)
    return torch.from_numpy(normal.transpose(2, 0, 1).copy())


def collate(samples: Sequence[Sample], pad_id: int, size: int, side: Literal["left", "right"] = "right") -> Batch:
    """Pad samples to [B, T] on one side: right to train, left to generate; `size` is S, the images' side."""
    width = max(len(sample.input_ids) for sample in samples)

    def padded(row: Sequence[int], filler: int) -> list[int]:
        padding = [filler] * (width - len(row))
        return [*padding, *row] if side == "left" else [*row, *padding]

    images = [image for sample in samples for image in sample.pixels]
    return Batch(
        ids=tuple(sample.id for sample in samples),
        input_ids=torch.tensor([padded(sample.input_ids, pad_id) for sample in samples]),
        attention_mask=torch.tensor([padded([1] * len(sample.input_ids), 0) for sample in samples]),
        labels=torch.tensor([padded(sample.labels, IGNORE) for sample in samples]),
        pixels=torch.stack(images) if images else torch.zeros(0, 3, size, size),
    )


def image_tokens(batch: Batch) -> Tensor:
    """Give the mask of the image tokens, [B, T] bool."""
    return batch.input_ids == IMAGE
