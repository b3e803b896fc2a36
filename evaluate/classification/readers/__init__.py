"""Readers by layout, from a set's folder to its samples.

A set is read whole or not at all: a score over the images that happened to be there is not the set's. So what is
missing, unknown or contradictory raises, with the first ten of it named.
"""

from collections import Counter
from pathlib import Path

from medmix.curate.errors import InputError, UsageError

from ..datasets import EvalSet
from ..samples import Sample, some
from .arrays import read_arrays
from .folders import read_folders
from .lists import read_lists
from .table import read_table


def read(facts: EvalSet, folder: Path) -> list[Sample]:
    """Read a set, sorted by key.

    Raises:
        UsageError: the folder is not there or is not laid out as the YAML says; an image of a table or list is
            missing; a class has no images; one image has two lines.
    """
    if not folder.is_dir():
        get = f"; {facts.fetch}" if facts.fetch else ""
        raise UsageError(f"{folder} is not there{get}; put {facts.title} there, or leave {facts.id} out of the sets")
    reader = facts.reader
    if reader.folders is not None:
        samples = read_folders(facts, reader.folders, folder)
    elif reader.table is not None:
        samples = read_table(facts, reader.table, folder)
    elif reader.lists is not None:
        samples = read_lists(facts, reader.lists, folder)
    else:
        assert reader.arrays is not None  # noqa: S101 - sets.load sees to it
        samples = read_arrays(facts, reader.arrays, folder)
    _refuse_twice(samples, folder)
    _refuse_missing(samples, folder)
    _refuse_absent_class(facts, samples, folder)
    return sorted(samples, key=lambda sample: sample.key)


def _refuse_twice(samples: list[Sample], folder: Path) -> None:
    twice = [key for key, count in Counter(sample.key for sample in samples).items() if count > 1]
    if twice:
        raise InputError(folder, f"{len(twice)} images stand twice: {some(twice)}", "leave one line of each")


def _refuse_missing(samples: list[Sample], folder: Path) -> None:
    lost = [sample.key for sample in samples if isinstance(sample.image, Path) and not sample.image.is_file()]
    if lost:
        raise InputError(
            folder,
            f"{len(lost)} of {len(samples)} images are not there: {some(lost)}",
            "complete the download, or take their lines out of the list",
        )


def _refuse_absent_class(facts: EvalSet, samples: list[Sample], folder: Path) -> None:
    seen = {label for sample in samples for label in sample.labels}
    absent = [name for place, name in enumerate(facts.classes) if place not in seen]
    if absent:
        raise InputError(
            folder, f"no image is of class {some(absent)}", f"check the classes and values of {facts.id}.yaml"
        )
