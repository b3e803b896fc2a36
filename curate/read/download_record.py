"""The record of a download, stored beside its files: which files arrived, and whether the download is complete."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config import parse
from ..errors import UsageError
from ..shards import write_text

RECORD = ".fetched.json"
"""The record of a finished download; its existence marks the download as complete."""

UNFINISHED = ".fetching"
"""A subfolder that exists during a download, and remains after one that was stopped."""

UNFINISHED_RECORD = f"{UNFINISHED}/state.json"
"""The record of an unfinished download: the files so far."""


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """Size and SHA-256 of a file that was downloaded."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Download:
    """A download into a source's folder.

    Attributes:
        dataset, commit: where the files are from.
        files: by their path in the folder; their digests were compared with the Hub's when they arrived.
        damaged: files that had another digest later; they are to be downloaded again.
    """

    dataset: str
    commit: str
    files: dict[str, DownloadedFile]
    damaged: tuple[str, ...] = ()

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


def write_record(folder: Path, download: Download, name: str = RECORD) -> None:
    """Write the record of a download, by default of a finished one."""
    data = {key: value for key, value in asdict(download).items() if key != "damaged" or value}
    write_text(folder / name, json.dumps(data, indent=2, sort_keys=True) + "\n")


def read_record(folder: Path, name: str = RECORD) -> Download | None:
    """Read the record of a download, by default of a finished one; None where there is none.

    Raises:
        UsageError: the record is damaged.
    """
    path = folder / name
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise UsageError(f"{path}: is damaged; remove it and fetch again, which keeps the files") from None
    return parse(Download, data, str(path))


def resume_hint(folder: Path) -> str:
    """Give the message on an unfinished download into a source's folder."""
    return f"its download was stopped; resume it with: medmix fetch {folder.name} --root {folder.parent}"


def is_unfinished(folder: Path) -> bool:
    """Tell whether a download into the folder was started and not finished."""
    return (folder / UNFINISHED).is_dir()
