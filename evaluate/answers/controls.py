"""What a score is worth: answers that do not look at the image, or at nothing at all.

- `blank_image`: the model, each image replaced by the mean colour.
- `shuffled_images`: the model, each image replaced by another one of the same benchmark.
- `majority_answer`: always the answer that is most frequent in the benchmark's train split, in the question's language;
  of multiple choice the place that is right most often.
- `always_yes`: "yes", in Chinese 是, to questions without options and to those of PubMedQA.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from string import ascii_uppercase

import numpy as np

from medmix.train.data.stream import derive_seed

from .questions import LABELS, Question

YES = {"zh": "是"}

Counts = dict[tuple[str, str], Counter[str]]
"""How often each answer is right in training, by benchmark and language; of multiple choice each letter."""


def shuffled(questions: Sequence[Question], seed: int) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Give each list of images of a benchmark another list of as many images; none stays what it was.

    All questions on one image get the same other one. The images go round in one ring of random order (Sattolo's
    algorithm), so every image is used just once; where there is but one, it has no other and is left out.

    Args:
        questions: of one benchmark.
        seed: with the benchmark's name it decides on the order.
    """
    exchanged: dict[tuple[str, ...], tuple[str, ...]] = {}
    by_count: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    for images in sorted({question.images for question in questions if question.images}):
        by_count[len(images)].append(images)
    for count, lists in sorted(by_count.items()):
        if len(lists) < 2:
            continue
        random = np.random.default_rng(derive_seed(seed, questions[0].benchmark, count))
        ring = [lists[place] for place in random.permutation(len(lists))]
        exchanged.update(zip(ring, [*ring[1:], ring[0]], strict=True))
    return exchanged


def count(questions: Iterable[Question]) -> Counts:
    """Count the right answers of training questions."""
    counts: Counts = defaultdict(Counter)
    for question in questions:
        right = question.golds[0] if question.correct is None else ascii_uppercase[question.correct]
        counts[question.benchmark, question.language][right] += 1
    return counts


def majority_answer(question: Question, counts: Counts) -> str | None:
    """Give the most frequent answer, the first in the alphabet of equals; None where none was counted."""
    found = counts.get((question.benchmark, question.language))
    if not found:
        return None
    if question.correct is not None:
        found = Counter({letter: found[letter] for letter in ascii_uppercase[: len(question.choices)]})
    best = min(found, key=lambda answer: (-found[answer], answer))
    return best if question.correct is None else question.options[ascii_uppercase.index(best)]


def always_yes(question: Question) -> str | None:
    """Give yes in the question's language; None where it has options other than that."""
    if question.options and question.benchmark not in LABELS:
        return None
    return YES.get(question.language, "yes")
