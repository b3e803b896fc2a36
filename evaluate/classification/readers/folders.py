"""Datasets with one folder per class."""

from fnmatch import fnmatch
from pathlib import Path

from medmix.curate.config import nearest
from medmix.curate.errors import InputError
from medmix.curate.tables import is_litter

from ..datasets import DatasetInfo, Folders
from ..samples import Sample, first_ten, group_of

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".dcm"})
"""Of image files; other files in a class's folder (`Thumbs.db`) are ignored."""


def read_folders(info: DatasetInfo, layout: Folders, folder: Path) -> list[Sample]:
    """Read the images of every class's folder.

    Raises:
        InputError: a class has no folder, or a folder belongs to no class.
    """
    names = {name: name for name in info.classes} | {name: upstream for upstream, name in info.class_aliases.items()}
    samples = []
    for split_folder, split in layout.splits.items() or [("", "")]:
        path = layout.path.replace("{split}", split_folder)
        before, _, after = path.partition("{class}")
        _validate_folders(info, folder / before, list(names.values()))
        for number, name in enumerate(info.classes):
            class_folder = folder / f"{before}{names[name]}{after}"
            for file in sorted(class_folder.iterdir()):
                is_image = file.suffix.lower() in SUFFIXES and not is_litter(file.name)
                if is_image and not any(fnmatch(file.name, pattern) for pattern in layout.exclude):
                    key = file.relative_to(folder).as_posix()
                    samples.append(Sample(key, file, (number,), split, group_of(info, file.name)))
    return samples


def _validate_folders(info: DatasetInfo, parent: Path, wanted: list[str]) -> None:
    if not parent.is_dir():
        raise InputError(parent, "is missing", f"check reader.folders of {info.id}.yaml")
    found = sorted(entry.name for entry in parent.iterdir() if entry.is_dir() and not is_litter(entry.name))
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted]
    if missing:
        hint = nearest(missing[0], unknown)
        raise InputError(
            parent,
            f"has no folder {first_ten(missing)}{hint}; found {first_ten(found)}",
            f"fix classes of {info.id}.yaml",
        )
    if unknown:
        hint = nearest(unknown[0], wanted)
        raise InputError(
            parent,
            f"{first_ten(unknown)}: a folder of no class{hint}",
            f"add it to classes of {info.id}.yaml, or remove it",
        )
