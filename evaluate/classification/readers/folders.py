"""Sets with a folder for each class."""

from fnmatch import fnmatch
from pathlib import Path

from medmix.curate.config import nearest
from medmix.curate.errors import InputError

from ..datasets import EvalSet, Folders
from ..samples import Sample, group_of, some

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".dcm"})
"""Files that are images; others in a class's folder (`Thumbs.db`) are passed over."""


def read_folders(facts: EvalSet, layout: Folders, folder: Path) -> list[Sample]:
    """Read the images of every class's folder.

    Raises:
        InputError: a class has no folder, or a folder stands beside theirs that is of no class.
    """
    names = {name: name for name in facts.classes} | {name: upstream for upstream, name in facts.values.items()}
    samples = []
    for place, split in layout.splits.items() or [("", "")]:
        path = layout.path.replace("{split}", place)
        before, _, after = path.partition("{class}")
        _refuse_strange(facts, folder / before, list(names.values()))
        for number, name in enumerate(facts.classes):
            home = folder / f"{before}{names[name]}{after}"
            for file in sorted(home.iterdir()):
                if file.suffix.lower() in SUFFIXES and not any(fnmatch(file.name, skip) for skip in layout.skip):
                    key = file.relative_to(folder).as_posix()
                    samples.append(Sample(key, file, (number,), split, group_of(facts, file.name)))
    return samples


def _refuse_strange(facts: EvalSet, parent: Path, wanted: list[str]) -> None:
    if not parent.is_dir():
        raise InputError(parent, "is not there", f"check reader.folders of {facts.id}.yaml")
    there = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    missing = [name for name in wanted if name not in there]
    strange = [name for name in there if name not in wanted]
    if missing:
        hint = nearest(missing[0], strange)
        raise InputError(
            parent, f"has no folder {some(missing)}{hint}; there are {some(there)}", f"mend classes of {facts.id}.yaml"
        )
    if strange:
        hint = nearest(strange[0], wanted)
        raise InputError(
            parent,
            f"{some(strange)}: a folder of no class{hint}",
            f"add it to classes of {facts.id}.yaml, or move it away",
        )
