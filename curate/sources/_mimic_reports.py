"""The reports of MIMIC-CXR: members of `mimic-cxr-reports.zip`, or text files as the archive unpacks to.

Unpacked, they are in `files/`, beside the patients' images, or in a folder `mimic-cxr-reports`.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError, RowError
from ..tables import GET_AGAIN, bad_byte, input_errors, is_litter, posix_name

ARCHIVE = "mimic-cxr-reports.zip"
_UNPACKED = "mimic-cxr-reports"
MAX_BYTES = 2**20
"""Reports have a few thousand characters; a member that claims more is a bomb."""

_PATH = re.compile(r"files/(p1\d)/\1\d{6}/s5\d{7}\.txt")


class Reports:
    """The reports of a folder, one at a time by their path."""

    def __init__(self, folder: Path, archive: zipfile.ZipFile | None) -> None:
        self._folder = folder
        self._archive = archive
        names = archive.namelist() if archive is not None else []
        self._names = {posix_name(name): name for name in names if not is_litter(name)}

    def text(self, path: str) -> str:
        """Give the text of a report.

        Raises:
            RowError: `no-answer` when there is no such report, `unparsable-row` when it is no readable text.
        """
        try:
            return self._bytes(path).decode("utf-8-sig")
        except (KeyError, FileNotFoundError, NotADirectoryError):
            raise RowError("no-answer", f"there is no report {path}") from None
        except UnicodeDecodeError as error:
            raise RowError("unparsable-row", f"{path}: {bad_byte(error, 0)}") from None
        except (PermissionError, IsADirectoryError):
            raise RowError("unparsable-row", f"{path}: may not be read as a file") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: it is encrypted
            raise RowError("unparsable-row", f"{path}: is damaged ({type(error).__name__})") from None

    def _bytes(self, path: str) -> bytes:
        if self._archive is not None:
            info = self._archive.getinfo(self._names[path])
            _check_size(path, info.file_size)
            return self._archive.read(info)
        file = self._folder / path
        _check_size(path, file.stat().st_size)
        return file.read_bytes()

    def paths(self, part: str) -> Iterator[str]:
        """Give the paths of the reports of a part (`p10`), in the archive's order or sorted."""
        if self._archive is None:
            place = self._folder / "files" / part
            yield from sorted(path.relative_to(self._folder).as_posix() for path in place.glob("p*/s*.txt"))
            return
        begin = f"files/{part}/"
        yield from (name for name in self._names if name.startswith(begin) and is_report_path(name))

    def other_texts(self) -> Iterator[str]:
        """Give the text files of the archive whose path is not that of a report."""
        return (name for name in self._names if name.endswith(".txt") and not is_report_path(name))


def reports_folder(folder: Path) -> Path:
    """Give the folder in which unpacked reports begin with `files/`."""
    return folder / _UNPACKED if (folder / _UNPACKED).is_dir() else folder


def is_report_path(path: str) -> bool:
    """Tell whether a path is one of a report as upstream documents it."""
    return _PATH.fullmatch(path) is not None


@contextmanager
def open_reports(folder: Path) -> Iterator[Reports]:
    """Open the reports of a source's folder, the archive where there is one.

    Raises:
        InputError: the archive is no zip archive.
    """
    path = folder / ARCHIVE
    if not path.exists():
        yield Reports(reports_folder(folder), None)
        return
    try:
        with input_errors(path), zipfile.ZipFile(path) as archive:
            yield Reports(folder, archive)
    except zipfile.BadZipFile as error:
        raise InputError(path, f"is not a whole zip archive ({error})", GET_AGAIN) from None


def _check_size(path: str, size: int) -> None:
    if size > MAX_BYTES:
        raise RowError("unparsable-row", f"{path}: claims {size} bytes")
