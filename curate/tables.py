"""The small readers of files: rows with their numbers from JSON, csv, text, parquet and pickle.

A file that is unusable as a whole raises `InputError`; a row that is gives a `RowError` in its place, which the
reader of the source turns into a `Rejected`.
"""

import csv
import gzip
import io
import json
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import InputError, RowError

AGAIN = "get the file again from upstream"
MAX_CSV_FIELD = 2**24
MAX_LINE = 2**20
"""Characters within which the first line of a file of lines ends."""

MAX_MEMBER_BYTES = 2**29
"""Ten times the largest list of any source; an archive that claims more is a bomb."""

Kind = TypeVar("Kind")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of a long file from `start` up to `stop`, without it; row `start` begins at byte `offset`."""

    start: int
    stop: int
    offset: int


def json_rows(path: Path, member: str | None = None) -> Iterator[tuple[int, Any]]:
    """Give (row, value) for each item of a JSON list; the file, or member of a zip archive, is loaded whole.

    Raises:
        InputError: the file is no JSON list.
    """
    data = _json(path, member)
    if not isinstance(data, list):
        raise InputError(path, f"holds {_kind(data)}, expected a JSON list", AGAIN)
    yield from enumerate(data)


def json_items(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Give (row, key, value) for each item of a JSON object, in the file's order; the file is loaded whole.

    Raises:
        InputError: the file is no JSON object.
    """
    data = _json(path)
    if not isinstance(data, dict):
        raise InputError(path, f"holds {_kind(data)}, expected a JSON object", AGAIN)
    for row, (key, value) in enumerate(data.items()):
        yield row, key, value


def _json(path: Path, member: str | None = None) -> Any:
    text = whole_text(path, member)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        cut = ", cut short" if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg else ""
        problem = f"is not JSON at line {error.lineno}, column {error.colno}{cut} ({error.msg})"
        raise InputError(path, problem, AGAIN) from None
    except RecursionError:
        raise InputError(path, "is nested too deep for JSON of this source", AGAIN) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(path, f"is not usable JSON ({error})", AGAIN) from None


def json_lines(path: Path, piece: Piece | None = None) -> Iterator[tuple[int, Any]]:
    """Give (row, value) for each line of a JSON lines file; the value of a broken line is a `RowError`.

    Blank lines count as rows of the file and give nothing. Memory holds one line.

    Raises:
        InputError: the file is empty or no UTF-8 text.
    """
    decode = json.JSONDecoder().raw_decode  # json.loads looks for blanks with a regular expression, twice a line
    for row, line in text_lines(path, piece):
        text = line.strip()
        try:
            value, end = decode(text)
            if end < len(text):
                raise json.JSONDecodeError("Extra data", text, end)
            yield row, value
        except json.JSONDecodeError as error:
            yield row, RowError("unparsable-row", f"not JSON: {error.msg}")
        except (RecursionError, ValueError) as error:  # nested too deep, a number of thousands of digits
            yield row, RowError("unparsable-row", f"not usable JSON: {error}")


def csv_columns(path: Path) -> list[str]:
    """Give the header of a csv file.

    Raises:
        InputError: the file is empty or no csv.
    """
    with _csv(path) as reader:
        header = next(reader, None)
    if header is None:
        raise InputError(path, "is empty", AGAIN)
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
    _check_columns(path, required, header)
    width = len(header)
    with _csv(path, piece.offset if piece else 0) as reader:
        if not piece:
            next(reader)
        for row, fields in _numbered(reader, piece):
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
    with opened(path), path.open("rb") as handle:
        lines = _Lines(handle)
        with _parsed(path, lines) as reader:
            for row, end in enumerate(lines.record_ends(reader)):  # row 0 is the header
                if row % rows == 0:
                    offsets.append(end)
    return _pieces(offsets, rows, end)


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


def _pieces(offsets: list[int], rows: int, end: int) -> list[Piece]:
    return [Piece(place * rows, (place + 1) * rows, offset) for place, offset in enumerate(offsets) if offset < end]


def _numbered(rows: Iterable[Item], piece: Piece | None) -> Iterator[tuple[int, Item]]:
    if piece is None:
        return enumerate(rows)
    return enumerate(islice(rows, piece.stop - piece.start), piece.start)


@contextmanager
def _csv(path: Path, offset: int = 0) -> Iterator[Iterator[list[str]]]:
    with _text_from(path, offset, newline="") as handle, _parsed(path, handle) as reader:
        yield reader


