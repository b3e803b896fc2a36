"""Turns a mix into the batches of each step, for one rank: reads, tokenises, packs or pads, and decodes images.

A step is `global_batch_size` consecutive records of the stream, whatever the number of ranks and workers. Every
rank reads the text of all of them, and so plans for all ranks without communication; it reads and decodes the images
of its own records alone. A row group is the smallest part of a file that is read. Workers build the steps in turn, and
deliver them in order.
"""

import math
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import resource_tracker
from pathlib import Path

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from medmix.curate.errors import MedmixError, UsageError

from ..rank_zero import say
from ..recipe import Recipe
from . import packing, stream
from .collate import Batch, Sample, collate, collate_packed, raw_pixels
from .render import IGNORE_INDEX, Renderer, count_images

TEXT_COLUMNS = ("id", "source", "messages")
IMAGE_COLUMNS = ("images",)
COLUMNS = (*TEXT_COLUMNS, *IMAGE_COLUMNS)

PREFETCH_STEPS = 2
"""Steps that each worker builds in advance, as long as /dev/shm has room for their pixels."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only its size is read
"""Where DataLoader's workers put tensors for the main process, on Linux."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Signals that a terminal, Slurm or torchrun sends to all processes of a run."""

COMPILED_MULTIPLE = 64
"""Rows of compiled layers are padded to a multiple of this, so that layers are not compiled for every length."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rank's batches of a step, and totals over all ranks.

    Attributes:
        batches: of this rank, one per round.
        ids: of all records of the step, in order; none if all are in `skip_records`.
        answers: answer tokens by source.
        tokens: text and image tokens.
        squared_tokens: sum of the records' squared tokens.
        computed_tokens: tokens with padding, as `packing.computed_tokens` counts them.
        images: number of images.
        skipped: records left out, because `skip_records` names them.
    """

    batches: tuple[Batch, ...]
    ids: tuple[str, ...]
    answers: Mapping[str, int]
    tokens: int
    squared_tokens: int
    computed_tokens: int
    images: int
    skipped: int = 0

    @property
    def positions(self) -> int:
        """Places in the order of the records that the step takes, skipped records included."""
        return len(self.ids) + self.skipped

    @property
    def answer_tokens(self) -> int:
        """Tokens in the loss, over all ranks; at least 1 per record."""
        return sum(self.answers.values())

    def pin_memory(self) -> "Step":
        """Copy the batches to pinned memory; DataLoader calls it."""
        return replace(self, batches=tuple(batch.pin_memory() for batch in self.batches))


