"""Batches of a transformers model for images and text: the samples padded or packed, with the processor's outputs."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from . import packing, stream
from .batches import Step, StepBuilder
from .chat import ChatRenderer, ChatSample
from .render import IGNORE_INDEX


@dataclass(frozen=True, slots=True)
class ChatBatch:
    """B rows of T tokens: one sample per row, padded on the left, or all samples packed into one row.

    Padding is on the left so that the answers end in the same column, and few columns need logits.

    Attributes:
        ids, sources: of the samples.
        inputs: arguments of the model: `input_ids`, `position_ids` and what the processor gave.
        attention_mask: [B, T] int64; 1 for tokens, 0 for padding; of padded rows.
        logit_columns: [K] int64; the columns that need logits.
        loss_positions: [A] int64; the logits before each answer token, as indices of [B * K].
        targets: [A] int64; the answer tokens.
        target_samples: [A] int64; index of the sample that each target belongs to.
        seq_lens: tokens of each sample of a packed row; None for padded rows.
    """

    ids: tuple[str, ...]
    sources: tuple[str, ...]
    inputs: Mapping[str, Tensor]
    attention_mask: Tensor
    logit_columns: Tensor
    loss_positions: Tensor
    targets: Tensor
    target_samples: Tensor
    seq_lens: tuple[int, ...] | None = None

    def to(self, device: torch.device) -> "ChatBatch":
        """Copy the batch to a device; from pinned memory the copy is asynchronous."""
        return self._map_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "ChatBatch":
        """Copy the batch to pinned memory."""
        return self._map_tensors(lambda tensor: tensor.pin_memory())

    def _map_tensors(self, function: Callable[[Tensor], Tensor]) -> "ChatBatch":
        return replace(
            self,
            inputs={name: function(value) for name, value in self.inputs.items()},
            attention_mask=function(self.attention_mask),
            logit_columns=function(self.logit_columns),
            loss_positions=function(self.loss_positions),
            targets=function(self.targets),
            target_samples=function(self.target_samples),
        )


def collate(samples: Sequence[ChatSample], pad_token_id: int) -> ChatBatch:
    """Pad samples on the left to [B, T]."""
    width = max(sample.length for sample in samples)

    def padded(value: Tensor, filler: int) -> Tensor:
        return torch.nn.functional.pad(value, (width - value.shape[-1], 0), value=filler)

    names = samples[0].tokens.keys()
    rows = {
        name: [padded(sample.tokens[name], pad_token_id if name == "input_ids" else 0) for sample in samples]
        for name in names
    }
    labels = torch.stack([padded(sample.labels, IGNORE_INDEX) for sample in samples])
    return _batch(
        samples,
        {name: torch.cat(values, values[0].ndim - 2) for name, values in rows.items()},
        labels,
        torch.arange(len(samples)).unsqueeze(1).expand(-1, width),
        torch.stack([padded(torch.ones_like(sample.labels), 0) for sample in samples]),
    )


def collate_packed(samples: Sequence[ChatSample], pad_token_id: int, text_positions: int = 1) -> ChatBatch:
    """Concatenate samples into one row, [1, T].

    Without samples the row is one pad token with `text_positions` rows of positions, so that an idle rank takes part.
    """
    if not samples:
        shape = (1, 1) if text_positions == 1 else (text_positions, 1, 1)
        tokens = {"input_ids": torch.tensor([[pad_token_id]]), "position_ids": torch.zeros(shape, dtype=torch.int64)}
        empty = torch.tensor([IGNORE_INDEX])
        row = _batch((), tokens, empty[None], torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1).long())
        return replace(row, seq_lens=(1,))
    lengths = tuple(sample.length for sample in samples)
    owners = torch.arange(len(samples)).repeat_interleave(torch.tensor(lengths)).unsqueeze(0)
    packed = _batch(
        samples,
        {name: torch.cat([sample.tokens[name] for sample in samples], -1) for name in samples[0].tokens},
        torch.cat([sample.labels for sample in samples]).unsqueeze(0),
        owners,
        torch.ones_like(owners),
    )
    return replace(packed, seq_lens=lengths)


def _batch(
    samples: Sequence[ChatSample], tokens: Mapping[str, Tensor], labels: Tensor, owners: Tensor, mask: Tensor
) -> ChatBatch:
    """Make a batch; `owners` [B, T] is the index of the sample that each token belongs to."""
    rows, columns = (labels[:, 1:] != IGNORE_INDEX).nonzero(as_tuple=True)
    kept, places = columns.unique(return_inverse=True)
    return ChatBatch(
        ids=tuple(sample.id for sample in samples),
        sources=tuple(sample.source for sample in samples),
        inputs={**tokens, **_joined([sample.images for sample in samples if sample.images])},
        attention_mask=mask,
        logit_columns=kept,
        loss_positions=rows * len(kept) + places,
        targets=labels[rows, columns + 1],
        target_samples=owners[rows, columns + 1],
    )


def _joined(images: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Concatenate the samples' images; other dimensions are filled up with zeros, which models skip as padding."""
    if not images:
        return {}
    return {name: _concatenated([each[name] for each in images]) for name in images[0]}


def _concatenated(values: Sequence[Tensor]) -> Tensor:
    sizes = [max(value.shape[axis] for value in values) for axis in range(1, values[0].ndim)]
    filled = []
    for value in values:
        missing = [size - have for size, have in zip(sizes, value.shape[1:], strict=True)]
        filled.append(torch.nn.functional.pad(value, [n for gap in reversed(missing) for n in (0, gap)]))
    return torch.cat(filled)


class ChatStepBuilder(StepBuilder):
    """Builds the steps of one rank for a transformers model.

    The number of tokens of an image depends on its size, so every rank prepares the images of the whole step.
    """

    def _step(self, texts: stream.Reader, images: stream.Reader, positions: Sequence[stream.RowPosition]) -> Step:
        renderer: ChatRenderer = cast(Any, self.renderer)
        samples = [
            renderer.encode({**record, **images.row(position)})
            for position in positions
            if (record := texts.row(position))["id"] not in self.skipped_ids
        ]
        skipped = len(positions) - len(samples)
        if not samples:
            return Step((), (), {}, tokens=0, squared_tokens=0, computed_tokens=0, images=0, skipped=skipped)
        lengths = [sample.length for sample in samples]
        answers: Counter[str] = Counter()
        for sample in samples:
            answers[sample.source] += int((sample.labels != IGNORE_INDEX).sum())
        plan = self._plan(lengths)
        pad = renderer.tokenizer.pad_token_id
        axes = samples[0].tokens["position_ids"].ndim
        batches = []
        for packs in plan:
            mine = [samples[member] for member in packs[self.rank]]
            padded = self.padded and bool(mine)
            batches.append(collate(mine, pad) if padded else collate_packed(mine, pad, 3 if axes == 3 else 1))
        return Step(
            batches=cast(Any, tuple(batches)),
            ids=tuple(sample.id for sample in samples),
            answers=answers,
            tokens=sum(lengths),
            squared_tokens=sum(length**2 for length in lengths),
            computed_tokens=packing.computed_tokens(plan, lengths, self.padded),
            images=sum(sample.num_images for sample in samples),
            skipped=skipped,
        )
