"""From a mix to the batches of each step, for one rank: read, render, pack or pad, and decode what is its own.

A step is so many records that follow each other in the stream, whatever the number of ranks and workers. Every
rank reads the text of all of them, and so knows the plan of all ranks without asking; it decodes the images of
its own records alone. Workers take the steps in turn, and hand them over in order.
"""

import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from medmix.curate.errors import MedmixError, UsageError

from ..recipe import Recipe
from . import packing, stream
from .collate import Batch, Sample, collate, collate_packed, pixels
from .render import IGNORE, Renderer, image_parts

TEXT_COLUMNS = ("id", "source", "messages")
COLUMNS = (*TEXT_COLUMNS, "images")

SEAMS = 16
"""Tokens more than those of its parts that a turn may have where cut prompt and template meet."""

COMPILED_MULTIPLE = 64
"""A compiled layer sees rows of multiples of so many tokens, and so is not compiled anew for every length."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rank's part of a step, and what the step is as a whole.

    Attributes:
        batches: of this rank, one for each round.
        ids: of all records of the step, in order.
        answers: answer tokens by source, over all ranks.
        tokens: text and image tokens over all ranks.
        squares: sum of the records' squared tokens, over all ranks.
        positions: what `packing.positions` counts; tokens divided by it is the share of useful work.
        images: over all ranks.
    """

    batches: tuple[Batch, ...]
    ids: tuple[str, ...]
    answers: Mapping[str, int]
    tokens: int
    squares: int
    positions: int
    images: int

    @property
    def answer_tokens(self) -> int:
        """How many positions take part in the loss, over all ranks; at least 1 a record."""
        return sum(self.answers.values())

    def pin_memory(self) -> "Step":
        """Give the step in pinned memory; DataLoader calls it."""
        return replace(self, batches=tuple(batch.pin_memory() for batch in self.batches))


class Steps:
    """The steps of one rank from the `seen`-th record on; a part of them for one of several workers."""

    def __init__(
        self, split: stream.Split, recipe: Recipe, renderer: Renderer, seen: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        self.split, self.recipe, self.renderer, self.seen = split, recipe, renderer, seen
        self.rank, self.ranks = rank, ranks

    def of_worker(self, worker: int = 0, workers: int = 1) -> Iterator[Step]:
        """Yield the steps whose turn it is.

        Raises:
            WorkError: a record is broken.
        """
        reader = stream.Reader(self.split, COLUMNS)
        places = stream.places(self.split, self.recipe.seed, self.seen, self.recipe.run.epochs)
        number = 0
        while some := list(islice(places, self.recipe.run.batch)):
            if number % workers == worker:
                yield self._step(reader, some)
            number += 1

    def _step(self, reader: stream.Reader, places: Sequence[stream.Place]) -> Step:
        records = [reader.row(place) for place in places]  # once each: a later one may close its row group
        encoded = [self.renderer.encode(record) for record in records]
        lengths = [len(ids) for ids, _ in encoded]
        images = [min(image_parts(record), self.recipe.vision.max_images) for record in records]
        answers: Counter[str] = Counter()
        for record, (_, labels) in zip(records, encoded, strict=True):
            answers[record["source"]] += sum(label != IGNORE for label in labels)
        plan = self._plan(lengths)

        def sample(member: int) -> Sample:
            record = records[member]
            return Sample(record["id"], *encoded[member], pixels(record, self.recipe.vision), record["source"])

        return Step(
            batches=tuple(
                self._batch([sample(m) for m in packs[self.rank]], any(images[m] for pack in packs for m in pack))
                for packs in plan
            ),
            ids=tuple(record["id"] for record in records),
            answers=answers,
            tokens=sum(lengths),
            squares=sum(length**2 for length in lengths),
            positions=packing.positions(
                plan, lengths, padded=self.recipe.run.pack_tokens is None, multiple=self._multiple()
            ),
            images=sum(images),
        )

    def _plan(self, lengths: Sequence[int]) -> packing.Plan:
        run = self.recipe.run
        if run.pack_tokens is not None:
            return packing.pack(lengths, run.pack_tokens, self.ranks)
        return packing.split(len(lengths), run.micro_batch or len(lengths), self.ranks)

    def _batch(self, samples: list[Sample], run_tower: bool) -> Batch:
        pad, size, run = self.renderer.tokenizer.pad_token_id, self.recipe.vision.size, self.recipe.run
        if run.pack_tokens is None and samples:
            return collate(samples, pad, size, run_tower=run_tower)
        return collate_packed(samples, pad, size, self._multiple(), run_tower)

    def _multiple(self) -> int:
        return COMPILED_MULTIPLE if self.recipe.run.compile else 1


class _Shared(IterableDataset[Step | MedmixError]):
    """Steps shared among DataLoader's workers; an error comes as an item, because a raised one loses its one line."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def __iter__(self) -> Iterator[Step | MedmixError]:
        info = get_worker_info()
        if info is None:
            raise RuntimeError("only for DataLoader's workers")
        try:
            yield from self.steps.of_worker(info.id, info.num_workers)
        except MedmixError as error:
            yield error


def load_steps(steps: Steps) -> Iterator[Step]:
    """Yield the steps in order, made ahead by the recipe's number of worker processes.

    Raises:
        WorkError: a record is broken.
    """
    workers = steps.recipe.run.workers
    if not workers:
        yield from steps.of_worker()
        return
    loader = DataLoader(
        _Shared(steps),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="spawn",
        worker_init_fn=_leave_ctrl_c_to_the_parent,
        pin_memory=torch.cuda.is_available(),
    )
    for item in loader:
        if isinstance(item, MedmixError):
            raise item
        yield item


def longest(recipe: Recipe, renderer: Renderer) -> int:
    """Give the most tokens that a record can have, with all its images and the longest prompt and answer."""
    template = len(renderer.template_ids()) + SEAMS
    text = recipe.text.max_prompt_tokens + recipe.text.max_answer_tokens
    return 1 + recipe.vision.max_images * renderer.image_tokens + template + text


def refuse_too_long(recipe: Recipe, renderer: Renderer, positions: int) -> None:
    """Raise unless every record fits the language model's positions and a pack.

    Raises:
        UsageError: the longest record that the recipe allows does not.
    """
    most, budget = longest(recipe, renderer), recipe.run.pack_tokens
    shorten = "lower vision.max_images, text.max_prompt_tokens or text.max_answer_tokens"
    if most > positions:
        raise UsageError(f"a record may have {most} tokens, the language model has {positions} positions; {shorten}")
    if budget is not None and most > budget:
        raise UsageError(f"run.pack_tokens: a record may have {most} tokens, a pack {budget}; raise it, or {shorten}")


def _leave_ctrl_c_to_the_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
