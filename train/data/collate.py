"""From records to batches: padded, or packed into one row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from medmix.curate.errors import RowError, WorkError
from medmix.curate.measure.images import decode_rgb

from ..recipe import Vision
from .render import IGNORE, IMAGE, image_parts


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
    """B rows of T tokens: one sample a row padded to the longest, or all samples packed into one row.

    Attributes:
        ids, sources: of the samples.
        input_ids: [B, T] int64; `IMAGE` where an image token goes, the pad token's id as padding.
        attention_mask: [B, T] int64; 1 for tokens, 0 for padding.
        position_ids: [B, T] int64; from 0 in each sample.
        labels: [B, T] int64; `IGNORE` outside the answers.
        places: [A] int64, 0 to B * T - 1; the tokens that are followed by an answer's, counted through all rows. They
            are looked for here, because a GPU that looks for them makes the CPU wait.
        answers: [A] int64; the tokens that follow them.
        askers: [A] int64; which sample each of them is of.
        pixels: [N, 3, S, S] float32; the images of all samples, in the order of their tokens; N may be 0.
        lengths: tokens of each part of a packed row; None for padded rows.
        bounds: [parts + 1] int32, where each part of a packed row begins, and T; None for padded rows.
        run_tower: the tower runs even without images, because that of another rank does.
    """

    ids: tuple[str, ...]
    sources: tuple[str, ...]
    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    labels: Tensor
    places: Tensor
    answers: Tensor
    askers: Tensor
    pixels: Tensor
    lengths: tuple[int, ...] | None = None
    bounds: Tensor | None = None
    run_tower: bool = False

    def to(self, device: torch.device) -> "Batch":
        """Give the batch on another device; from pinned memory the copy goes on beside the work."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Give the batch in pinned memory."""
        return self._changed(lambda tensor: tensor.pin_memory())

    def _changed(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: Any = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)

    def blank(self) -> "Batch":
        """Give the batch with every image replaced by the mean colour."""
        return replace(self, pixels=torch.zeros_like(self.pixels))


def pixels(record: dict[str, Any], vision: Vision) -> list[Tensor]:
    """Decode the first `vision.max_images` images of a record to [3, S, S] float32, normalised.

    An image keeps its aspect ratio: it is fitted into the square and the rest is the mean colour, because a crop
    can lose the finding and a stretch changes shapes that are findings themselves.

    Raises:
        WorkError: an image cannot be decoded, or the record has not as many images as image parts.
    """
    images = record["images"]
    if image_parts(record) != len(images):
        raise WorkError(f"{record['id']}: {len(images)} images but {image_parts(record)} image parts")
    try:
        return [
            to_tensor(decode_rgb(image["bytes"], vision.max_pixels), vision) for image in images[: vision.max_images]
        ]
    except RowError as error:
        raise WorkError(f"{record['id']}: an image cannot be used ({error}); type: medmix check") from None


def to_tensor(image: Image.Image, vision: Vision) -> Tensor:
    """Fit an RGB image into a square and normalise it: [3, S, S] float32.

    It is padded to a square with the mean colour and resized by cubic interpolation, as LLaVA does
    (`LlavaImageProcessorPil` of transformers with `do_pad`); an image so long that its square would pass
    `vision.max_pixels` is made smaller first.
    """
    side = max(image.size)
    if side**2 > vision.max_pixels:
        image = ImageOps.contain(image, (vision.size, vision.size), Image.Resampling.BICUBIC)
        side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(mean * 255) for mean in vision.mean))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    resized = square.resize((vision.size, vision.size), Image.Resampling.BICUBIC)
    scaled = np.asarray(resized, dtype=np.float32) / 255
    normal = (scaled - np.array(vision.mean, np.float32)) / np.array(vision.std, np.float32)
    return torch.from_numpy(normal.transpose(2, 0, 1).copy())


def collate(
    samples: Sequence[Sample],
    pad_id: int,
    size: int,
    side: Literal["left", "right"] = "right",
    run_tower: bool = False,
) -> Batch:
    """Pad samples to [B, T] on one side: right to train, left to generate; `size` is S, the images' side."""
    width = max(len(sample.input_ids) for sample in samples)

    def padded(row: Sequence[int], filler: int) -> list[int]:
        padding = [filler] * (width - len(row))
        return [*padding, *row] if side == "left" else [*row, *padding]

    labels = torch.tensor([padded(sample.labels, IGNORE) for sample in samples])
    places, answers, askers = _answers(labels, torch.arange(len(samples)).unsqueeze(1).expand(-1, width))
    return Batch(
        ids=tuple(sample.id for sample in samples),
        sources=tuple(sample.source for sample in samples),
        input_ids=torch.tensor([padded(sample.input_ids, pad_id) for sample in samples]),
        attention_mask=torch.tensor([padded([1] * len(sample.input_ids), 0) for sample in samples]),
        position_ids=torch.tensor([padded(range(len(sample.input_ids)), 0) for sample in samples]),
        labels=labels,
        places=places,
        answers=answers,
        askers=askers,
        pixels=_images(samples, size),
        run_tower=run_tower,
    )


def collate_packed(
    samples: Sequence[Sample], pad_id: int, size: int, multiple: int = 1, run_tower: bool = False
) -> Batch:
    """Put samples one after another into one row, [1, T]; padding up to a `multiple` is a part of its own.

    Without samples the row is one pad token, so that a rank which has nothing to do keeps step with the others.
    """
    tokens = sum(len(sample.input_ids) for sample in samples)
    padding = -tokens % multiple if tokens else multiple
    filler = Sample("", [pad_id] * padding, [IGNORE] * padding, [])
    parts = [*samples, filler] if padding else list(samples)
    lengths = tuple(len(part.input_ids) for part in parts)
    owners = torch.arange(len(parts)).repeat_interleave(torch.tensor(lengths)).unsqueeze(0)
    labels = torch.tensor([[label for part in parts for label in part.labels]])
    places, answers, askers = _answers(labels, owners)
    return Batch(
        ids=tuple(sample.id for sample in samples),
        sources=tuple(sample.source for sample in samples),
        input_ids=torch.tensor([[token for part in parts for token in part.input_ids]]),
        attention_mask=(owners < len(samples)).long(),
        position_ids=torch.cat([torch.arange(length) for length in lengths]).unsqueeze(0),
        labels=labels,
        places=places,
        answers=answers,
        askers=askers,
        pixels=_images(samples, size),
        lengths=lengths,
        bounds=torch.tensor([0, *accumulate(lengths)], dtype=torch.int32),
        run_tower=run_tower,
    )


def image_tokens(batch: Batch) -> Tensor:
    """Give the mask of the image tokens, [B, T] bool."""
    return batch.input_ids == IMAGE


def _answers(labels: Tensor, owners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give places, answers and askers of a batch; labels and owners, the samples that tokens are of, are [B, T]."""
    rows, columns = (labels[:, 1:] != IGNORE).nonzero(as_tuple=True)
    return rows * labels.shape[1] + columns, labels[rows, columns + 1], owners[rows, columns + 1]


def _images(samples: Sequence[Sample], size: int) -> Tensor:
    images = [image for sample in samples for image in sample.pixels]
    return torch.stack(images) if images else torch.zeros(0, 3, size, size)
