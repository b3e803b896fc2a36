"""Baselines that do not see the image of a question, or not even the question.

- `blank_image`: the model, each image replaced by the mean colour.
- `shuffled_images`: the model, each image replaced by another one of the same benchmark.
- `majority_answer`: always the answer that is most frequent in the benchmark's train split, in the question's language;
  for multiple choice, the most frequent letter.
- `always_yes`: "yes", in Chinese 是, to questions without options and to those of PubMedQA.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from string import ascii_uppercase

import numpy as np

from medmix.train.data.stream import derive_seed

from .questions import ANSWER_LABELS, Question

YES = {"zh": "是"}

Counts = dict[tuple[str, str], Counter[str]]
"""How often each answer is right in training, by benchmark and language; for multiple choice, each letter."""


def shuffle_images(questions: Sequence[Question], seed: int) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Map each list of images of a benchmark to another list of as many images, never to itself.

    All questions on one image get the same other image. The images form one random cycle (Sattolo's algorithm), so
    every image is used once. A single image has no other and is left out.

    Args:
        questions: of one benchmark.
        seed: decides the order, together with the benchmark's name.
    """
    exchanged: dict[tuple[str, ...], tuple[str, ...]] = {}
    by_count: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    for images in sorted({question.images for question in questions if question.images}):
        by_count[len(images)].append(images)
    for count, lists in sorted(by_count.items()):
        if len(lists) < 2:
            continue
        random = np.random.default_rng(derive_seed(seed, questions[0].benchmark, count))
        ring = [lists[index] for index in random.permutation(len(lists))]
        exchanged.update(zip(ring, [*ring[1:], ring[0]], strict=True))
    return exchanged


def count_answers(questions: Iterable[Question]) -> Counts:
    """Count the right answers of training questions."""
    counts: Counts = defaultdict(Counter)
    for question in questions:
        right = question.references[0] if question.correct is None else ascii_uppercase[question.correct]
        counts[question.benchmark, question.language][right] += 1
    return counts


def majority_answer(question: Question, counts: Counts) -> str | None:
    """Return the most frequent answer, the first in alphabetical order among equals; None if none was counted."""
    found = counts.get((question.benchmark, question.language))
    if not found:
        return None
    if question.correct is not None:
        found = Counter({letter: found[letter] for letter in ascii_uppercase[: len(question.choices)]})
    best = min(found, key=lambda answer: (-found[answer], answer))
    return best if question.correct is None else question.options[ascii_uppercase.index(best)]


def always_yes(question: Question) -> str | None:
    """Return yes in the question's language; None if its options are other ones."""
    if question.options and question.benchmark not in ANSWER_LABELS:
        return None
    return YES.get(question.language, "yes")
