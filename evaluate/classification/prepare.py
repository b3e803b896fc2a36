"""A set made ready: read, decoded, its copies found, split; what was found on the way is said in sentences."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medmix.curate.errors import UsageError
from medmix.train.data import stream

from . import copies, image_cache, readers, splitting
from .copies import Copies
from .datasets import EvalSet
from .recipe import TransferRecipe
from .samples import Sample, some
from .scores import Bools, indicators, left_out
from .splitting import Leaks, Partition


@dataclass(frozen=True, slots=True)
class Prepared:
    """A set ready for any encoder.

    Attributes:
        facts: what is known of it.
        samples: sorted by key.
        pictures: their pixels.
        partition: which of them lie in which split.
        truth: which classes each has, [N, K].
        copies: which of them are copies of one another.
        cache: folder of what is kept of the set between runs.
        digest: of images, labels and splits: all of the set that decides a score, 64 hex digits.
    """

    facts: EvalSet
    samples: list[Sample]
    pictures: image_cache.Pictures
    partition: Partition
    truth: Bools
    copies: Copies
    cache: Path
    digest: str

    @property
    def targets(self) -> Tensor:
        """What is learnt: int64 [N], the class, or float32 [N, K] with several labels."""
        if self.facts.labels == "multi":
            return torch.from_numpy(self.truth.astype(np.float32))
        return torch.tensor([sample.labels[0] for sample in self.samples])

    def places(self, split: str) -> npt.NDArray[np.int64]:
        """Give the places of a split's samples, ascending."""
        return np.array(self.partition.places[split], np.int64)

    def few(self, split: str, shots: int | None, seed: int) -> npt.NDArray[np.int64]:
        """Give the places of so many units of each class in a split; of all of them without `shots`."""
        if shots is None:
            return self.places(split)
        mine = self.partition.places[split]
        return np.array(splitting.few(self.samples, self.partition.units, mine, shots, seed), np.int64)


def prepare(
    facts: EvalSet,
    root: Path,
    size: int,
    recipe: TransferRecipe,
    leaks: Leaks | None,
    cache: Path,
    workers: int = 1,
) -> Prepared:
    """Make a set ready at a size of pixels.

    Raises:
        UsageError: it is not laid out as its YAML says, images cannot be decoded, or its test leaks into training.
    """
    samples = read(facts, root)
    home = cache / facts.id
    decoded = image_cache.load(samples, size, home, recipe.max_pixels, workers)
    found = copies.find(samples, decoded, facts.splits.copies, home, recipe.max_pixels, workers)
    split = splitting.split(facts, samples, found, recipe.split_seed, leaks)
    truth = indicators([sample.labels for sample in samples], len(facts.classes))
    return Prepared(facts, samples, decoded, split, truth, found, home, _digest(facts, samples, decoded.digest, split))


def read(facts: EvalSet, root: Path) -> list[Sample]:
    """Read a set from its folder below the root.

    Raises:
        UsageError: it is not there, or is not laid out as its YAML says.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not there; give the folder that holds a folder for each set (--root)")
    return readers.read(facts, root / (facts.folder or facts.id))


def describe(ready: Prepared) -> dict[str, Any]:
    """Give what decides the set's numbers, as plain data for the protocol."""
    facts, split = ready.facts, ready.partition
    test = ready.truth[split.places["test"]]
    return {
        "title": facts.title,
        "labels": facts.labels,
        "classes": list(facts.classes),
        "classes_left_out": [facts.classes[k] for k in left_out(test)],
        "split_by": facts.splits.by,
        "images": {name: len(places) for name, places in split.places.items()},
        "units": {name: len({split.units[p] for p in places}) for name, places in split.places.items()},
        "positives_in_test": dict(zip(facts.classes, test.sum(axis=0).tolist(), strict=True)),
        "copies": len(ready.copies.pairs),
        "contradictory": list(split.contradictory),
        "leaked": split.leaked,
        "digest": ready.digest,
        "outside_of_the_mix": None if facts.outside is None else facts.outside.overlap,
        "licence": None if facts.licence is None else facts.licence.id,
    }


def notes(ready: Prepared, shots: int | None = None) -> list[str]:
    """Say what one must know before trusting a score on this set."""
    facts, split = ready.facts, ready.partition
    lines = [*_sample_note(ready)]
    shared = "a copy" if facts.splits.by == "copies" else f"the {facts.splits.by} or a copy"
    if split.contradictory:
        lines.append(
            f"{len(split.contradictory)} images were left out, because a copy of theirs has another label: "
            f"{some(split.contradictory)}"
        )
    if "dropped" in split.leaked:
        lines.append(
            f"{split.leaked['dropped']} images of upstream's training or validation were dropped, because {shared} "
            "stands in the test as well"
        )
    if "kept" in split.leaked:
        lines.append(
            f"{split.leaked['kept']} images of training or validation, of which {shared} stands in the test as well, "
            "were kept as asked: the scores are too high"
        )
    lost = describe(ready)["classes_left_out"]
    if lost:
        lines.append(f"no positive in the test, so left out of every mean: {', '.join(lost)}")
    if shots is not None:
        lines += [
            f"{name} has {count} units to train on, fewer than the {shots} shots asked for"
            for name, count in _units_by_class(ready).items()
            if count < shots
        ]
    if ready.copies.blind:
        lines.append(
            f"{ready.copies.blind} of {len(ready.samples)} images are too small or too even for altered copies to be "
            "seen; only equal pixels were found on them"
        )
    if facts.outside is not None and facts.outside.overlap != "none":
        lines.append(f"overlap with the mix is {facts.outside.overlap}: {facts.outside.evidence}")
    return [f"{facts.id}: {line}" for line in lines]


def trained_on(mix: Path) -> frozenset[str] | None:
    """Give the SHA-256 of the bytes of every image that a mix trains on; None where it is not here any more."""
    try:
        rows = stream.rows(stream.open_split(mix, "train"), ("image_sha256",))
        return frozenset(digest for row in rows for digest in row.get("image_sha256") or ())
    except UsageError:
        return None


def of_test(ready: Prepared, seen: frozenset[str]) -> list[str]:
    """Give the keys of the test images whose bytes were trained on."""
    originals = ready.pictures.originals
    return [ready.samples[place].key for place in ready.partition.places["test"] if originals[place] in seen]


def _units_by_class(ready: Prepared) -> dict[str, int]:
    mine = ready.partition.places["train"]
    return {
        name: len({ready.partition.units[place] for place in mine if ready.truth[place, k]})
        for k, name in enumerate(ready.facts.classes)
    }


def _sample_note(ready: Prepared) -> list[str]:
    expected = ready.facts.images
    read_ = Counter(sample.split or "all" for sample in ready.samples)
    if "all" in expected:
        read_ = Counter(all=len(ready.samples))
    different = [f"{name} {read_[name]:,} of {count:,}" for name, count in expected.items() if read_[name] != count]
    return [f"a sample, or another edition: {', '.join(different)} images"] if different else []


def _digest(facts: EvalSet, samples: list[Sample], images: str, split: Partition) -> str:
    home = {place: name for name, places in split.places.items() for place in places}
    lines = [
        f"{sample.key}\t{sample.labels}\t{home.get(place, '')}\t{split.units[place]}"
        for place, sample in enumerate(samples)
    ]
    return hashlib.sha256("\n".join([images, *facts.classes, facts.labels, *lines]).encode()).hexdigest()
