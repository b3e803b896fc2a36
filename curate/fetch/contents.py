"""`medmix fetch --check`: compare the content of a source's files with the digests of their download.

The record of a download has the SHA-256 of each file, taken when the file was compared with the Hub's digest on its
arrival. Files that medmix did not download have no known digest; they are listed as not checked.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..progress import track
from ..read import download_record
from ..read.source_status import COMPLETE, SourceStatus
from ..shards import file_sha256

NO_DIGESTS = "NOT CHECKED: no digest of its files is known, since medmix fetch did not download them"


def check_contents(statuses: Iterable[SourceStatus], root: Path) -> list[SourceStatus]:
    """Add to the status of each source which files are damaged, and which have no known digest.

    Damaged files are marked in the record of the download, so that the next `medmix fetch` downloads them again.

    Raises:
        UsageError: the record of a download is damaged.
    """
    return [_check(status, root / status.source) for status in statuses]


def _check(status: SourceStatus, folder: Path) -> SourceStatus:
    fetched = download_record.read_record(folder)
    if fetched is None:
        return replace(status, unchecked=(NO_DIGESTS,)) if status.state in COMPLETE else status
    whole = [name for name, file in fetched.files.items() if _has_size(folder / name, file.bytes)]
    damaged = [
        name
        for name in track(whole, len(whole), f"{status.source}: comparing digests")
        if file_sha256(folder / name) != fetched.files[name].sha256
    ]
    if tuple(damaged) != fetched.damaged:
        with suppress(OSError):  # in a read-only folder, to which a download cannot write either
            download_record.write_record(folder, replace(fetched, damaged=tuple(damaged)))
    unchecked = tuple(_unchecked(list(_other_files(folder, fetched.files))))
    problems = tuple(f"{name} has another SHA-256 than when it was downloaded" for name in damaged)
    if not damaged:
        return replace(status, unchecked=unchecked)
    return replace(status, state="incomplete", problems=(*status.problems, *problems), unchecked=unchecked)


def _unchecked(names: list[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - 1} more files" if len(names) > 1 else ""
        yield f"NOT CHECKED: {names[0]}{more} did not come with the download, so no digest is known"


def without_digests(statuses: Iterable[SourceStatus]) -> list[SourceStatus]:
    """Mark complete sets of images, which only a person can get, as not checked."""
    return [replace(status, unchecked=(NO_DIGESTS,)) if status.state in COMPLETE else status for status in statuses]


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _other_files(folder: Path, known: Iterable[str]) -> Iterator[str]:
    names = set(known)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.as_posix() not in names and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix()
