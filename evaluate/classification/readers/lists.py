"""Datasets whose text files have an image and its labels per line, as those of MedFMC (`openmedlab/MedFM`)."""

from pathlib import Path

from medmix.curate.errors import InputError, RowError
from medmix.curate.tables import text_lines

from ..datasets import DatasetInfo, Lists
from ..samples import Sample, group_of, is_inside


def read_lists(info: DatasetInfo, layout: Lists, folder: Path) -> list[Sample]:
    """Read the lines of every list.

    Raises:
        InputError: a line is not an image and labels.
    """
    samples = []
    for file, split in layout.files.items():
        for row, line in text_lines(folder / file):
            if isinstance(line, RowError):
                raise InputError(folder / file, line.evidence, "fix the line", row=row)
            name, labels = _parse_line(info, layout, line.strip(), folder / file, row)
            if not is_inside(name):
                raise InputError(folder / file, f"{name!r} is no file name", "fix the line", row=row)
            image = folder / layout.folder / name
            key = f"{layout.folder}/{name}"
            samples.append(Sample(key, image, labels, split, group_of(info, name)))
    return samples


def _parse_line(info: DatasetInfo, layout: Lists, line: str, path: Path, row: int) -> tuple[str, tuple[int, ...]]:
    count = len(info.classes)
    if layout.labels == "index":
        name, *words = line.rsplit(" ", 1)
        if len(words) == 1 and words[0].isdecimal() and int(words[0]) < count:
            return name, (int(words[0]),)
        raise InputError(
            path, f"{line!r} does not end in the number of a class, 0 to {count - 1}", "fix the line", row=row
        )
    if layout.separator == ",":
        name, *rest = line.rsplit(" ", 1)
        words = rest[0].split(",") if rest else []
    else:
        name, *words = line.rsplit(" ", count)
    if len(words) != count or not set(words) <= {"0", "1"}:
        raise InputError(path, f"{line!r} does not end in {count} labels of 0 or 1", "fix the line", row=row)
    labels = tuple(number for number, word in enumerate(words) if word == "1")
    if info.labels == "single" and len(labels) != 1:
        raise InputError(
            path, f"{line!r} has {len(labels)} classes, the dataset is single-label", "fix the line", row=row
        )
    return name, labels
