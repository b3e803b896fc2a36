"""Records of a csv file, one at a time; a record that cannot be read costs no other.

The format is that of RFC 4180, with LF, CRLF or CR as line ends. A quote that upstream forgot to close or to double
swallows the lines after it. So a record that fails ends before the first of its lines from which a good one can be
read.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from ..errors import RowError
from .opening import bad_byte

MAX_CSV_FIELD = 2**24

_LONE_RETURN = re.compile(rb"(?<=\r)(?!\n|\Z)")
_BOM = b"\xef\xbb\xbf"
_END_IN_QUOTES = "unexpected end of data"

MIN_SUSPECT_WIDTH = 4
"""A quoted text of several lines that all have the table's number of commas is hardly one in a table this wide."""


class CutError(Exception):
    """The file ends inside quotes; the text names the line."""


class Lines:
    """The lines of a csv file as text, with those of the current record, which can be read again.

    Attributes:
        start: the byte at which the current record begins.
        line: the number of its first line, from 1.
        bad: the first byte of the record that is not UTF-8, as `opening.bad_byte` names it, or "".
    """

    def __init__(self, handle: IO[bytes], start: int = 0, line: int = 1) -> None:
        self._handle = handle
        self._waiting: list[bytes] = []
        self._taken: list[bytes] = []
        self.start = start
        self.line = line
        self.bad = ""

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if not self._waiting:
            self._wait(next(self._handle))
        line = self._waiting.pop()
        if not self.start and not self._taken and line.startswith(_BOM):
            self.start, line = len(_BOM), line[len(_BOM) :]
        self._taken.append(line)
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            self.bad = self.bad or bad_byte(error, self.start + sum(map(len, self._taken[:-1])))
            return _decode(line)

    def _wait(self, block: bytes) -> None:
        self._waiting = _LONE_RETURN.split(block)[::-1] if b"\r" in block else [block]

    @property
    def taken(self) -> list[bytes]:
        """The lines of the current record."""
        return self._taken

    def give_back(self, kept: int) -> None:
        """Read all lines of the record again but the first ones."""
        self._waiting += self._taken[kept:][::-1]
        self.bad = ""
        del self._taken[kept:]
        for place, line in enumerate(self._taken):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                self.bad = self.bad or bad_byte(error, self.start + sum(map(len, self._taken[:place])))

    def end_record(self) -> None:
        """Let the next record begin after the current one."""
        self.start += sum(map(len, self._taken))
        self.line += len(self._taken)
        self._taken.clear()
        self.bad = ""

    def skip_plain_line(self) -> bool:
        """Skip the next line if it is a record by itself for sure, which takes a tenth of the time of parsing it.

        Raises:
            StopIteration: there is none.
        """
        if self._waiting:
            return False
        block = next(self._handle)
        if b'"' in block or (b"\r" in block and block.count(b"\r") != block.endswith(b"\r\n")):
            self._wait(block)
            return False
        self.start += len(block)
        self.line += 1
        return True


def _decode(line: bytes) -> str:
    return line.decode(errors="surrogateescape")


@contextmanager
def csv_limit() -> Iterator[None]:
    """Allow fields of `MAX_CSV_FIELD` characters, far more than the csv module does."""
    before = csv.field_size_limit(MAX_CSV_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def records(lines: Lines, width: int) -> Iterator[list[str] | RowError]:
    """Give the fields of each record, or its `RowError`; a blank line is a record without fields.

    Args:
        lines: from the start of a record.
        width: the number of fields of a good record.

    Raises:
        CutError: the file ends inside quotes.
    """
    reader = _reader(lines)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reader = _reader(lines)  # the old one is in the middle of a field
            item: list[str] | RowError = _recover(lines, width, str(error))
        else:
            item = fields
            if fields and len(fields) != width:
                item = _recover(lines, width, f"{len(fields)} fields, the header has {width}")
            elif len(lines.taken) > 1 and _is_suspect(lines.taken, width):
                item = _recover(lines, width, "quotes around several lines, each with all fields")
        if lines.bad:
            item = RowError("unparsable-row", f"{_place(lines)}: {lines.bad}")
        lines.end_record()
        yield item


def _reader(lines: Iterable[str]) -> Iterator[list[str]]:
    return csv.reader(lines, strict=True)  # else a file cut inside quotes loses its end unseen


def _is_suspect(taken: list[bytes], width: int) -> bool:
    return width >= MIN_SUSPECT_WIDTH and all(line.count(b",") == width - 1 for line in taken)


def _recover(lines: Lines, width: int, problem: str) -> RowError:
    """Give the error of a record that failed, and let the next begin at the first of its lines where one can."""
    taken, at_end = lines.taken, problem == _END_IN_QUOTES
    next_start = next((place for place in range(1, len(taken)) if _begins_record(taken[place:], width, at_end)), None)
    if next_start is not None:
        lines.give_back(next_start)
    elif at_end and not _has_all_fields(taken, width):
        raise CutError(f"line {lines.line} ({problem})")
    return RowError("unparsable-row", f"{_place(lines)}: {problem}")


def _begins_record(taken: list[bytes], width: int, at_end: bool) -> bool:
    """Tell whether a good record can be read from these lines, which may end before it does unless the file does."""
    try:
        return len(next(_reader(map(_decode, taken)), ())) == width
    except csv.Error as error:
        return not at_end and str(error) == _END_IN_QUOTES


def _has_all_fields(taken: list[bytes], width: int) -> bool:
    """Tell whether a last line that ends inside quotes is whole apart from them."""
    return len(taken) == 1 and taken[0].endswith((b"\n", b"\r")) and taken[0].count(b",") == width - 1


def _place(lines: Lines) -> str:
    last = lines.line + len(lines.taken) - 1
    return f"line {lines.line}" if last == lines.line else f"lines {lines.line} to {last}"
