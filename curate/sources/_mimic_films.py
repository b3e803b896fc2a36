"""The films of a part of MIMIC-CXR: rows of upstream's gzipped tables, and image files in the patients' folders.

A part is one of the folders `files/p10` to `files/p19`. Each table is one gzipped file for all parts that cannot be
read from its middle, so each part reads all of it and keeps its own tenth.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import RowError
from ..tables import csv_columns, csv_fields, is_litter

PARTS = tuple(f"p{number}" for number in range(10, 20))
SPLIT = "mimic-cxr-2.0.0-split.csv"
METADATA = "mimic-cxr-2.0.0-metadata.csv"
FILMS = "cxr-record-list.csv"
STUDIES = "cxr-study-list.csv"

_IDS = {
    "subject_id": re.compile(r"1\d{7}"),
    "study_id": re.compile(r"5\d{7}"),
    "dicom_id": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}"),
}
_SPLITS = {"train": "train", "validate": "validation", "test": "test"}


class Film(NamedTuple):
    """A row that names a film; `path` relative to the source's folder, `split` one of `record.SPLITS` or ""."""

    subject: str
    study: str
    dicom: str
    path: str
    split: str = ""


def find_table(folder: Path, table: str) -> str:
    """Give the file name of a table, gzipped as upstream has it or unpacked; "" where it is missing."""
    return next((name for name in (f"{table}.gz", table) if (folder / name).exists()), "")


def table_rows(path: Path, columns: Sequence[str], part: str) -> Iterator[tuple[int, dict[str, str] | RowError]]:
    """Give the rows of a table that belong to a part; rows of no known part come with the first one.

    A row whose ids are not as upstream documents them is a `RowError`.

    Raises:
        InputError: the table cannot be read, or lacks a column.
    """
    header = csv_columns(path)
    subject = header.index("subject_id") if "subject_id" in header else 0  # csv_fields reports a missing column
    for row, fields in csv_fields(path, columns):
        own = "" if isinstance(fields, RowError) else f"p{fields[subject][:2]}"
        if own == part or (own not in PARTS and part == PARTS[0]):
            yield row, fields if isinstance(fields, RowError) else _validated(dict(zip(header, fields, strict=True)))


def _validated(value: dict[str, str]) -> dict[str, str] | RowError:
    odd = [name for name, pattern in _IDS.items() if name in value and not pattern.fullmatch(value[name])]
    return RowError("unparsable-row", f"field {odd[0]!r} is {value[odd[0]]!r}") if odd else value


def jpg_films(path: Path, part: str) -> Iterator[tuple[int, Film | RowError]]:
    """Give the rows of the split table, which names each film of the JPG edition.

    Raises:
        InputError: as `table_rows`.
    """
    for row, value in table_rows(path, ("dicom_id", "study_id", "subject_id", "split"), part):
        yield row, value if isinstance(value, RowError) else _jpg_film(value)


def _jpg_film(row: dict[str, str]) -> Film | RowError:
    subject, study, dicom, split = (row[name] for name in ("subject_id", "study_id", "dicom_id", "split"))
    if split not in _SPLITS:
        return RowError("unparsable-row", f"split {split!r}, expected {', '.join(_SPLITS)}")
    return Film(subject, study, dicom, f"{study_folder(subject, study)}/{dicom}.jpg", _SPLITS[split])


def original_films(path: Path, part: str) -> Iterator[tuple[int, Film | RowError]]:
    """Give the rows of `cxr-record-list.csv.gz`, which names each film of the DICOM edition and no split.

    Raises:
        InputError: as `table_rows`.
    """
    columns = ("subject_id", "study_id", "dicom_id", "path")
    for row, value in table_rows(path, columns, part):
        yield row, value if isinstance(value, RowError) else Film(*(value[name] for name in columns))


def view_positions(path: Path, part: str) -> dict[str, str]:
    """Give the view positions of a part's films by their id, where the metadata table has one.

    Raises:
        InputError: as `table_rows`.
    """
    good = (
        row for _, row in table_rows(path, ("dicom_id", "subject_id", "ViewPosition"), part) if isinstance(row, dict)
    )
    return {row["dicom_id"]: row["ViewPosition"] for row in good}


def image_files(folder: Path, part: str, suffixes: tuple[str, ...]) -> set[str]:
    """Give the paths of a part's image files, relative to the source's folder."""
    root = str(folder / "files" / part)
    return {
        f"files/{part}{place[len(root) :]}/{name}"
        for place, _, names in os.walk(root)
        for name in names
        if name.endswith(suffixes) and not is_litter(name)
    }


def study_folder(subject: str, study: str) -> str:
    """Give the folder of a study's films; its report has the same name and ends in `.txt`."""
    return f"files/p{subject[:2]}/p{subject}/s{study}"
