"""Batches of questions in an order that only the questions decide, so that a resumed run has the same batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from medmix.train.data.render import Renderer
from medmix.train.data.stream import derive_seed

from . import controls
from .questions import Question

TEXT_BATCH = 256
"""Answers of controls without a model, written at a time."""

Item = TypeVar("Item")

Images = tuple[str, ...] | None
"""Keys of the images shown; None for as many blank images as the question has."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions that are answered together.

    Attributes:
        system: `model` or a control.
        questions: of one benchmark, all with options or all without.
        images: shown for each question; empty for controls that use no image.
        answers: of controls that use no image.
    """

    system: str
    questions: tuple[Question, ...]
    images: tuple[Images, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(slots=True)
class Prompts:
    """Token ids of the prompts by question id, computed once."""

    renderer: Renderer
    _ids: dict[str, NDArray[np.int32]] = field(default_factory=dict)

    def ids(self, question: Question) -> list[int]:
        """Return the ids of a question's prompt, images included."""
        if question.id not in self._ids:
            self._ids[question.id] = np.array(self.renderer.prompt_ids(question.record), np.int32)
        ids: list[int] = self._ids[question.id].tolist()
        return ids

    def option_ids(self, question: Question) -> list[list[int]]:
        """Return the ids of a question's options after its prompt, without an end token."""
        return self.renderer.continuation_ids(question.record, question.options)


def subsample(questions: Sequence[Question], limit: int | None) -> list[Question]:
    """Take at most `limit` questions, evenly from the benchmarks; a hash chooses, the order is kept."""
    if limit is None or limit >= len(questions):
        return list(questions)
    ranks = {}
    for _, some in groupby(sorted(questions, key=attrgetter("benchmark")), key=attrgetter("benchmark")):
        drawn = sorted(some, key=lambda question: derive_seed("limit", question.id))
        ranks.update({question.id: rank for rank, question in enumerate(drawn)})
    taken = {question.id for question in sorted(questions, key=lambda q: (ranks[q.id], q.benchmark))[:limit]}
    return [question for question in questions if question.id in taken]


def plan_batches(
    questions: Sequence[Question],
    prompts: Prompts,
    batch_size: int,
    seed: int,
    counts: controls.Counts | None,
) -> Iterator[Batch]:
    """Yield the batches of all systems: the model on every benchmark first, then its controls.

    Within a benchmark, prompts are sorted by length, the longest first: little padding, and running out of memory
    shows at once.

    Args:
        questions: of all benchmarks.
        prompts: of the questions.
        batch_size: questions per batch.
        seed: of the shuffled images.
        counts: the right answers in training, for the majority answer; None skips all controls.
    """
    by_benchmark: dict[str, list[Question]] = {}
    for question in questions:
        by_benchmark.setdefault(question.benchmark, []).append(question)
    for mine in by_benchmark.values():
        yield from _model_batches("model", mine, {q.images: q.images for q in mine}, prompts, batch_size)
    if counts is None:
        return
    for mine in by_benchmark.values():
        with_images = [question for question in mine if question.images]
        yield from _model_batches(
            "blank_image", with_images, {q.images: None for q in with_images}, prompts, batch_size
        )
    for mine in by_benchmark.values():
        exchanged: Mapping[tuple[str, ...], Images] = dict(controls.shuffle_images(mine, seed))
        with_images = [question for question in mine if question.images in exchanged]
        yield from _model_batches("shuffled_images", with_images, exchanged, prompts, batch_size)
    for mine in by_benchmark.values():
        yield from _text_batches("majority_answer", ((q, controls.majority_answer(q, counts)) for q in mine))
        yield from _text_batches("always_yes", ((q, controls.always_yes(q)) for q in mine))


def _model_batches(
    system: str,
    questions: Sequence[Question],
    shown: Mapping[tuple[str, ...], Images],
    prompts: Prompts,
    batch_size: int,
) -> Iterator[Batch]:
    ordered = sorted(questions, key=lambda q: (bool(q.options), -len(prompts.ids(q)), q.id))
    for _, kind in groupby(ordered, key=lambda q: bool(q.options)):
        for some in _slices(list(kind), batch_size):
            yield Batch(system, tuple(some), images=tuple(shown[question.images] for question in some))


def _text_batches(system: str, answered: Iterable[tuple[Question, str | None]]) -> Iterator[Batch]:
    known = [(question, answer) for question, answer in answered if answer is not None]
    for some in _slices(known, TEXT_BATCH):
        yield Batch(system, tuple(question for question, _ in some), answers=tuple(answer for _, answer in some))


def _slices(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
