"""Numbered shards, `train-00001-of-00002.parquet`: which of a set are missing."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ..tables import is_litter

_NUMBERED = re.compile(r"(?P<stem>.*)-(?P<number>\d{3,})-of-(?P<total>\d{3,})(?P<suffix>\..+)", re.DOTALL)
"""As `datasets` writes them: https://huggingface.co/docs/hub/datasets-file-names-and-splits"""


def missing_shards(names: Iterable[str]) -> list[str]:
    """List the names that numbered files among `names` say must exist and that are not among them, sorted."""
    sets: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for name in names:
        if found := _NUMBERED.fullmatch(name):
            sets[found["stem"], found["total"], found["suffix"]].add(int(found["number"]))
    return sorted(
        f"{stem}-{number:0{len(total)}}-of-{total}{suffix}"
        for (stem, total, suffix), numbers in sets.items()
        for number in sorted(set(range(int(total))) - numbers)
    )


def missing_from(folder: Path, files: Iterable[str]) -> list[str]:
    """List the numbered files that are missing beside `files`, paths below `folder`.

    Files beside them count too, whether or not they are read: two sets of one split may differ in their total.
    """
    folders = {Path(file).parent for file in files if _NUMBERED.fullmatch(file)}
    names = [path.relative_to(folder).as_posix() for place in sorted(folders) for path in (folder / place).iterdir()]
    return missing_shards(name for name in names if not is_litter(name))
