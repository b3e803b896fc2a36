"""Which files of a folder are the images of an evaluation set: a pattern, or the names in a table or list."""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ..errors import InputError, UsageError
from ..mixture import Listing
from ..tables import csv_rows, text_lines

SUFFIXES = (".bmp", ".dcm", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def paths(folder: Path, listing: Listing) -> list[Path]:
    """Give the images, sorted by their paths below the folder.

    Raises:
        UsageError: there are none, or the table names one that is not there.
    """
    there = sorted(path for path in folder.glob(listing.files) if path.suffix.lower() in SUFFIXES and path.is_file())
    if not listing.table:
        if not there:
            raise UsageError(f"{folder}: no images match {listing.files}; give another folder, or `files`")
        return there
    table = folder / listing.table
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    for path in there:
        for name in {path.name, path.stem, path.relative_to(folder).as_posix()}:
            by_name[name].append(path)
    found = {_found(table, row, names, by_name) for row, names in _names(table, listing)}
    if not found:
        raise UsageError(f"{table}: names no images; check `column` and `where`")
    return sorted(found)


def _names(table: Path, listing: Listing) -> list[tuple[int, list[str]]]:
    """Give, by row, the names that its image may have."""
    if not listing.column:
        return [(row, _cut(line.strip())) for row, line in text_lines(table)]
    rows = []
    for row, value in csv_rows(table, [listing.column, *listing.where]):
        if not isinstance(value, dict):
            raise InputError(table, value.evidence, "mend the row", row)
        if all(value[column] == wanted for column, wanted in listing.where.items()):
            rows.append((row, [value[listing.column]]))
    return rows


def _cut(line: str) -> list[str]:
    """Give a line, and what stands before each of its blanks and commas: names may hold some, and labels follow."""
    return [line, *(line[: sign.start()] for sign in reversed(list(re.finditer("[ ,]", line))))]


def _found(table: Path, row: int, names: list[str], by_name: dict[str, list[Path]]) -> Path:
    for name in names:
        held = by_name.get(name) or by_name.get(PurePosixPath(name).name, [])
        if len(held) == 1:
            return held[0]
        if held:
            raise InputError(table, f"{name!r} is the name of {len(held)} images", "give paths below the folder", row)
    raise InputError(table, f"there is no image {names[0]!r} in the folder", "bring it there, or take the row out", row)
