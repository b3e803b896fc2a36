"""Sets in an npz file, as those of MedMNIST (Yang et al. 2023, https://medmnist.com)."""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medmix.curate.errors import InputError

from ..datasets import Arrays, EvalSet
from ..samples import Element, Sample


def read_arrays(facts: EvalSet, layout: Arrays, folder: Path) -> list[Sample]:
    """Read the labels of every split, and where each image stands.

    Raises:
        InputError: the file cannot be read, an array is missing or of another shape, or a label is no class's number.
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
                    Sample(
                        f"{name}/{row:06d}", Element(path, f"{name}_images", row), _labels(facts, label, path), split
                    )
                    for row, label in enumerate(labels.reshape(len(labels), -1))
                ]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(path, f"cannot be read ({error})", "download it again") from None
    return samples


def _labels(facts: EvalSet, label: npt.NDArray[np.generic], path: Path) -> tuple[int, ...]:
    if facts.labels == "multi":
        if len(label) == len(facts.classes):
            return tuple(np.flatnonzero(label).tolist())
    elif len(label) == 1 and 0 <= int(label[0]) < len(facts.classes):
        return (int(label[0]),)
    raise InputError(path, f"label {label.tolist()} is none of {len(facts.classes)} classes", f"mend {facts.id}.yaml")