@contextmanager
def _parsed(path: Path, lines: Iterable[str]) -> Iterator[Iterator[list[str]]]:
    before = csv.field_size_limit(MAX_CSV_FIELD)
    reader = csv.reader(lines, strict=True)  # else a file cut inside quotes loses its end unseen
    try:
        yield reader
    except csv.Error as error:
        raise InputError(path, f"is not csv ({error})", AGAIN, row=reader.line_num) from None
    finally:
        csv.field_size_limit(before)


@contextmanager
def _text_from(path: Path, offset: int, newline: str) -> Iterator[TextIO]:
    if path.suffix == ".gz":
        with _unpacked(path) as handle:
            yield io.TextIOWrapper(handle, encoding="utf-8-sig", newline=newline)
        return
    with opened(path), path.open("rb") as handle:
        handle.seek(offset)
        yield io.TextIOWrapper(handle, encoding="utf-8-sig", newline=newline)


@contextmanager
def _unpacked(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a gzip file to be read from its start: there is no way to begin in its middle."""
    try:
        with opened(path), gzip.open(path) as handle:
            yield handle
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(path, f"is not a whole gzip file ({error})", AGAIN) from None


def whole_text(path: Path, member: str | None = None) -> str:
    """Give the text of a small file, or of a member of a zip archive.

    Raises:
        InputError: the file is empty or no UTF-8 text, or no zip archive with that member.
    """
    with opened(path):
        text = path.read_text(encoding="utf-8-sig") if member is None else _member(path, member).decode("utf-8-sig")
    if not text.strip():
        raise InputError(path if member is None else f"{path}#{member}", "is empty", AGAIN)
    return text


def text_lines(path: Path, piece: Piece | None = None) -> Iterator[tuple[int, str]]:
    """Give (row, line) without the line end, which may be LF, CRLF or, in a file without any LF, CR.

    Blank lines count and give nothing.

    Raises:
        InputError: the file is empty or no UTF-8 text.
    """
    row = -1
    end = "\n" if piece else _line_end(path)
    with _text_from(path, piece.offset if piece else 0, newline=end) as handle:
        for row, line in _numbered(handle, piece):
            if not line.isspace():
                yield row, line.removesuffix("\n").removesuffix("\r")
    if row < 0:
        raise InputError(path, "is empty", AGAIN)


def _line_end(path: Path) -> str:
    """Tell whether lines end with LF or, as on old Macs, with CR alone; a CR within a line of LF files is text."""
    with _text_from(path, 0, newline="") as handle:
        start = handle.read(MAX_LINE)
    return "\r" if "\r" in start and "\n" not in start else "\n"


def line_pieces(path: Path, rows: int) -> list[Piece]:
    """Cut a text file into pieces of so many lines, ended by LF; the whole file is read once.

    Raises:
        InputError: the file cannot be read.
    """
    offsets, end = [], 0
    with opened(path), path.open("rb") as handle:
        for row, line in enumerate(handle):
            if row % rows == 0:
                offsets.append(end)
            end += len(line)
    return _pieces(offsets, rows, end)


def parquet_columns(path: Path) -> list[str]:
    """Give the names of a parquet file's columns.

    Raises:
        InputError: the file is no parquet.
    """
    with opened(path), _parquet(path) as table:
        return list(table.schema_arrow.names)


def parquet_rows(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    unread: Sequence[str] = (),
    batch_rows: int = 256,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give (row, column -> value) for each row of a parquet file, only the named columns; memory holds one batch.

    Optional columns that are not there are absent from the row. A nested field is named `image.bytes`. Unread
    columns must be there too, and are left for others to read.

    Raises:
        InputError: the file is no parquet, or lacks a required column; all missing ones are named.
    """
    with opened(path), _parquet(path) as table:
        there = table.schema_arrow.names
        _check_columns(path, (*required, *unread), there)
        wanted = [*required, *(column for column in optional if column.split(".")[0] in there)]
        row = 0
        for batch in table.iter_batches(batch_size=batch_rows, columns=wanted):
            for value in batch.to_pylist():
                yield row, value
                row += 1


def arrow_rows(
    path: Path, required: Sequence[str], unread: Sequence[str] = (), batch_rows: int = 256
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give (row, column -> value) for each row of an Arrow IPC stream, only the required columns.

    The file is mapped, so that of unread columns, which must be there too, no byte is touched.

    Raises:
        InputError: the file is no Arrow stream, or lacks a required column; all missing ones are named.
    """
    with opened(path), _readable_as("an Arrow stream", path), pa.memory_map(str(path)) as source:
        row = 0
        with pa.ipc.open_stream(source) as stream:
            _check_columns(path, (*required, *unread), stream.schema.names)
            for batch in stream:
                chosen = batch.select(list(required))
                for start in range(0, len(chosen), batch_rows):
                    for value in chosen.slice(start, batch_rows).to_pylist():
                        yield row, value
                        row += 1


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    with _readable_as("parquet", path), pq.ParquetFile(path) as table:
        yield table


@contextmanager
def _readable_as(form: str, path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except (pa.ArrowException, OSError) as error:  # OSError: damaged pages and footers
        if path.is_dir():
            raise IsADirectoryError from None
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(path, f"is not readable as {form} ({lines[0]})", AGAIN) from None


def pickle_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Give (row, value) for each item of a pickled list of plain containers, texts and numbers.

    No code of the pickle is run: anything that names a class or function is refused.

    Raises:
        InputError: the file is no such pickle.
    """
    with opened(path):
        content = path.read_bytes()
    try:
        data = _PlainUnpickler(io.BytesIO(content)).load()
    except _NotPlainError as error:
        raise InputError(path, f"is a pickle that would run {error}", "do not use it; " + AGAIN) from None
    except Exception as error:  # a broken pickle can raise nearly anything
        raise InputError(path, f"is not a whole pickle ({type(error).__name__})", AGAIN) from None
    if not isinstance(data, list):
        raise InputError(path, f"holds {_kind(data)}, expected a list", AGAIN)
    yield from enumerate(data)


class _NotPlainError(Exception):
    pass


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise _NotPlainError(f"{module}.{name}")

    def persistent_load(self, pid: object) -> NoReturn:
        raise _NotPlainError("a persistent id")


def zip_members(path: Path) -> list[str]:
    """Give the names of a zip archive's members, in the archive's order.

    Raises:
        InputError: the file is no zip archive.
    """
    with _zip(path) as archive:
        return archive.namelist()


def zip_folder(path: Path) -> str:
    """Give the folder of a zip archive's first member, `images/`, or "" where it lies in none.

    Only the two ends are read: the directory of an archive of a million members takes seconds and a gigabyte.

    Raises:
        InputError: the file is no zip archive, is cut short, or holds nothing.
    """
    with opened(path), path.open("rb") as handle:
        whole = zipfile.is_zipfile(handle)
        handle.seek(0)
        start = handle.read(_ZIP_MEMBER.size)
        if not whole or not start.startswith(b"PK\3\4"):
            raise InputError(path, "is not a whole zip archive with something in it", AGAIN)
        name = handle.read(*_ZIP_MEMBER.unpack(start)).decode(errors="replace")
    return name[: name.rfind("/") + 1]


_ZIP_MEMBER = struct.Struct("<26xH2x")
"""The part of a zip archive that stands before a member's name; of it, the length of the name."""


def _member(path: Path, name: str) -> bytes:
    with _zip(path) as archive:
        try:
            info = archive.getinfo(name)
        except KeyError:
            raise InputError(path, f"has no member {name}", AGAIN) from None
        if info.file_size > MAX_MEMBER_BYTES:
            raise InputError(path, f"has a member {name} of {info.file_size} bytes", "do not use it; " + AGAIN)
        return archive.read(info)


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with opened(path), zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(path, f"is not a whole zip archive ({error})", AGAIN) from None


def _check_columns(path: Path, required: Sequence[str], there: Sequence[str]) -> None:
    missing = [column for column in required if column.split(".")[0] not in there]
    if missing:
        raise InputError(path, f"lacks the columns {', '.join(missing)}; it has {', '.join(there)}", AGAIN)


def field(row: Any, name: str, kind: type[Kind]) -> Kind:
    """Give a field of a row that is a mapping, of the expected type.

    Raises:
        RowError: `unparsable-row` when the row is a `RowError` itself or no mapping, or lacks the field, or
            has it with another type.
    """
    if type(row) is dict and type(value := row.get(name)) is kind:
        return value
    if isinstance(row, RowError):
        raise row
    if not isinstance(row, dict):
        raise RowError("unparsable-row", f"{_kind(row)}, expected an object")
    if name not in row:
        raise RowError("unparsable-row", f"no field {name!r}")
    value = row[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RowError("unparsable-row", f"field {name!r} is {_kind(value)}")
    return value


def text_or_number(row: Any, name: str) -> str:
    """Give a field that upstream writes as a text in some rows and as a whole number in others, as text.

    Raises:
        RowError: as `field` does.
    """
    value = field(row, name, object)
    return str(value) if type(value) is int else field(row, name, str)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """Turn what the system says about a file into one line about the input."""
    try:
        yield
    except UnicodeDecodeError:
        raise InputError(path, "is not UTF-8 text", AGAIN) from None
    except FileNotFoundError:
        raise InputError(path, "is not there", AGAIN) from None
    except IsADirectoryError:
        raise InputError(path, "is a folder, expected a file", AGAIN) from None
    except PermissionError:
        raise InputError(path, "may not be read", "give yourself the right to read it") from None
