"""What is asked of a model in which order: fixed by the questions, so that a run that goes on has the same batches."""

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

TEXT_CHUNK = 256
"""Answers of controls that need no model, written at a time."""

Item = TypeVar("Item")

Images = tuple[str, ...] | None
"""Keys of the images that are shown; None for as many blank ones as the question has images."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions that are answered at once.

    Attributes:
        system: `model` or a control.
        questions: of one benchmark; of one kind: all with options, or all without.
        images: what is shown for each; empty for controls that look at nothing.
        answers: of controls that look at nothing.
    """

    system: str
    questions: tuple[Question, ...]
    images: tuple[Images, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(slots=True)
class Prompts:
    """Token ids of the prompts, by the question's id; made once."""

    renderer: Renderer
    _ids: dict[str, NDArray[np.int32]] = field(default_factory=dict)

    def of(self, question: Question) -> list[int]:
        """Give the ids of a question's prompt, images included."""
        if question.id not in self._ids:
            self._ids[question.id] = np.array(self.renderer.prompt_ids(question.record), np.int32)
        ids: list[int] = self._ids[question.id].tolist()
        return ids

    def options(self, question: Question) -> list[list[int]]:
        """Give the ids of a question's options, without an end token."""
        return [self.renderer.text_ids(option) for option in question.options]


def limited(questions: Sequence[Question], limit: int | None) -> list[Question]:
    """Take at most `limit` questions, as many of each benchmark as there are; a hash chooses, the order stays."""
    if limit is None or limit >= len(questions):
        return list(questions)
    ranks = {}
    for _, some in groupby(sorted(questions, key=attrgetter("benchmark")), key=attrgetter("benchmark")):
        drawn = sorted(some, key=lambda question: derive_seed("limit", question.id))
        ranks.update({question.id: rank for rank, question in enumerate(drawn)})
    taken = {question.id for question in sorted(questions, key=lambda q: (ranks[q.id], q.benchmark))[:limit]}
    return [question for question in questions if question.id in taken]


def batches(
    questions: Sequence[Question],
    prompts: Prompts,
    size: int,
    seed: int,
    counts: controls.Counts | None,
) -> Iterator[Batch]:
    """Yield the batches of all systems: the model on every benchmark first, then its controls.

    Within a benchmark prompts of like length are put together, the longest first, so that little is padded and what
    does not fit into memory shows at once.

    Args:
        questions: of all benchmarks.
        prompts: of the questions.
        size: questions in a batch.
        seed: of the shuffled images.
        counts: the right answers in training, for the majority; None leaves all controls out.
    """
    by_benchmark: dict[str, list[Question]] = {}
    for question in questions:
        by_benchmark.setdefault(question.benchmark, []).append(question)
    for mine in by_benchmark.values():
        yield from _looking("model", mine, {q.images: q.images for q in mine}, prompts, size)
    if counts is None:
        return
    for mine in by_benchmark.values():
        seen = [question for question in mine if question.images]
        yield from _looking("blank_image", seen, {q.images: None for q in seen}, prompts, size)
    for mine in by_benchmark.values():
        exchanged: Mapping[tuple[str, ...], Images] = dict(controls.shuffled(mine, seed))
        seen = [question for question in mine if question.images in exchanged]
        yield from _looking("shuffled_images", seen, exchanged, prompts, size)
    for mine in by_benchmark.values():
        yield from _told("majority_answer", ((q, controls.majority_answer(q, counts)) for q in mine))
        yield from _told("always_yes", ((q, controls.always_yes(q)) for q in mine))


def _looking(
    system: str, questions: Sequence[Question], shown: Mapping[tuple[str, ...], Images], prompts: Prompts, size: int
) -> Iterator[Batch]:
    ordered = sorted(questions, key=lambda q: (bool(q.options), -len(prompts.of(q)), q.id))
    for _, kind in groupby(ordered, key=lambda q: bool(q.options)):
        for some in _chunks(list(kind), size):
            yield Batch(system, tuple(some), images=tuple(shown[question.images] for question in some))


def _told(system: str, answered: Iterable[tuple[Question, str | None]]) -> Iterator[Batch]:
    known = [(question, answer) for question, answer in answered if answer is not None]
    for some in _chunks(known, TEXT_CHUNK):
        yield Batch(system, tuple(question for question, _ in some), answers=tuple(answer for _, answer in some))


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
