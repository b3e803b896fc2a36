"""Find the images of an evaluation set in a folder, by a pattern or by the names in a table or list."""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ..errors import InputError, RowError, UsageError
from ..mixture import FileFilter
from ..tables import common_spelling, csv_rows, is_litter, text_lines

Value = TypeVar("Value")

SUFFIXES = (".bmp", ".dcm", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def paths(folder: Path, file_filter: FileFilter) -> list[Path]:
    """Give the paths of the images, sorted.

    Raises:
        UsageError: there are no images, or the table names one that is not in the folder.
    """
    images = sorted(
        path
        for path in folder.glob(file_filter.files)
        if path.suffix.lower() in SUFFIXES and not is_litter(path.relative_to(folder).as_posix()) and path.is_file()
    )
    if not file_filter.table:
        if not images:
            raise UsageError(f"{folder}: no images match {file_filter.files}; give another folder, or `files`")
        return images
    table = folder / file_filter.table
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    for path in images:
        for name in {path.name, path.stem, path.relative_to(folder).as_posix()}:
            by_name[common_spelling(name)].append(path)
    found = {_found(table, row, names, by_name) for row, names in _names(table, file_filter)}
    if not found:
        raise UsageError(f"{table}: names no images; check `column` and `where`")
    return sorted(found)


def _names(table: Path, file_filter: FileFilter) -> list[tuple[int, list[str]]]:
    """Give each row's number and the possible names of its image."""
    if not file_filter.column:
        return [(row, _prefixes(_validated(table, row, line).strip())) for row, line in text_lines(table)]
    rows = []
    for row, value in csv_rows(table, [file_filter.column, *file_filter.where]):
        fields = _validated(table, row, value)
        if all(fields[column] == wanted for column, wanted in file_filter.where.items()):
            rows.append((row, [fields[file_filter.column]]))
    return rows


def _validated(table: Path, row: int, value: Value | RowError) -> Value:
    if isinstance(value, RowError):
        raise InputError(table, value.evidence, "mend the row", row)
    return value


def _prefixes(line: str) -> list[str]:
    """Give a line and its parts before each blank or comma: names may contain these, and labels may follow."""
    return [line, *(line[: sign.start()] for sign in reversed(list(re.finditer("[ ,]", line))))]


def _found(table: Path, row: int, names: list[str], by_name: dict[str, list[Path]]) -> Path:
    for name in names:
        spelled = common_spelling(name)
        matching = by_name.get(spelled) or by_name.get(PurePosixPath(spelled).name, [])
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise InputError(
                table, f"{name!r} is the name of {len(matching)} images", "give paths relative to the folder", row
            )
    raise InputError(table, f"there is no image {names[0]!r} in the folder", "add the image, or remove the row", row)
