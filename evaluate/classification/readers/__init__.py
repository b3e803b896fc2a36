"""Readers by layout, from a dataset's folder to its samples.

A dataset is read completely or not at all: a score over some of its images is not comparable. So missing files, unknown
labels and contradictions raise, with the first ten listed.
"""

from collections import Counter
from pathlib import Path

from medmix.curate.errors import InputError, UsageError

from ..datasets import DatasetInfo
from ..samples import Sample, first_ten
from .arrays import read_arrays
from .folders import read_folders
from .lists import read_lists
from .table import read_table


def read(info: DatasetInfo, folder: Path) -> list[Sample]:
    """Read a dataset, sorted by key.

    Raises:
        UsageError: the folder is missing or has another layout than the YAML; an image of a table or list is missing; a
            class has no images; an image is listed twice.
    """
    if not folder.is_dir():
        download = f"; {info.download}" if info.download else ""
        raise UsageError(
            f"{folder} is missing{download}; put {info.title} there, or leave {info.id} out of the datasets"
        )
    reader = info.reader
    if reader.folders is not None:
        samples = read_folders(info, reader.folders, folder)
    elif reader.table is not None:
        samples = read_table(info, reader.table, folder)
    elif reader.lists is not None:
        samples = read_lists(info, reader.lists, folder)
    else:
        assert reader.arrays is not None  # noqa: S101 - datasets.load guarantees it
        samples = read_arrays(info, reader.arrays, folder)
    _validate_unique(samples, folder)
    _validate_files(samples, folder)
    _validate_classes(info, samples, folder)
    return sorted(samples, key=lambda sample: sample.key)


def _validate_unique(samples: list[Sample], folder: Path) -> None:
    twice = [key for key, count in Counter(sample.key for sample in samples).items() if count > 1]
    if twice:
        raise InputError(folder, f"{len(twice)} images are listed twice: {first_ten(twice)}", "keep one line of each")


def _validate_files(samples: list[Sample], folder: Path) -> None:
    lost = [sample.key for sample in samples if isinstance(sample.image, Path) and not sample.image.is_file()]
    if lost:
        raise InputError(
            folder,
            f"{len(lost)} of {len(samples)} images are missing: {first_ten(lost)}",
            "complete the download, or remove their lines from the list",
        )


def _validate_classes(info: DatasetInfo, samples: list[Sample], folder: Path) -> None:
    seen = {label for sample in samples for label in sample.labels}
    absent = [name for number, name in enumerate(info.classes) if number not in seen]
    if absent:
        raise InputError(
            folder, f"no image is of class {first_ten(absent)}", f"check classes and class_aliases of {info.id}.yaml"
        )
