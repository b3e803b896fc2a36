"""Rows of JSON lists and objects, and of JSON lines.

Of two fields of one name Python's parser takes the last, and a byte that is not UTF-8 spoils all of a text. So values
are decoded one at a time, and a value with such a fault is an error in its own row only.
"""

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError, RowError
from .fields import kind_of
from .lines import Piece, place_of, read_bytes, text_lines
from .opening import GET_AGAIN, name_byte

_BLANKS = re.compile(r"[ \t\n\r]*")
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
"""A byte that is not UTF-8, as the error handler `surrogateescape` decodes it."""


def json_rows(path: Path, member: str | None = None) -> Iterator[tuple[int, Any]]:
    """Give (row, value) for each item of a JSON list; the file, or member of a zip archive, is loaded whole.

    An item with a byte that is not UTF-8, or with a field given twice with different values, is a `RowError`.

    Raises:
        InputError: the file is no JSON list.
    """
    document = _Document(path, member)
    with document.errors():
        document.expect("[", "a JSON list")
        values = list(document.items())
        document.end()
    yield from enumerate(values)


def json_items(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Give (row, key, value) for each item of a JSON object, in the file's order; the file is loaded whole.

    A key that occurs twice is two items. Bad values are errors as in `json_rows`.

    Raises:
        InputError: the file is no JSON object.
    """
    document = _Document(path)
    with document.errors():
        document.expect("{", "a JSON object")
        pairs = [(key, _or_error(error, document.value())) for key, error in document.pairs()]
        document.end()
    for row, (key, value) in enumerate(pairs):
        yield row, key, value


def json_lists(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Give (row, key, item) for each item of the lists in a JSON object; a value that is no list counts as one item.

    A key that occurs twice, and bad items, are as in `json_items`.

    Raises:
        InputError: the file is no JSON object.
    """
    document = _Document(path)
    with document.errors():
        document.expect("{", "a JSON object")
        pairs = [
            (key, _or_error(error, item))
            for key, error in document.pairs()
            for item in (document.items() if document.next_is("[") else [document.value()])
        ]
        document.end()
    for row, (key, item) in enumerate(pairs):
        yield row, key, item


def _or_error(error: RowError | None, value: Any) -> Any:
    return value if error is None else error


class _Decoder:
    """Decodes JSON values; a field given twice with different values makes an error of the whole value."""

    def __init__(self) -> None:
        self._twice: list[str] = []
        # json.loads searches for blanks with a regular expression, twice for each value
        self._decode = json.JSONDecoder(object_pairs_hook=self._object).raw_decode

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            self._twice += [name for name, other in pairs if not _is_same(value[name], other)]
        return value

    def decode(self, text: str, start: int = 0) -> tuple[Any, int]:
        """Give the value that begins at a character, or its `RowError`, and where it ends."""
        self._twice.clear()
        value, end = self._decode(text, start)
        if self._twice:
            value = RowError("unparsable-row", f"field {self._twice[0]!r} is given twice with different values")
        return value, end


def _is_same(value: Any, other: Any) -> bool:
    return value is other or (type(value) is type(other) and bool(value == other))


class _Document:
    """The text of a JSON file that is read from its start to its end, value by value."""

    def __init__(self, path: Path, member: str | None = None) -> None:
        self._name = place_of(path, member)
        content = read_bytes(path, member)
        self._start = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
        self._text = content[self._start :].decode(errors="surrogateescape")
        self._has_bad_bytes = _ESCAPED_BYTE.search(self._text) is not None
        self._decoder = _Decoder()
        self._place = 0

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the parser's errors into an `InputError`."""
        try:
            yield
        except json.JSONDecodeError as error:
            cut = ", cut short" if error.pos >= len(self._text.rstrip()) or "Unterminated" in error.msg else ""
            problem = self._bad_byte(error.pos, error.pos + 1) or error.msg
            where = f"at line {error.lineno}, column {error.colno}"
            raise InputError(self._name, f"is not JSON {where}{cut} ({problem})", GET_AGAIN) from None
        except RecursionError:
            raise InputError(self._name, "is nested too deep for JSON of this source", GET_AGAIN) from None
        except ValueError as error:  # a number of thousands of digits
            raise InputError(self._name, f"is not usable JSON ({error})", GET_AGAIN) from None

    def expect(self, sign: str, kind: str) -> None:
        """Enter a list or object.

        Raises:
            InputError: the document is something else.
        """
        if not self.next_is(sign):
            value = self.value()
            self.end()
            found = f"a faulty value ({value.evidence})" if isinstance(value, RowError) else kind_of(value)
            raise InputError(self._name, f"holds {found}, expected {kind}", GET_AGAIN)

    def next_is(self, sign: str) -> bool:
        """Tell whether a sign comes next, blanks aside."""
        return self._text.startswith(sign, self._skip_blanks())

    def _skip_blanks(self) -> int:
        self._place = _BLANKS.match(self._text, self._place).end()  # type: ignore[union-attr] # it matches anything
        return self._place

    def _take(self, sign: str) -> bool:
        taken = self.next_is(sign)
        self._place += taken
        return taken

    def items(self) -> Iterator[Any]:
        """Give the items of the list that comes next."""
        self._take("[")
        if self._take("]"):
            return
        while True:
            yield self.value()
            if self._take("]"):
                return
            if not self._take(","):
                raise json.JSONDecodeError("Expecting ',' delimiter", self._text, self._place)

    def pairs(self) -> Iterator[tuple[str, RowError | None]]:
        """Give each key of the object that comes next, or with its error; its value is to be read before the next."""
        self._take("{")
        if self._take("}"):
            return
        while True:
            if not self.next_is('"'):
                raise json.JSONDecodeError("Expecting property name in double quotes", self._text, self._place)
            key, start = self.value(), self._place
            if not self._take(":"):
                raise json.JSONDecodeError("Expecting ':' delimiter", self._text, start)
            yield (str(key), None) if not isinstance(key, RowError) else ("", key)
            if self._take("}"):
                return
            if not self._take(","):
                raise json.JSONDecodeError("Expecting ',' delimiter", self._text, self._place)

    def value(self) -> Any:
        """Give the value that comes next, or its `RowError`."""
        start = self._skip_blanks()
        value, self._place = self._decoder.decode(self._text, start)
        if problem := self._bad_byte(start, self._place):
            return RowError("unparsable-row", problem)
        return value

    def _bad_byte(self, start: int, end: int) -> str:
        """Name the first byte of a part that is not UTF-8, or give ""."""
        found = _ESCAPED_BYTE.search(self._text, start, end) if self._has_bad_bytes else None
        if not found:
            return ""
        offset = self._start + len(self._text[: found.start()].encode(errors="surrogateescape"))
        return name_byte(ord(found[0]) - 0xDC00, offset)

    def end(self) -> None:
        """Check that nothing comes after the list or object."""
        self._skip_blanks()
        if self._place < len(self._text):
            raise json.JSONDecodeError("Extra data", self._text, self._place)


def json_lines(path: Path, piece: Piece | None = None) -> Iterator[tuple[int, Any]]:
    """Give (row, value) for each line of a JSON lines file; the value of a broken line is a `RowError`.

    Blank lines count as rows of the file and give nothing. Memory holds one line.

    Raises:
        InputError: the file is empty or UTF-16.
    """
    decode = _Decoder().decode
    for row, line in text_lines(path, piece):
        if isinstance(line, RowError):
            yield row, line
            continue
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
