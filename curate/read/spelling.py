"""Find files and members whose names differ from those in upstream's lists only in Unicode form or slashes.

macOS writes names in NFD, and some packers of Windows write backslashes. Only names that are not plain ASCII with
slashes can differ so; those alone are kept in memory.
"""

import os
import zipfile
from functools import lru_cache
from pathlib import Path

from ..tables import common_spelling

_UTF8_FLAG = 0x800


def find_file(root: Path, name: str) -> Path:
    """Give the path of a file below `root` by its name, or of the one whose name differs in its spelling only.

    The plain path is given where there is neither.
    """
    path = root / name
    if os.path.lexists(path):
        return path
    place, parts = root, name.split("/")
    while parts:
        odd = _odd_names(place)
        rest, part = common_spelling("/".join(parts)), parts[0]
        if rest in odd:  # unpacked from an archive with backslashes, on a system on which they are no separators
            return place / odd[rest]
        if os.path.lexists(place / part):
            place /= part
        elif common_spelling(part) in odd:
            place /= odd[common_spelling(part)]
        else:
            return path
        del parts[0]
    return place


def _odd_names(folder: Path) -> dict[str, str]:
    try:
        return _list_odd_names(folder, folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=64)
def _list_odd_names(folder: Path, mtime_ns: int) -> dict[str, str]:
    """Give common spelling -> name; the time of the folder's last change makes a list that is out of date unused."""
    names = sorted(path.name for path in folder.iterdir() if _is_odd(path.name))
    return {common_spelling(name): name for name in reversed(names)}


def _is_odd(name: str) -> bool:
    return "\\" in name or not name.isascii()


def odd_members(archive: zipfile.ZipFile) -> dict[str, str]:
    """Give common spelling -> name of an archive's members whose names are not plain ASCII with slashes."""
    found: dict[str, str] = {}
    for info in archive.infolist():
        for spelled in other_spellings(info):
            found.setdefault(spelled, info.filename)
    return found


def other_spellings(member: zipfile.ZipInfo) -> list[str]:
    """Give the common spellings of a member's name; none where it is plain ASCII with slashes.

    Archives of macOS write UTF-8 without the flag that says so, and zipfile then decodes the names as code page 437.
    """
    if not _is_odd(member.filename):
        return []
    is_utf8 = member.flag_bits & _UTF8_FLAG
    names = [member.filename] if is_utf8 else [member.filename, _as_utf8(member.filename)]
    return [common_spelling(name) for name in names]


def _as_utf8(name: str) -> str:
    try:
        return name.encode("cp437").decode()
    except UnicodeError:
        return name
