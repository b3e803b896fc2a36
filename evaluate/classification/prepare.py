"""Prepare a dataset: read, decode, find copies, split; describe what to know before trusting its scores."""

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
from .copies import CopyPairs
from .datasets import DatasetInfo
from .recipe import TransferRecipe
from .samples import Sample, first_ten
from .scores import BoolArray, classes_without_positives, multi_hot
from .splitting import DatasetSplit, Leaks


@dataclass(frozen=True, slots=True)
class PreparedDataset:
    """A dataset ready for any encoder.

    Attributes:
        info: facts about it.
        samples: sorted by key.
        images: their pixels.
        split: the splits of the samples.
        truth: the classes of each sample, [N, K].
        copies: pairs of copies among the samples.
        cache: folder of the dataset's caches.
        digest: of images, labels and splits, which decide the scores, 64 hex digits.
    """

    info: DatasetInfo
    samples: list[Sample]
    images: image_cache.ImageCache
    split: DatasetSplit
    truth: BoolArray
    copies: CopyPairs
    cache: Path
    digest: str

    @property
    def targets(self) -> Tensor:
        """The training targets: int64 [N], the class, or float32 [N, K] with several labels."""
        if self.info.labels == "multi":
            return torch.from_numpy(self.truth.astype(np.float32))
        return torch.tensor([sample.labels[0] for sample in self.samples])

    def indices(self, split: str) -> npt.NDArray[np.int64]:
        """Return the indices of a split's samples, ascending."""
        return np.array(self.split.indices[split], np.int64)

    def few_shot(self, split: str, shots: int | None, seed: int) -> npt.NDArray[np.int64]:
        """Return the indices of `shots` units of each class in a split, or of all units for None."""
        if shots is None:
            return self.indices(split)
        mine = self.split.indices[split]
        return np.array(splitting.few_shot(self.samples, self.split.units, mine, shots, seed), np.int64)


def prepare(
    info: DatasetInfo,
    root: Path,
    size: int,
    recipe: TransferRecipe,
    leaks: Leaks | None,
    cache: Path,
    workers: int = 1,
) -> PreparedDataset:
    """Prepare a dataset at an image size.

    Raises:
        UsageError: its layout differs from its YAML, images cannot be decoded, or its test leaks into training.
    """
    samples = read(info, root)
    cache = cache / info.id
    decoded = image_cache.load(samples, size, cache, recipe.max_pixels, workers)
    found = copies.find_copies(samples, decoded, info.splits.copies, cache, recipe.max_pixels, workers)
    split = splitting.split_dataset(info, samples, found, recipe.split_seed, leaks)
    truth = multi_hot([sample.labels for sample in samples], len(info.classes))
    return PreparedDataset(
        info, samples, decoded, split, truth, found, cache, _digest(info, samples, decoded.digest, split)
    )


def read(info: DatasetInfo, root: Path) -> list[Sample]:
    """Read a dataset from its folder below the root.

    Raises:
        UsageError: it is missing, or its layout differs from its YAML.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is missing; give the folder with one folder per dataset (--root)")
    return readers.read(info, root / (info.folder or info.id))


def describe(dataset: PreparedDataset) -> dict[str, Any]:
    """Return what decides the dataset's scores, as plain data for the protocol."""
    info, split = dataset.info, dataset.split
    test = dataset.truth[split.indices["test"]]
    return {
        "title": info.title,
        "labels": info.labels,
        "classes": list(info.classes),
        "excluded_classes": [info.classes[k] for k in classes_without_positives(test)],
        "group_by": info.splits.group_by,
        "images": {name: len(indices) for name, indices in split.indices.items()},
        "units": {name: len({split.units[p] for p in indices}) for name, indices in split.indices.items()},
        "positives_in_test": dict(zip(info.classes, test.sum(axis=0).tolist(), strict=True)),
        "copies": len(dataset.copies.pairs),
        "parts": len(dataset.copies.parts),
        "conflicting": list(split.conflicting),
        "leaked": split.leaked,
        "digest": dataset.digest,
        "pretraining_overlap": None if info.pretraining_overlap is None else info.pretraining_overlap.status,
        "licence": None if info.licence is None else info.licence.id,
    }


