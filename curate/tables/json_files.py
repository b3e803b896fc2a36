"""Rows of JSON lists and objects, and of JSON lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError, RowError
from .fields import kind_of
from .lines import Piece, read_text, text_lines
from .opening import GET_AGAIN


def json_rows(path: Path, member: str | None = None) -> Iterator[tuple[int, Any]]:
    """Give (row, value) for each item of a JSON list; the file, or member of a zip archive, is loaded whole.

    Raises:
        InputError: the file is no JSON list.
    """
    data = _load_json(path, member)
    if not isinstance(data, list):
        raise InputError(path, f"holds {kind_of(data)}, expected a JSON list", GET_AGAIN)
    yield from enumerate(data)


def json_items(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Give (row, key, value) for each item of a JSON object, in the file's order; the file is loaded whole.

    Raises:
        InputError: the file is no JSON object.
    """
    data = _load_json(path)
    if not isinstance(data, dict):
        raise InputError(path, f"holds {kind_of(data)}, expected a JSON object", GET_AGAIN)
    for row, (key, value) in enumerate(data.items()):
        yield row, key, value


def _load_json(path: Path, member: str | None = None) -> Any:
    text = read_text(path, member)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        cut = ", cut short" if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg else ""
        problem = f"is not JSON at line {error.lineno}, column {error.colno}{cut} ({error.msg})"
        raise InputError(path, problem, GET_AGAIN) from None
    except RecursionError:
        raise InputError(path, "is nested too deep for JSON of this source", GET_AGAIN) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(path, f"is not usable JSON ({error})", GET_AGAIN) from None


def json_lines(path: Path, piece: Piece | None = None) -> Iterator[tuple[int, Any]]:
    """Give (row, value) for each line of a JSON lines file; the value of a broken line is a `RowError`.

    Blank lines count as rows of the file and give nothing. Memory holds one line.

    Raises:
        InputError: the file is empty or no UTF-8 text.
    """
    decode = json.JSONDecoder().raw_decode  # json.loads searches for blanks with a regular expression, twice per line
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
