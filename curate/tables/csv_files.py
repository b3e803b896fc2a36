"""Rows of csv files with a header."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError, RowError
from .fields import check_columns
from .lines import Piece, make_pieces, number_rows
from .opening import GET_AGAIN, input_errors, open_text

MAX_CSV_FIELD = 2**24


def csv_columns(path: Path) -> list[str]:
    """Give the header of a csv file.

    Raises:
        InputError: the file is empty or no csv.
    """
    with _open_csv(path) as reader:
        header = next(reader, None)
    if header is None:
        raise InputError(path, "is empty", GET_AGAIN)
    return header


def csv_rows(
    path: Path, required: Sequence[str], piece: Piece | None = None
) -> Iterator[tuple[int, dict[str, str] | RowError]]:
    """Give (row, column -> text) for each record of a csv file with a header; memory holds one record.

    A record with more or fewer fields than the header gives a `RowError` in its place.

    Raises:
        InputError: a required column is missing, all missing ones are named; the file is cut inside quotes.
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
    width = len(header)
    with _open_csv(path, piece.offset if piece else 0) as reader:
        if not piece:
            next(reader)
        for row, fields in number_rows(reader, piece):
            if len(fields) == width:
                yield row, fields
            elif fields:
                yield row, RowError("unparsable-row", f"{len(fields)} fields, the header has {width}")


def csv_pieces(path: Path, rows: int) -> list[Piece]:
    """Cut a csv file into pieces of so many rows; the whole file is read once.

    Raises:
        InputError: the file is empty or no csv.
    """
    offsets, end = [], 0
    with input_errors(path), path.open("rb") as handle:
        lines = _Lines(handle)
        with _csv_reader(path, lines) as reader:
            for row, end in enumerate(lines.record_ends(reader)):  # row 0 is the header
                if row % rows == 0:
                    offsets.append(end)
    return make_pieces(offsets, rows, end)


_LONE_RETURN = re.compile(rb"(?<=\r)(?!\n|\Z)")


class _Lines:
    """Gives the lines of a csv file as text, ended as a text file's are, and knows the byte at which the last ended."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._waiting: list[bytes] = []
        self._end = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if not self._waiting:
            self._wait(next(self._handle))
        line = self._waiting.pop()
        self._end += len(line)
        return line.decode()

    def _wait(self, block: bytes) -> None:
        self._waiting = _LONE_RETURN.split(block)[::-1]

    def record_ends(self, reader: Iterator[list[str]]) -> Iterator[int]:
        """Give the byte after each record; `reader`, which parses these lines, is asked only where it is needed.

        A line without quotes and without a return in its middle is a record: to see that takes a tenth of the
        time that parsing does.
        """
        while True:
            if not self._waiting:
                block = next(self._handle, b"")
                if not block:
                    return
                if b'"' not in block and (b"\r" not in block or block.count(b"\r") == block.endswith(b"\r\n")):
                    self._end += len(block)
                    yield self._end
                    continue
                self._wait(block)
            next(reader)
            yield self._end


@contextmanager
def _open_csv(path: Path, offset: int = 0) -> Iterator[Iterator[list[str]]]:
    with open_text(path, offset, newline="") as handle, _csv_reader(path, handle) as reader:
        yield reader


@contextmanager
def _csv_reader(path: Path, lines: Iterable[str]) -> Iterator[Iterator[list[str]]]:
    before = csv.field_size_limit(MAX_CSV_FIELD)
    reader = csv.reader(lines, strict=True)  # else a file cut inside quotes loses its end unseen
    try:
        yield reader
    except csv.Error as error:
        raise InputError(path, f"is not csv ({error})", GET_AGAIN, row=reader.line_num) from None
    finally:
        csv.field_size_limit(before)
