"""Assign images to splits: upstream's own, or a split by unit, stratified by class.

A unit is never divided between splits: the images of a patient, all copies of them and those that show a part of them.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from medmix.curate.errors import UsageError

from .copies import CopyPairs
from .datasets import SPLITS, DatasetInfo
from .samples import Sample, first_ten

Leaks: TypeAlias = Literal["refuse", "drop", "keep"]


@dataclass(frozen=True, slots=True)
class DatasetSplit:
    """The splits of a dataset.

    Attributes:
        indices: split -> indices of its samples, ascending.
        units: the unit of each sample, also of those in no split.
        conflicting: keys of images excluded because a copy has another label.
        leaked: number of images of train or validation whose unit is also in the test (or, for train, in validation),
            by what was done: `dropped` or `kept`.
    """

    indices: dict[str, list[int]]
    units: list[str]
    conflicting: tuple[str, ...]
    leaked: dict[str, int]


def split_dataset(
    info: DatasetInfo, samples: Sequence[Sample], copies: CopyPairs, seed: int, leaks: Leaks | None = None
) -> DatasetSplit:
    """Split a dataset.

    The splits depend on the units' names, their labels and the seed, not on the order of files.

    Args:
        info: of the dataset.
        samples: of the dataset.
        copies: pairs of copies among them.
        seed: of the splits that upstream does not have.
        leaks: what to do about units in several of upstream's splits; None takes the dataset's own rule.

    Raises:
        UsageError: upstream's test leaks into training and the rule is `refuse`; a split is empty, or lacks a class.
    """
    unit = find_units(samples, [*copies.pairs, *copies.parts])
    excluded = {index for pair in copies.pairs if _labels_differ(samples, pair) for index in pair}
    kept = [index for index in range(len(samples)) if index not in excluded]
    indices: dict[str, list[int]] = {name: [index for index in kept if samples[index].split == name] for name in SPLITS}
    free = [index for index in kept if not samples[index].split]
    indices["train"] += free
    if not indices["test"]:
        share, name = info.splits.test_fraction, f"{seed}/{info.id}/test"
        indices["test"], indices["train"] = _stratified_split(samples, unit, indices["train"], share, name)
    indices, leaked = _resolve_leaks(info, samples, unit, indices, leaks or info.splits.leaks)
    if not indices["validation"]:
        share, name = info.splits.validation_fraction, f"{seed}/{info.id}/validation"
        indices["validation"], indices["train"] = _stratified_split(samples, unit, indices["train"], share, name)
    found: dict[str, list[int]] = {name: sorted(indices[name]) for name in SPLITS}
    _validate_splits(info, samples, found)
    return DatasetSplit(found, unit, tuple(sorted(samples[index].key for index in excluded)), leaked)


def few_shot(
    samples: Sequence[Sample], unit: Sequence[str], indices: Sequence[int], shots: int, seed: int
) -> list[int]:
    """Choose `shots` units of each class, patients and not images, and return the indices of all their images.

    A unit chosen for one class counts for its other classes too. In multi-label datasets an image without any class is
    chosen only with a unit that has one, as in MedFMC's own few-shot lists.
    """
    by_class: dict[int, set[str]] = defaultdict(set)
    for index in indices:
        for label in samples[index].labels:
            by_class[label].add(unit[index])
    chosen: set[str] = set()
    for label in sorted(by_class, key=lambda label: (len(by_class[label]), label)):
        order = _hash_shuffle(by_class[label] - chosen, f"{seed}/shots/{label}")
        chosen.update(order[: max(0, shots - len(by_class[label] & chosen))])
    return [index for index in indices if unit[index] in chosen]


def find_units(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Return the unit of each sample: its group joined with the groups of the images that `pairs` relate to its own.

    Samples of one group and related images have one unit, transitively: two images that are only copies of a third one
    share it too, which is the safe choice. A unit has the name of the first of its groups or keys, so the
    name does not depend on the order of the samples.
    """
    parent = list(range(len(samples)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[str, int] = {}
    for index, sample in enumerate(samples):
        if sample.group:
            parent[root(index)] = root(first.setdefault(sample.group, index))
    for one, other in pairs:
        parent[root(one)] = root(other)
    names: dict[int, str] = {}
    for index, sample in enumerate(samples):
        name, here = sample.group or sample.key, root(index)
        names[here] = min(name, names.get(here, name))
    return [names[root(index)] for index in range(len(samples))]


def _labels_differ(samples: Sequence[Sample], pair: tuple[int, int]) -> bool:
    return samples[pair[0]].labels != samples[pair[1]].labels


def _stratified_split(
    samples: Sequence[Sample], unit: Sequence[str], indices: Sequence[int], share: float, name: str
) -> tuple[list[int], list[int]]:
    """Split off a share of the images, in whole units, stratified by the rarest class of each unit.

    Of a class with at least three units, at least one is split off and at least one remains.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        members[unit[index]].append(index)
    common = Counter(label for index in indices for label in samples[index].labels)
    strata: dict[int, list[str]] = defaultdict(list)
    for one, mine in members.items():
        labels = sorted({label for index in mine for label in samples[index].labels}, key=lambda k: (common[k], k))
        strata[labels[0] if labels else -1].append(one)
    split_off: set[str] = set()
    for label in sorted(strata):
        split_off |= _take_share(_hash_shuffle(strata[label], f"{name}/{label}"), members, share)
    return [p for p in indices if unit[p] in split_off], [p for p in indices if unit[p] not in split_off]


def _take_share(order: list[str], members: Mapping[str, list[int]], share: float) -> set[str]:
    """Take units in order while that brings the number of images closer to the share."""
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


def _resolve_leaks(
    info: DatasetInfo, samples: Sequence[Sample], unit: Sequence[str], indices: dict[str, list[int]], leaks: Leaks
) -> tuple[dict[str, list[int]], dict[str, int]]:
    test = {unit[index] for index in indices["test"]}
    validation = {unit[index] for index in indices["validation"]}
    bad = {
        "train": [index for index in indices["train"] if unit[index] in test | validation],
        "validation": [index for index in indices["validation"] if unit[index] in test],
    }
    count = sum(map(len, bad.values()))
    if not count:
        return indices, {}
    if leaks == "keep":
        return indices, {"kept": count}
    if leaks == "refuse":
        shared = {unit[index] for mine in bad.values() for index in mine}
        names = first_ten(sorted(samples[index].key for mine in bad.values() for index in mine))
        raise UsageError(
            f"{info.id}: {count} images of train or validation share {len(shared)} units ({info.splits.group_by}, or "
            f"copies or parts of one image) with the test: {names}; to drop them from training, set "
            f"leaks: drop in splits of {info.id}.yaml; to keep them anyway, set leaks: keep"
        )
    return {name: sorted(set(mine) - set(bad.get(name, []))) for name, mine in indices.items()}, {"dropped": count}


def _validate_splits(info: DatasetInfo, samples: Sequence[Sample], indices: Mapping[str, list[int]]) -> None:
    """Raise for an empty split, or a class without training images; the test may lack a class."""
    empty = [name for name in SPLITS if not indices[name]]
    seen = {label for index in indices["train"] for label in samples[index].labels}
    lost = [name for label, name in enumerate(info.classes) if label not in seen]
    if empty or lost:
        what = f"{', '.join(empty)} is empty" if empty else f"train has no image of {first_ten(lost)}"
        raise UsageError(
            f"{info.id}: of {len(samples)} images {what}; add images, or change the fractions in {info.id}.yaml"
        )


def _hash_shuffle(names: Iterable[str], salt: str) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())
