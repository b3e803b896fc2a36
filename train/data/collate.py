"""Turns records into batches, padded or packed into one row, and images into pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any, Literal

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import pil_to_tensor, resize
from transformers import LlavaImageProcessor

from medmix.curate.errors import RowError, WorkError
from medmix.curate.measure.images import decode_rgb

from ..recipe import Vision
from .render import IGNORE_INDEX, IMAGE_TOKEN_ID, count_images


@dataclass(frozen=True, slots=True)
class Sample:
    """One record ready for the model: token ids and labels [T], pixels of each image [3, S, S]."""

    id: str
    input_ids: list[int]
    labels: list[int]
    pixels: list[Tensor]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows of T tokens: one sample per row padded to the longest, or all samples packed into one row.

    Attributes:
        ids, sources: of the samples.
        input_ids: [B, T] int64; `IMAGE_TOKEN_ID` for image tokens, the pad token's id for padding.
        attention_mask: [B, T] int64; 1 for tokens, 0 for padding.
        position_ids: [B, T] int64; from 0 in each sample.
        labels: [B, T] int64; `IGNORE_INDEX` outside the answers.
        loss_positions: [A] int64, 0 to B * T - 1; the tokens before each answer token, as indices of the flattened
            rows. These and `image_positions` are computed here, because on a GPU `nonzero` makes the CPU wait.
        targets: [A] int64; the answer tokens.
        target_samples: [A] int64; index of the sample that each target belongs to.
        pixels: [N, 3, S, S]; the images of all samples, in the order of their tokens; N may be 0. As uint8 the model
            normalises them, as float32 they are normalised.
        image_positions: [N P] int64, 0 to B * T - 1; the image tokens, as indices of the flattened rows.
        seq_lens: tokens of each sequence of a packed row; None for padded rows.
        cu_seqlens: [sequences + 1] int32, cumulative sequence lengths from 0 to T; None for padded rows.
        run_tower: the tower runs even without images, because that of another rank does.
    """

    ids: tuple[str, ...]
    sources: tuple[str, ...]
    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    labels: Tensor
    loss_positions: Tensor
    targets: Tensor
    target_samples: Tensor
    pixels: Tensor
    image_positions: Tensor
    seq_lens: tuple[int, ...] | None = None
    cu_seqlens: Tensor | None = None
    run_tower: bool = False

    def to(self, device: torch.device) -> "Batch":
        """Copy the batch to a device; from pinned memory the copy is asynchronous."""
        return self._map_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Copy the batch to pinned memory."""
        return self._map_tensors(lambda tensor: tensor.pin_memory())

    def _map_tensors(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        mapped: Any = {name: function(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **mapped)


def pixels(record: dict[str, Any], vision: Vision) -> list[Tensor]:
    """Decode the first `vision.max_images` images of a record to [3, S, S] float32, normalised.

    Raises:
        WorkError: as `raw_pixels`.
    """
    mean, std = torch.tensor(vision.mean), torch.tensor(vision.std)
    return [normalise(image, mean, std) for image in raw_pixels(record, vision)]


def raw_pixels(record: dict[str, Any], vision: Vision) -> list[Tensor]:
    """Decode the first `vision.max_images` images of a record to [3, S, S] uint8.

    An image keeps its aspect ratio and is padded with the mean colour, because a crop can lose the finding, and a
    stretch changes shapes that are findings themselves.

    Raises:
        WorkError: an image cannot be decoded, or the numbers of images and image parts differ.
    """
    images = record["images"]
    if count_images(record) != len(images):
        raise WorkError(f"{record['id']}: {len(images)} images but {count_images(record)} image parts")
    try:
        return [
            to_square(decode_rgb(image["bytes"], vision.max_pixels), vision) for image in images[: vision.max_images]
        ]
    except RowError as error:
        raise WorkError(f"{record['id']}: an image cannot be used ({error}); type: medmix check") from None


def to_tensor(image: Image.Image, vision: Vision) -> Tensor:
    """Pad an RGB image to a square, resize and normalise it: [3, S, S] float32, as `to_square` and `normalise`."""
    return normalise(to_square(image, vision), torch.tensor(vision.mean), torch.tensor(vision.std))


def normalise(image: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Normalise uint8 pixels [..., 3, S, S] per channel, by [3] each, in float32: equal on every device."""
    return (image.float() / 255 - mean[:, None, None]) / std[:, None, None]


