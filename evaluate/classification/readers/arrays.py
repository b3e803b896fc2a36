"""Datasets in an npz file, as those of MedMNIST (Yang et al. 2023, https://medmnist.com)."""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medmix.curate.errors import InputError

from ..datasets import Arrays, DatasetInfo
from ..samples import Element, Sample


def read_arrays(info: DatasetInfo, layout: Arrays, folder: Path) -> list[Sample]:
    """Read the labels and the location of every image.

    Raises:
        InputError: the file cannot be read, an array is missing or of another shape, or a label is no class number.
    """
    path = folder / layout.file
    samples = []
    try:
        with path.open("rb") as whole, np.load(whole, allow_pickle=False) as arrays:
            for name, split in layout.splits.items():
                images, labels = arrays[f"{name}_images"], arrays[f"{name}_labels"]
                if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) != len(labels):
                    raise InputError(
                        path, f"{name}_images is {images.dtype} {images.shape}", "expected uint8 [N, H, W]"
                    )
                samples += [
                    Sample(f"{name}/{row:06d}", Element(path, f"{name}_images", row), _labels(info, label, path), split)
                    for row, label in enumerate(labels.reshape(len(labels), -1))
                ]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(path, f"cannot be read ({error})", "download it again") from None
    return samples


def _labels(info: DatasetInfo, label: npt.NDArray[np.generic], path: Path) -> tuple[int, ...]:
    if info.labels == "multi":
        if len(label) == len(info.classes):
            return tuple(np.flatnonzero(label).tolist())
    elif len(label) == 1 and 0 <= int(label[0]) < len(info.classes):
        return (int(label[0]),)
    raise InputError(path, f"label {label.tolist()} is none of {len(info.classes)} classes", f"fix {info.id}.yaml")
