"""The record of a download, which lies beside its files: what was fetched, and whether all of it arrived."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config import parse
from ..errors import UsageError
from ..shards import write_text

RECORD = ".fetched.json"
UNFINISHED = ".fetching"
"""Lies in a source's folder while files arrive, and stays where the download was stopped."""

_STATE = f"{UNFINISHED}/state.json"


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """Size and SHA-256 of a file that was downloaded."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Download:
    """What was downloaded into a source's folder; `files` by their path in it."""

    dataset: str
    commit: str
    files: dict[str, DownloadedFile]

    def damage(self, folder: Path) -> list[str]:
        """Name each file that is not there any more, or not in its size."""
        found = []
        for name, file in self.files.items():
            path = folder / name
            if not path.is_file():
                found.append(f"{name} is missing")
            elif path.stat().st_size != file.bytes:
                found.append(f"{name} has {path.stat().st_size} bytes instead of {file.bytes}")
        return found


def write_record(folder: Path, fetched: Download) -> None:
    """Write the record of a finished download; its presence says that all of it arrived."""
    _write(folder / RECORD, fetched)


def read_record(folder: Path) -> Download | None:
    """Read the record of a finished download, or None where there is none.

    Raises:
        UsageError: the record is damaged.
    """
    return _read(folder / RECORD)


def write_unfinished(folder: Path, fetched: Download) -> None:
    """Write down what has arrived of a download that goes on."""
    _write(folder / _STATE, fetched)


def read_unfinished(folder: Path) -> Download | None:
    """Read what has arrived of a download that was stopped, or None where there is none.

    Raises:
        UsageError: the record is damaged.
    """
    return _read(folder / _STATE)


def is_unfinished(folder: Path) -> bool:
    """Tell whether a download into the folder has begun and not ended."""
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
