"""Rows of pickled lists; no code of a pickle is run."""

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError
from .fields import kind_of
from .opening import GET_AGAIN, input_errors


def pickle_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Give (row, value) for each item of a pickled list of plain containers, texts and numbers.

    No code of the pickle is run: anything that names a class or function is refused.

    Raises:
        InputError: the file is no such pickle.
    """
    with input_errors(path):
        content = path.read_bytes()
    try:
        data = _PlainUnpickler(io.BytesIO(content)).load()
    except _NotPlainError as error:
        raise InputError(path, f"is a pickle that would run {error}", "do not use it; " + GET_AGAIN) from None
    except Exception as error:  # a broken pickle can raise nearly anything
        raise InputError(path, f"is not a whole pickle ({type(error).__name__})", GET_AGAIN) from None
    if not isinstance(data, list):
        raise InputError(path, f"holds {kind_of(data)}, expected a list", GET_AGAIN)
    yield from enumerate(data)


class _NotPlainError(Exception):
    pass


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise _NotPlainError(f"{module}.{name}")

    def persistent_load(self, pid: object) -> NoReturn:
        raise _NotPlainError("a persistent id")
