"""Members of zip archives."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .opening import GET_AGAIN, input_errors

MAX_MEMBER_BYTES = 2**29
"""Ten times the largest list of any source; a larger claim marks a zip bomb."""


def zip_members(path: Path) -> list[str]:
    """Give the names of a zip archive's members, in the archive's order.

    Raises:
        InputError: the file is no zip archive.
    """
    with _zip(path) as archive:
        return archive.namelist()


def zip_folder(path: Path) -> str:
    """Give the folder of a zip archive's first member, `images/`, or "" where it is in none.

    Only the two ends are read: the directory of an archive of a million members takes seconds and a gigabyte.

    Raises:
        InputError: the file is no zip archive, is cut short, or holds nothing.
    """
    with input_errors(path), path.open("rb") as handle:
        whole = zipfile.is_zipfile(handle)
        handle.seek(0)
        start = handle.read(_ZIP_MEMBER.size)
        if not whole or not start.startswith(b"PK\3\4"):
            raise InputError(path, "is not a whole zip archive with something in it", GET_AGAIN)
        name = handle.read(*_ZIP_MEMBER.unpack(start)).decode(errors="replace")
    return name[: name.rfind("/") + 1]


_ZIP_MEMBER = struct.Struct("<26xH2x")
"""The header of a zip member before its name; gives the length of the name."""


def zip_member(path: Path, name: str) -> bytes:
    """Give the content of a member; all of it is loaded.

    Raises:
        InputError: the file is no zip archive, has no such member, or one that is too large for a list.
    """
    with _zip(path) as archive:
        try:
            info = archive.getinfo(name)
        except KeyError:
            raise InputError(path, f"has no member {name}", GET_AGAIN) from None
        if info.file_size > MAX_MEMBER_BYTES:
            raise InputError(path, f"has a member {name} of {info.file_size} bytes", "do not use it; " + GET_AGAIN)
        return archive.read(info)


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with input_errors(path), zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(path, f"is not a whole zip archive ({error})", GET_AGAIN) from None
