"""Members of zip archives."""

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .litter import is_litter
from .opening import GET_AGAIN, input_errors

MAX_MEMBER_BYTES = 2**29
"""Ten times the largest list of any source; a larger claim marks a zip bomb."""


def posix_name(name: str) -> str:
    """Give the name of a member with slashes; some packers of Windows write backslashes."""
    return name.replace("\\", "/")


def common_spelling(name: str) -> str:
    """Give a form in which names are equal that differ only in their slashes or in Unicode's normal form.

    macOS decomposes names (NFD: e and an accent), most other systems write composed ones (NFC: é).
    """
    return unicodedata.normalize("NFC", posix_name(name))


def by_spelling(names: Iterable[str]) -> dict[str, str]:
    """Give common spelling -> name, of several names the first."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(common_spelling(name), name)
    return found


def zip_members(path: Path) -> list[str]:
    """Give the names of a zip archive's members with slashes, in the archive's order, without litter.

    Raises:
        InputError: the file is no zip archive.
    """
    with _zip(path) as archive:
        return [name for name in map(posix_name, archive.namelist()) if not is_litter(name)]


def zip_folder(path: Path) -> str:
    """Give the folder of a zip archive's first member, `images/`, or "" where it is in none.

    Only the two ends are read: the directory of an archive of a million members takes seconds and a gigabyte. It is
    read only where the first member is litter.

    Raises:
        InputError: the file is no zip archive, is cut short, or holds nothing.
    """
    with input_errors(path), path.open("rb") as handle:
        whole = zipfile.is_zipfile(handle)
        handle.seek(0)
        start = handle.read(_ZIP_MEMBER.size)
        if not whole or not start.startswith(b"PK\3\4"):
            raise InputError(path, "is not a whole zip archive with something in it", GET_AGAIN)
        name = posix_name(handle.read(*_ZIP_MEMBER.unpack(start)).decode(errors="replace"))
    if is_litter(name):
        name = next(iter(zip_members(path)), "")
    return name[: name.rfind("/") + 1]


_ZIP_MEMBER = struct.Struct("<26xH2x")
"""The header of a zip member before its name; gives the length of the name."""


def zip_member(path: Path, name: str) -> bytes:
    """Give the content of a member, by its name in any spelling; all of it is loaded.

    Raises:
        InputError: the file is no zip archive, has no such member, or one that is damaged, encrypted, or too large
            for a list.
    """
    with _zip(path) as archive:
        found = by_spelling(archive.namelist()).get(common_spelling(name))
        if found is None:
            raise InputError(path, f"has no member {name}", GET_AGAIN)
        info = archive.getinfo(found)
        if info.file_size > MAX_MEMBER_BYTES:
            raise InputError(path, f"has a member {name} of {info.file_size} bytes", "do not use it; " + GET_AGAIN)
        try:
            return archive.read(info)
        except Exception as error:  # zipfile and its codecs raise nearly anything on a damaged or encrypted member
            problem = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{path}#{name}", f"cannot be read ({problem})", GET_AGAIN) from None


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with input_errors(path), zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(path, f"is not a whole zip archive ({error})", GET_AGAIN) from None
