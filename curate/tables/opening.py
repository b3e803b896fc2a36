"""Open upstream's files; errors of the system become one-line `InputError`s."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import InputError

GET_AGAIN = "get the file again from upstream"

_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
"""The first line of a pointer: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""

LFS_REMEDY = "run git lfs pull in the checkout that it came from"


def is_lfs_pointer(start: bytes) -> bool:
    """Tell whether a file that starts with these bytes is a Git LFS pointer in place of the file itself."""
    return start.startswith(_LFS_POINTER)


@contextmanager
def input_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors on a file into an `InputError`; refuse a Git LFS pointer in its place."""
    try:
        with path.open("rb") as handle:
            if is_lfs_pointer(handle.read(len(_LFS_POINTER))):
                raise InputError(path, "is a Git LFS pointer and not the file itself", LFS_REMEDY)
        yield
    except UnicodeDecodeError as error:
        raise InputError(path, f"is no text: {bad_byte(error, 0)}", GET_AGAIN) from None
    except FileNotFoundError:
        raise InputError(path, "does not exist", GET_AGAIN) from None
    except IsADirectoryError:
        raise InputError(path, "is a folder, expected a file", GET_AGAIN) from None
    except PermissionError:
        raise InputError(path, "may not be read", "give yourself the right to read it") from None


@contextmanager
def open_gzip(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a gzip file from its start; reading cannot begin in its middle.

    Raises:
        InputError: the file cannot be opened, or is no whole gzip file.
    """
    try:
        with input_errors(path), gzip.open(path) as handle:
            yield handle
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(path, f"is not a whole gzip file ({error})", GET_AGAIN) from None


@contextmanager
def open_binary(path: Path, offset: int = 0) -> Iterator[IO[bytes]]:
    """Open a file at a byte, or the content of a gzipped one, which cannot be read from its middle without its start.

    Raises:
        InputError: the file cannot be opened, or is no whole gzip file.
    """
    if path.suffix == ".gz":
        with open_gzip(path) as packed:
            packed.seek(offset)
            yield io.BufferedReader(packed)
        return
    with input_errors(path), path.open("rb") as handle:
        handle.seek(offset)
        yield handle


def bad_byte(error: UnicodeDecodeError, start: int) -> str:
    """Name the byte of an error, by its place in a file in which the decoded text begins at byte `start`."""
    return name_byte(error.object[error.start], start + error.start)


def name_byte(value: int, offset: int) -> str:
    """Name a byte of a file that is not UTF-8."""
    return f"byte 0x{value:02x} at offset {offset} is not UTF-8"
