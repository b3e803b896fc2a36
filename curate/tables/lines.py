"""Lines of text files, and pieces of long files that workers read in parallel."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ..errors import InputError
from .archives import zip_member
from .opening import GET_AGAIN, input_errors, open_text

MAX_LINE = 2**20
"""The first line of a text file ends within this number of characters."""


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of a long file from `start` to before `stop`; row `start` begins at byte `offset`."""

    start: int
    stop: int
    offset: int


def text_lines(path: Path, piece: Piece | None = None) -> Iterator[tuple[int, str]]:
    """Give (row, line) without the line end, which may be LF, CRLF or, in a file without any LF, CR.

    Blank lines count and give nothing.

    Raises:
        InputError: the file is empty or no UTF-8 text.
    """
    row = -1
    end = "\n" if piece else _line_end(path)
    with open_text(path, piece.offset if piece else 0, newline=end) as handle:
        for row, line in number_rows(handle, piece):
            if not line.isspace():
                yield row, line.removesuffix("\n").removesuffix("\r")
    if row < 0:
        raise InputError(path, "is empty", GET_AGAIN)


def _line_end(path: Path) -> str:
    """Give the line end, LF or, as on old Macs, CR alone; a CR within a line of an LF file is text."""
    with open_text(path, 0, newline="") as handle:
        start = handle.read(MAX_LINE)
    return "\r" if "\r" in start and "\n" not in start else "\n"


def line_pieces(path: Path, rows: int) -> list[Piece]:
    """Cut a text file into pieces of so many lines, ended by LF; the whole file is read once.

    Raises:
        InputError: the file cannot be read.
    """
    offsets, end = [], 0
    with input_errors(path), path.open("rb") as handle:
        for row, line in enumerate(handle):
            if row % rows == 0:
                offsets.append(end)
            end += len(line)
    return make_pieces(offsets, rows, end)


def make_pieces(offsets: list[int], rows: int, end: int) -> list[Piece]:
    """Make the pieces of `rows` rows that begin at these bytes, but none at the file's end."""
    return [Piece(place * rows, (place + 1) * rows, offset) for place, offset in enumerate(offsets) if offset < end]


def number_rows(rows: Iterable[Item], piece: Piece | None) -> Iterator[tuple[int, Item]]:
    """Give (row, item) for the rows of a piece, or of the whole file; the rows begin with the piece's first."""
    if piece is None:
        return enumerate(rows)
    return enumerate(islice(rows, piece.stop - piece.start), piece.start)


def read_text(path: Path, member: str | None = None) -> str:
    """Give the text of a small file, or of a member of a zip archive.

    Raises:
        InputError: the file is empty or no UTF-8 text, or no zip archive with that member.
    """
    with input_errors(path):
        text = path.read_text(encoding="utf-8-sig") if member is None else zip_member(path, member).decode("utf-8-sig")
    if not text.strip():
        raise InputError(path if member is None else f"{path}#{member}", "is empty", GET_AGAIN)
    return text