class StepBuilder:
    """Builds the steps of one rank, from record `seen` on."""

    def __init__(
        self, split: stream.Split, recipe: Recipe, renderer: Renderer, seen: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.split, self.recipe, self.renderer, self.seen = split, recipe, renderer, seen
        self.rank, self.world_size = rank, world_size
        self.skipped_ids = frozenset(recipe.skip_records)
        self.padded = recipe.run.pack_tokens is None
        self.multiple = COMPILED_MULTIPLE if recipe.run.compile else 1

    def worker_steps(self, worker: int = 0, num_workers: int = 1) -> Iterator[Step]:
        """Yield the steps of one of several workers.

        Raises:
            WorkError: a record is broken.
        """
        texts, images = stream.Reader(self.split, TEXT_COLUMNS), stream.Reader(self.split, IMAGE_COLUMNS)
        positions = stream.row_positions(self.split, self.recipe.seed, self.seen, self.recipe.run.epochs)
        number = 0
        while some := list(islice(positions, self.recipe.run.global_batch_size)):
            if number % num_workers == worker:
                yield self._step(texts, images, some)
            number += 1

    def steps_at(self, positions: Sequence[stream.RowPosition]) -> Iterator[Step]:
        """Yield steps of the records at these positions, in their order.

        Raises:
            WorkError: a record is broken.
        """
        texts, images = stream.Reader(self.split, TEXT_COLUMNS), stream.Reader(self.split, IMAGE_COLUMNS)
        size = self.recipe.run.global_batch_size
        for start in range(0, len(positions), size):
            yield self._step(texts, images, positions[start : start + size])

    def _step(self, texts: stream.Reader, images: stream.Reader, positions: Sequence[stream.RowPosition]) -> Step:
        read = [texts.row(position) for position in positions]  # once each: a later read may drop its row group
        kept = [place for place, record in enumerate(read) if record["id"] not in self.skipped_ids]
        records, positions = [read[place] for place in kept], [positions[place] for place in kept]
        skipped = len(read) - len(records)
        if not records:
            return Step((), (), {}, tokens=0, squared_tokens=0, computed_tokens=0, images=0, skipped=skipped)
        encoded = [self.renderer.encode(record) for record in records]
        lengths = [len(ids) for ids, _ in encoded]
        image_counts = [min(count_images(record), self.recipe.vision.max_images) for record in records]
        answers: Counter[str] = Counter()
        for record, (_, labels) in zip(records, encoded, strict=True):
            answers[record["source"]] += sum(label != IGNORE_INDEX for label in labels)
        plan = self._plan(lengths)

        own = sorted(member for packs in plan for member in packs[self.rank])  # in the order of the stream
        decoded = {m: raw_pixels({**records[m], **images.row(positions[m])}, self.recipe.vision) for m in own}

        def sample(member: int) -> Sample:
            record = records[member]
            return Sample(record["id"], *encoded[member], decoded[member], record["source"])

        return Step(
            batches=tuple(
                self._batch([sample(m) for m in packs[self.rank]], any(image_counts[m] for pack in packs for m in pack))
                for packs in plan
            ),
            ids=tuple(record["id"] for record in records),
            answers=answers,
            tokens=sum(lengths),
            squared_tokens=sum(length**2 for length in lengths),
            computed_tokens=packing.computed_tokens(plan, lengths, self.padded, self.multiple),
            images=sum(image_counts),
            skipped=skipped,
        )

    def _plan(self, lengths: Sequence[int]) -> packing.Plan:
        run = self.recipe.run
        if run.pack_tokens is not None:
            return packing.pack(lengths, run.pack_tokens, self.world_size)
        return packing.split(len(lengths), run.micro_batch_size or len(lengths), self.world_size)

    def _batch(self, samples: list[Sample], run_tower: bool) -> Batch:
        pad_token_id, size = self.renderer.tokenizer.pad_token_id, self.recipe.vision.size
        if self.padded and samples:
            return collate(samples, pad_token_id, size, run_tower=run_tower)
        return collate_packed(samples, pad_token_id, size, self.multiple, run_tower)


class _StepDataset(IterableDataset[Step | MedmixError]):
    """Steps for DataLoader's workers; an error is an item, because DataLoader wraps raised ones in a traceback."""

    def __init__(self, builder: StepBuilder) -> None:
        self.builder = builder

    def __iter__(self) -> Iterator[Step | MedmixError]:
        info = get_worker_info()
        if info is None:
            raise RuntimeError("only for DataLoader's workers")
        try:
            yield from self.builder.worker_steps(info.id, info.num_workers)
        except MedmixError as error:
            yield error


def load_steps(builder: StepBuilder) -> Iterator[Step]:
    """Yield the steps in order, prefetched by the recipe's number of worker processes.

    Raises:
        WorkError: a record is broken.
    """
    workers = builder.recipe.run.workers
    if not workers:
        yield from builder.worker_steps()
        return
    loader = DataLoader(
        _StepDataset(builder),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=prefetch_steps(builder),
        multiprocessing_context="spawn",
        pin_memory=torch.cuda.is_available(),
    )
    with _blocked_signals():
        items = iter(loader)
    for item in items:
        if isinstance(item, MedmixError):
            raise item
        yield item


def prefetch_steps(builder: StepBuilder) -> int:
    """Give the steps that each worker may build in advance: those whose pixels fit in /dev/shm, at least 1.

    Prints a line if not even one step of every worker fits. What a transformers model's processor makes of images is
    not known before, so nothing is checked for one.
    """
    if builder.recipe.model:
        return PREFETCH_STEPS
    vision, run = builder.recipe.vision, builder.recipe.run
    records = math.ceil(run.global_batch_size / builder.world_size)
    processes = run.workers * int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    needed = records * vision.max_images * 3 * vision.size**2 * processes
    free = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else needed * PREFETCH_STEPS
    if needed > free:
        say(
            f"warning: {SHARED_MEMORY} has {free / 1e6:.0f} MB free, the pixels of {processes} workers may take "
            f"{needed / 1e6:.0f} MB; a worker that finds it full dies of a bus error: give the container more "
            "(docker run --shm-size=8g), or --set run.workers=0"
        )
    return max(1, min(PREFETCH_STEPS, free // max(1, needed)))


def validate_max_tokens(recipe: Recipe, renderer: Renderer, positions: int) -> None:
    """Raise unless the longest possible record fits the language model's positions and a pack.

    Raises:
        UsageError: it does not.
    """
    longest, budget = renderer.max_record_tokens(), recipe.run.pack_tokens
    remedy = "lower vision.max_images, text.max_prompt_tokens or text.max_answer_tokens"
    if longest > positions:
        raise UsageError(f"a record may have {longest} tokens, the language model has {positions} positions; {remedy}")
    if budget is not None and longest > budget:
        raise UsageError(f"run.pack_tokens: a record may have {longest} tokens, a pack {budget}; raise it, or {remedy}")


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Leave stop signals to this process: processes that start during the block never get them.

    They inherit the mask, so that no signal reaches them before their own code runs; here, signals wait until the end
    of the block. A worker ends when its parent says so or is gone.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        resource_tracker.ensure_running()  # else the first worker starts it, and it unblocks two of the signals
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