def to_square(image: Image.Image, vision: Vision) -> Tensor:
    """Pad an RGB image to a square and resize it: [3, S, S] uint8.

    It is padded with the mean colour and resized by torchvision's cubic interpolation, as `LlavaImageProcessor` of
    transformers does with `do_pad`; Pillow's rounds some values otherwise. An image whose square would exceed
    `vision.max_pixels` is first made smaller.
    """
    side = max(image.size)
    if side**2 > vision.max_pixels:
        image = ImageOps.contain(image, (vision.size, vision.size), Image.Resampling.BICUBIC)
        side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(mean * 255) for mean in vision.mean))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return resize(pil_to_tensor(square), [vision.size, vision.size], InterpolationMode.BICUBIC, antialias=True)


def image_processor(vision: Vision) -> LlavaImageProcessor:
    """Give the image processor of transformers that equals `to_tensor`."""
    return LlavaImageProcessor(
        do_pad=True,
        size={"shortest_edge": vision.size},
        crop_size={"height": vision.size, "width": vision.size},
        image_mean=list(vision.mean),
        image_std=list(vision.std),
    )


def collate(
    samples: Sequence[Sample],
    pad_token_id: int,
    size: int,
    side: Literal["left", "right"] = "right",
    run_tower: bool = False,
) -> Batch:
    """Pad samples to [B, T] on one side: right to train, left to generate; `size` is S, the images' side."""
    width = max(len(sample.input_ids) for sample in samples)

    def padded(row: Sequence[int], filler: int) -> list[int]:
        padding = [filler] * (width - len(row))
        return [*padding, *row] if side == "left" else [*row, *padding]

    return _batch(
        samples,
        torch.arange(len(samples)).unsqueeze(1).expand(-1, width),
        size,
        input_ids=torch.tensor([padded(sample.input_ids, pad_token_id) for sample in samples]),
        attention_mask=torch.tensor([padded([1] * len(sample.input_ids), 0) for sample in samples]),
        position_ids=torch.tensor([padded(range(len(sample.input_ids)), 0) for sample in samples]),
        labels=torch.tensor([padded(sample.labels, IGNORE_INDEX) for sample in samples]),
        run_tower=run_tower,
    )


def collate_packed(
    samples: Sequence[Sample], pad_token_id: int, size: int, multiple: int = 1, run_tower: bool = False
) -> Batch:
    """Concatenate samples into one row, [1, T]; padding up to a `multiple` is a sequence of its own.

    Without samples the row is one pad token, so that an idle rank takes part in the step.
    """
    tokens = sum(len(sample.input_ids) for sample in samples)
    padding = -tokens % multiple if tokens else multiple
    filler = Sample("", [pad_token_id] * padding, [IGNORE_INDEX] * padding, [])
    sequences = [*samples, filler] if padding else list(samples)
    seq_lens = tuple(len(sequence.input_ids) for sequence in sequences)
    owners = torch.arange(len(sequences)).repeat_interleave(torch.tensor(seq_lens)).unsqueeze(0)
    return _batch(
        samples,
        owners,
        size,
        input_ids=torch.tensor([[token for sequence in sequences for token in sequence.input_ids]]),
        attention_mask=(owners < len(samples)).long(),
        position_ids=torch.cat([torch.arange(length) for length in seq_lens]).unsqueeze(0),
        labels=torch.tensor([[label for sequence in sequences for label in sequence.labels]]),
        seq_lens=seq_lens,
        cu_seqlens=torch.tensor([0, *accumulate(seq_lens)], dtype=torch.int32),
        run_tower=run_tower,
    )


def _batch(
    samples: Sequence[Sample], owners: Tensor, size: int, *, input_ids: Tensor, labels: Tensor, **columns: Any
) -> Batch:
    """Make a batch; `owners` [B, T] is the index of the sample that each token belongs to."""
    images = [image for sample in samples for image in sample.pixels]
    rows, positions = (labels[:, 1:] != IGNORE_INDEX).nonzero(as_tuple=True)
    return Batch(
        ids=tuple(sample.id for sample in samples),
        sources=tuple(sample.source for sample in samples),
        input_ids=input_ids,
        labels=labels,
        loss_positions=rows * labels.shape[1] + positions,
        targets=labels[rows, positions + 1],
        target_samples=owners[rows, positions + 1],
        pixels=torch.stack(images) if images else torch.zeros(0, 3, size, size, dtype=torch.uint8),
        image_positions=(input_ids.flatten() == IMAGE_TOKEN_ID).nonzero().flatten(),
        **columns,
    )
