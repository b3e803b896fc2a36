"""Which image lies in which split: upstream's own splits where there are some, else cut by unit and class."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from medmix.curate.errors import UsageError

from .copies import Copies
from .datasets import SPLITS, EvalSet
from .samples import Sample, some

Leaks: TypeAlias = Literal["refuse", "drop", "keep"]


@dataclass(frozen=True, slots=True)
class Partition:
    """A split set.

    Attributes:
        places: split -> places of its samples, ascending.
        units: the unit of each sample, also of those that are in no split.
        contradictory: keys of the images left out because a copy of theirs has another label.
        leaked: images of train or validation whose unit stands in the test (or in validation, for train) as well,
            by what was done about them: `dropped` or `kept`.
    """

    places: dict[str, list[int]]
    units: list[str]
    contradictory: tuple[str, ...]
    leaked: dict[str, int]


def split(
    facts: EvalSet, samples: Sequence[Sample], copies: Copies, seed: int, leaks: Leaks | None = None
) -> Partition:
    """Split a set.

    A function of the units' names, their labels and the seed: the order of files does not matter.

    Args:
        facts: of the set.
        samples: of the set.
        copies: which of them are copies of one another.
        seed: of the cuts that upstream does not make.
        leaks: what to do about units on both sides of upstream's splits; None takes the set's own rule.

    Raises:
        UsageError: upstream's test leaks into training and the rule is to refuse; a split is empty, or lacks a class.
    """
    unit = units(samples, copies.pairs)
    left_out = {place for pair in contradictory(samples, copies.pairs) for place in pair}
    kept = [place for place in range(len(samples)) if place not in left_out]
    places: dict[str, list[int]] = {name: [place for place in kept if samples[place].split == name] for name in SPLITS}
    free = [place for place in kept if not samples[place].split]
    places["train"] += free
    if not places["test"]:
        share, name = facts.splits.test, f"{seed}/{facts.id}/test"
        places["test"], places["train"] = _cut(samples, unit, places["train"], share, name)
    places, leaked = _without_leaks(facts, samples, unit, places, leaks or facts.splits.leaks)
    if not places["validation"]:
        share, name = facts.splits.validation, f"{seed}/{facts.id}/validation"
        places["validation"], places["train"] = _cut(samples, unit, places["train"], share, name)
    found: dict[str, list[int]] = {name: sorted(places[name]) for name in SPLITS}
    _refuse_lacking(facts, samples, found)
    return Partition(found, unit, tuple(sorted(samples[place].key for place in left_out)), leaked)


def few(samples: Sequence[Sample], unit: Sequence[str], places: Sequence[int], shots: int, seed: int) -> list[int]:
    """Choose so many units of each class, patients and not images, and give the places of all their images.

    A unit that is chosen for one class counts for the others that it has. With several labels an image of none of
    the classes is chosen only beside one that has some, as MedFMC's own few-shot lists do.
    """
    by_class: dict[int, set[str]] = defaultdict(set)
    for place in places:
        for label in samples[place].labels:
            by_class[label].add(unit[place])
    chosen: set[str] = set()
    for label in sorted(by_class, key=lambda label: (len(by_class[label]), label)):
        order = _shuffled(by_class[label] - chosen, f"{seed}/shots/{label}")
        chosen.update(order[: max(0, shots - len(by_class[label] & chosen))])
    return [place for place in places if unit[place] in chosen]


def units(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Give the unit of each sample: its group joined with those that it shares copies with.

    Samples of one group and copies of one another are of one unit, and so on along the chain: two images that are
    only copies of a third one are kept together as well, since together is the safe side. A unit is called by the
    first of its groups, or by the first of its keys, so that its name does not depend on the order of the samples.
    """
    parent = list(range(len(samples)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[str, int] = {}
    for place, sample in enumerate(samples):
        if sample.group:
            parent[root(place)] = root(first.setdefault(sample.group, place))
    for one, other in pairs:
        parent[root(one)] = root(other)
    names: dict[int, str] = {}
    for place, sample in enumerate(samples):
        name, here = sample.group or sample.key, root(place)
        names[here] = min(name, names.get(here, name))
    return [names[root(place)] for place in range(len(samples))]


def contradictory(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give the pairs of copies whose labels differ: the same image, filed under two classes."""
    return [(one, other) for one, other in pairs if samples[one].labels != samples[other].labels]


def _cut(
    samples: Sequence[Sample], unit: Sequence[str], places: Sequence[int], share: float, name: str
) -> tuple[list[int], list[int]]:
    """Cut a share of the images off, whole units by class; the rarest class of a unit is the one that counts.

    Of a class with three units or more at least one is cut off, and at least one stays.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for place in places:
        members[unit[place]].append(place)
    common = Counter(label for place in places for label in samples[place].labels)
    strata: dict[int, list[str]] = defaultdict(list)
    for one, mine in members.items():
        labels = sorted({label for place in mine for label in samples[place].labels}, key=lambda k: (common[k], k))
        strata[labels[0] if labels else -1].append(one)
    cut: set[str] = set()
    for label in sorted(strata):
        cut |= _some_of(_shuffled(strata[label], f"{name}/{label}"), members, share)
    return [p for p in places if unit[p] in cut], [p for p in places if unit[p] not in cut]


def _some_of(order: list[str], members: Mapping[str, list[int]], share: float) -> set[str]:
    """Take units in order as long as that brings their images nearer to the share."""
    wanted = share * sum(len(members[one]) for one in order)
    taken: set[str] = set()
    count = 0
    for one in order[:-1]:
        if abs(count + len(members[one]) - wanted) < abs(count - wanted):
            taken.add(one)
            count += len(members[one])
    if not taken and len(order) >= 3:
        taken.add(min(order, key=lambda one: len(members[one])))
    return taken


def _without_leaks(
    facts: EvalSet, samples: Sequence[Sample], unit: Sequence[str], places: dict[str, list[int]], leaks: Leaks
) -> tuple[dict[str, list[int]], dict[str, int]]:
    test = {unit[place] for place in places["test"]}
    validation = {unit[place] for place in places["validation"]}
    bad = {
        "train": [place for place in places["train"] if unit[place] in test | validation],
        "validation": [place for place in places["validation"] if unit[place] in test],
    }
    count = sum(map(len, bad.values()))
    if not count:
        return places, {}
    if leaks == "keep":
        return places, {"kept": count}
    if leaks == "refuse":
        shared = {unit[place] for mine in bad.values() for place in mine}
        names = some(sorted(samples[place].key for mine in bad.values() for place in mine))
        raise UsageError(
            f"{facts.id}: {count} images of train or validation share {len(shared)} units ({facts.splits.by}, or "
            f"copies of one image) with the test: {names}; to drop them from training, say "
            f"leaks: drop in splits of {facts.id}.yaml; to keep them all the same, say leaks: keep"
        )
    return {name: sorted(set(mine) - set(bad.get(name, []))) for name, mine in places.items()}, {"dropped": count}


def _refuse_lacking(facts: EvalSet, samples: Sequence[Sample], places: Mapping[str, list[int]]) -> None:
    """A class that cannot be learnt, or a split that is empty; a class without positives in the test is for scores."""
    empty = [name for name in SPLITS if not places[name]]
    seen = {label for place in places["train"] for label in samples[place].labels}
    lost = [name for label, name in enumerate(facts.classes) if label not in seen]
    if empty or lost:
        what = f"{', '.join(empty)} is empty" if empty else f"train has no image of {some(lost)}"
        raise UsageError(
            f"{facts.id}: of {len(samples)} images {what}; give more images, or other shares in {facts.id}.yaml"
        )


def _shuffled(names: Iterable[str], salt: str) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())
