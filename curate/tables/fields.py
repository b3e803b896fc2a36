"""Check the fields of a row and the columns of a table for the expected names and types."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError, RowError
from .opening import GET_AGAIN

Kind = TypeVar("Kind")

MAX_SHOWN = 400
"""Characters of a header that a message shows."""


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
        raise RowError("unparsable-row", f"{kind_of(row)}, expected an object")
    if name not in row:
        raise RowError("unparsable-row", f"no field {name!r}")
    value = row[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RowError("unparsable-row", f"field {name!r} is {kind_of(value)}")
    return value


def text_or_number(row: Any, name: str) -> str:
    """Give a field as text that upstream writes as a text in some rows and as a whole number in others.

    Raises:
        RowError: as `field` does.
    """
    value = field(row, name, object)
    return str(value) if type(value) is int else field(row, name, str)


def kind_of(value: Any) -> str:
    """Name the kind of a JSON value, as `an object`."""
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def check_columns(path: Path, required: Sequence[str], present: Sequence[str]) -> None:
    """Check that a table has all required columns, each once; nested fields are named `image.bytes`.

    Raises:
        InputError: names all that are missing, or that occur twice.
    """
    columns = list(dict.fromkeys(column.split(".")[0] for column in required))
    missing = [column for column in dict.fromkeys(required) if column.split(".")[0] not in present]
    if missing:
        raise InputError(path, f"lacks the columns {', '.join(missing)}; it has {_shown(present)}", GET_AGAIN)
    twice = [column for column in columns if present.count(column) > 1]
    if twice:
        raise InputError(path, f"has the columns {', '.join(twice)} more than once", GET_AGAIN)


def _shown(columns: Sequence[str]) -> str:
    """Give the names of columns on one line; the header of another format may be of any length."""
    names = ", ".join(name if name.isprintable() else repr(name) for name in columns)
    return names if len(names) <= MAX_SHOWN else f"{names[:MAX_SHOWN]}..."
