"""Rows of csv files with a header."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError, RowError
from .csv_records import CutError, Lines, csv_limit, records
from .fields import check_columns
from .lines import Piece, count_lines, make_pieces, number_rows
from .opening import GET_AGAIN, open_binary


def csv_columns(path: Path) -> list[str]:
    """Give the header of a csv file.

    Raises:
        InputError: the file is empty or no csv.
    """
    with _open_csv(path) as lines:
        return _header(path, lines)


def csv_rows(
    path: Path, required: Sequence[str], piece: Piece | None = None
) -> Iterator[tuple[int, dict[str, str] | RowError]]:
    """Give (row, column -> text) for each record of a csv file with a header; memory holds one record.

    A record with more or fewer fields than the header, a wrong quote or a byte that is not UTF-8 gives a `RowError`
    in its place.

    Raises:
        InputError: a required column is missing, all missing ones are named, or occurs twice; the file is cut inside
            quotes.
    """
    header = csv_columns(path)
    for row, fields in csv_fields(path, required, piece):
        yield row, fields if isinstance(fields, RowError) else dict(zip(header, fields, strict=True))


def csv_fields(
    path: Path, required: Sequence[str], piece: Piece | None = None
) -> Iterator[tuple[int, list[str] | RowError]]:
    """Give what `csv_rows` gives, the fields in the header's order, for files so long that it matters.

    Raises:
        InputError: as `csv_rows` does.
    """
    header = csv_columns(path)
    check_columns(path, required, header)
    with _open_csv(path, piece) as lines:
        if not piece:
            _header(path, lines)
        for row, fields in number_rows(records(lines, len(header)), piece):
            if fields:
                yield row, fields


def csv_pieces(path: Path, rows: int) -> list[Piece]:
    """Cut a csv file into pieces of so many rows; the whole file is read once.

    Raises:
        InputError: the file is empty or no csv.
    """
    offsets = []
    with _open_csv(path) as lines:
        width = len(_header(path, lines))
        for row, end in enumerate(_record_ends(lines, width)):
            if row % rows == 0:
                offsets.append(end)
        return make_pieces(offsets, rows, lines.start)


def _record_ends(lines: Lines, width: int) -> Iterator[int]:
    """Give the byte after the header and after each record."""
    parsed = records(lines, width)
    while True:
        yield lines.start
        try:
            if not lines.skip_plain_line():
                next(parsed)
        except StopIteration:
            return


def _header(path: Path, lines: Lines) -> list[str]:
    try:
        header = next(csv.reader(lines, strict=True), None)
    except csv.Error as error:
        raise InputError(path, f"is not csv at line {lines.line} ({error})", GET_AGAIN) from None
    if header is None:
        raise InputError(path, "is empty", GET_AGAIN)
    if lines.bad:
        raise InputError(path, f"is no text: {lines.bad}", GET_AGAIN)
    lines.end_record()
    return header


@contextmanager
def _open_csv(path: Path, piece: Piece | None = None) -> Iterator[Lines]:
    offset = piece.offset if piece else 0
    with csv_limit(), open_binary(path, offset) as handle:
        try:
            yield Lines(handle, offset, 1 + count_lines(path, offset))
        except CutError as error:
            raise InputError(path, f"is not csv at {error}", GET_AGAIN) from None
