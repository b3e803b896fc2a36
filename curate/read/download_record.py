"""The record of a download, stored beside its files: which files arrived, and whether the download is complete."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config import parse
from ..errors import UsageError
from ..shards import write_text

RECORD = ".fetched.json"
UNFINISHED = ".fetching"
"""A subfolder that exists during a download, and remains after one that was stopped."""

_STATE = f"{UNFINISHED}/state.json"


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """Size and SHA-256 of a file that was downloaded."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Download:
    """A download into a source's folder; `files` by their path in it."""

    dataset: str
    commit: str
    files: dict[str, DownloadedFile]

    def damaged_files(self, folder: Path) -> list[str]:
        """List the files that are missing or of another size, one line each."""
        found = []
        for name, file in self.files.items():
            path = folder / name
            if not path.is_file():
                found.append(f"{name} is missing")
            elif path.stat().st_size != file.bytes:
                found.append(f"{name} has {path.stat().st_size} bytes instead of {file.bytes}")
        return found


def write_record(folder: Path, fetched: Download) -> None:
    """Write the record of a finished download; its existence marks the download as complete."""
    _write(folder / RECORD, fetched)


def read_record(folder: Path) -> Download | None:
    """Read the record of a finished download, or None where there is none.

    Raises:
        UsageError: the record is damaged.
    """
    return _read(folder / RECORD)


def write_unfinished(folder: Path, fetched: Download) -> None:
    """Write the record of an unfinished download: the files so far."""
    _write(folder / _STATE, fetched)


def read_unfinished(folder: Path) -> Download | None:
    """Read the record of an unfinished download, or None where there is none.

    Raises:
        UsageError: the record is damaged.
    """
    return _read(folder / _STATE)


def is_unfinished(folder: Path) -> bool:
    """Tell whether a download into the folder was started and not finished."""
    return (folder / UNFINISHED).is_dir()


def _write(path: Path, fetched: Download) -> None:
    write_text(path, json.dumps(asdict(fetched), indent=2, sort_keys=True) + "\n")


def _read(path: Path) -> Download | None:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise UsageError(f"{path}: is damaged; remove it and fetch again, which keeps the files") from None
    return parse(Download, data, str(path))