def notes(dataset: PreparedDataset, shots: int | None = None) -> list[str]:
    """List what to know before trusting a score on this dataset."""
    info, split = dataset.info, dataset.split
    lines = [*_size_note(dataset)]
    shared = "a copy or part" if info.splits.group_by == "copies" else f"the {info.splits.group_by} or a copy or part"
    if split.conflicting:
        lines.append(
            f"{len(split.conflicting)} images were excluded, because a copy has another label: "
            f"{first_ten(split.conflicting)}"
        )
    if "dropped" in split.leaked:
        lines.append(
            f"{split.leaked['dropped']} images of upstream's training or validation were dropped, because {shared} "
            "is in the test too"
        )
    if "kept" in split.leaked:
        lines.append(
            f"{split.leaked['kept']} images of training or validation, of which {shared} is in the test too, "
            "were kept as requested: the scores are too high"
        )
    excluded = describe(dataset)["excluded_classes"]
    if excluded:
        lines.append(f"no positive in the test, so excluded from every mean: {', '.join(excluded)}")
    if shots is not None:
        lines += [
            f"{name} has {count} training units, fewer than the {shots} shots requested"
            for name, count in _train_units_by_class(dataset).items()
            if count < shots
        ]
    if dataset.copies.n_unsearchable:
        lines.append(
            f"{dataset.copies.n_unsearchable} of {len(dataset.samples)} images are too small or too uniform "
            "to find altered copies of; only equal pixels were found"
        )
    overlap = info.pretraining_overlap
    if overlap is not None and overlap.status != "none":
        lines.append(f"overlap with the mix is {overlap.status}: {overlap.evidence}")
    return [f"{info.id}: {line}" for line in lines]


def training_image_digests(mix: Path) -> frozenset[str] | None:
    """Return the SHA-256 of the bytes of every training image of a mix; None if the mix is missing."""
    try:
        rows = stream.rows(stream.open_split(mix, "train"), ("image_sha256",))
        return frozenset(digest for row in rows for digest in row.get("image_sha256") or ())
    except UsageError:
        return None


def test_images_in(dataset: PreparedDataset, digests: frozenset[str]) -> list[str]:
    """Return the keys of the test images with one of these digests.

    Equal bytes are the least to check: `medmix leaks` finds re-encoded, cropped and rotated copies.
    """
    own = dataset.images.file_digests
    return [dataset.samples[index].key for index in dataset.split.indices["test"] if own[index] in digests]


def _train_units_by_class(dataset: PreparedDataset) -> dict[str, int]:
    mine = dataset.split.indices["train"]
    return {
        name: len({dataset.split.units[index] for index in mine if dataset.truth[index, k]})
        for k, name in enumerate(dataset.info.classes)
    }


def _size_note(dataset: PreparedDataset) -> list[str]:
    expected = dataset.info.images
    counts = Counter(sample.split or "all" for sample in dataset.samples)
    if "all" in expected:
        counts = Counter(all=len(dataset.samples))
    different = [f"{name} {counts[name]:,} of {count:,}" for name, count in expected.items() if counts[name] != count]
    return [f"a sample, or another edition: {', '.join(different)} images"] if different else []


def _digest(info: DatasetInfo, samples: list[Sample], images: str, split: DatasetSplit) -> str:
    split_of = {index: name for name, indices in split.indices.items() for index in indices}
    lines = [
        f"{sample.key}\t{sample.labels}\t{split_of.get(index, '')}\t{split.units[index]}"
        for index, sample in enumerate(samples)
    ]
    return hashlib.sha256("\n".join([images, *info.classes, info.labels, *lines]).encode()).hexdigest()
