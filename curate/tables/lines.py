"""Lines of text files, and pieces of long files that workers read in parallel."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from ..errors import InputError, RowError
from .archives import zip_member
from .opening import GET_AGAIN, bad_byte, input_errors, open_binary

MAX_LINE = 2**20
"""The first line of a text file ends within this number of bytes."""


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of a long file from `start` to before `stop`; row `start` begins at byte `offset`."""

    start: int
    stop: int
    offset: int


def text_lines(path: Path, piece: Piece | None = None) -> Iterator[tuple[int, str | RowError]]:
    """Give (row, line) without the line end, which may be LF, CRLF or, in a file without any LF, CR.

    Blank lines count and give nothing. A line with a byte that is not UTF-8 gives a `RowError` in its place.

    Raises:
        InputError: the file is empty, or UTF-16.
    """
    offset = piece.offset if piece else 0
    is_cr_only = not piece and _is_cr_only(path)
    row = -1
    with open_binary(path, offset) as handle:
        lines = _cr_lines(handle) if is_cr_only else handle
        for row, line in number_rows(lines, piece):
            if not offset:
                if line.startswith(codecs.BOM_UTF8):
                    offset, line = len(codecs.BOM_UTF8), line[len(codecs.BOM_UTF8) :]
                elif line.startswith(_UTF16):
                    raise InputError(path, "is UTF-16 text, expected UTF-8", GET_AGAIN)
                if not line:
                    row -= 1
                    break
            try:
                text: str | RowError = line.decode()
            except UnicodeDecodeError as error:
                text = RowError("unparsable-row", bad_byte(error, offset))
            offset += len(line)
            if isinstance(text, RowError):
                yield row, text
            elif not text.isspace():
                yield row, text.removesuffix("\r" if is_cr_only else "\n").removesuffix("\r")
    if row < 0:
        raise InputError(path, "is empty", GET_AGAIN)


_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _is_cr_only(path: Path) -> bool:
    """Tell whether lines end in CR alone, as on old Macs; a CR within a line of an LF file is text."""
    with open_binary(path) as handle:
        start = handle.read(MAX_LINE)
    return b"\r" in start and b"\n" not in start


def _cr_lines(handle: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := handle.read(MAX_LINE):
        *lines, rest = (rest + block).split(b"\r")
        yield from (line + b"\r" for line in lines)
    if rest:
        yield rest


def count_lines(path: Path, end: int) -> int:
    """Count the line ends, LF, CRLF or CR, before a byte of a file.

    Raises:
        InputError: the file cannot be read.
    """
    count, last = 0, b""
    with open_binary(path) as handle:
        while block := handle.read(min(end, MAX_LINE)):
            end -= len(block)
            ends_split = last == b"\r" and block.startswith(b"\n")
            count += block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n") - ends_split
            last = block[-1:]
    return count


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
    content = read_bytes(path, member)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise InputError(place_of(path, member), f"is no text: {bad_byte(error, 0)}", GET_AGAIN) from None


def read_bytes(path: Path, member: str | None = None) -> bytes:
    """Give the content of a small text file, or of a member of a zip archive.

    Raises:
        InputError: the file is empty, or no zip archive with that member.
    """
    with input_errors(path):
        content = path.read_bytes() if member is None else zip_member(path, member)
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise InputError(place_of(path, member), "is empty", GET_AGAIN)
    return content


def place_of(path: Path, member: str | None) -> Path | str:
    """Name a file, or a member of a zip archive."""
    return path if member is None else f"{path}#{member}"
