"""The readers, one file per upstream, named after it.

A reader only knows how its own upstream is laid out. It offers `LAYOUTS`, in order of preference: the
first whose files lie in the source's folder is read, since layouts are copies of the same rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import RowError
from ..record import Record, Rejected
from ..tables import Piece

SHARD_ROWS = 50_000
"""Files with more rows are shared out among workers; a piece is some minutes' work, most of it on images."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of upstream that one worker reads by itself.

    Attributes:
        files: POSIX paths relative to the source's folder whose bytes decide on the rows; the first one
            holds the rows, the others (licences, captions) are joined to them. Image files do not count.
        split: upstream's split of these rows, or "" where the rows themselves say it or there is none.
        piece: the part of a long first file that holds the rows, or None for the whole file.
        member: where the first file is a zip archive, the member of it that holds the rows, else None.
        folders: POSIX paths of folders that decide on the rows as well, by the names, sizes and times of all
            that lies below them: files too many to be named one by one.
    """

    files: tuple[str, ...]
    split: str = ""
    piece: Piece | None = None
    member: str | None = None
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which upstream is published.

    Attributes:
        name: `original`, `hub`, ...
        expects: the files that make it, for the message when nothing is found.
        shards: folder of the source -> its shards in reading order; empty when this layout is not there.
        read: folder and shard -> every row of the shard, in order. Raises `InputError` when the file as
            a whole is unusable; a single bad row comes out as `Rejected`.
        images: what its images are where Pillow alone does not decode them: `dicom`, else "".
        notes: folder of the source -> what whoever builds from it should know of the files there, a line each.
    """

    name: str
    expects: str
    shards: Callable[[Path], list[Shard]]
    read: Callable[[Path, Shard], Iterator[Record | Rejected]]
    images: str = ""
    notes: Callable[[Path], list[str]] = lambda folder: []


def layouts(source: str) -> tuple[Layout, ...]:
    """Give the layouts of a source by its id; empty where this version has no reader for it."""
    try:
        module = import_module(f".{source}", __package__)
    except ModuleNotFoundError as error:
        if error.name == f"{__package__}.{source}":
            return ()
        raise
    return tuple(module.LAYOUTS)


def split_shard(shard: Shard, pieces: Sequence[Piece]) -> list[Shard]:
    """Cut a shard, unless it is so short that there is one piece or none."""
    return [replace(shard, piece=piece) for piece in pieces] if len(pieces) > 1 else [shard]


def make_records(
    source: str, shard: Shard, rows: Iterable[tuple[int, Any]], make: Callable[[int, Any], Record], stem: str = ""
) -> Iterator[Record | Rejected]:
    """Give `make(row, value)` for each row, or a `Rejected` where that raises `RowError` or the value is one.

    The rejected row's key is `<stem>/<row>`; the stem is that of the shard's first file unless given, for
    upstreams that call files of several folders by one name.
    """
    file = shard.files[0]
    stem = stem or PurePosixPath(file).stem
    for row, value in rows:
        try:
            if isinstance(value, RowError):
                raise value
            yield make(row, value)
        except RowError as error:
            yield Rejected(
                source=source,
                key=f"{stem}/{row}",
                split=shard.split,
                file=file,
                row=row,
                reason=error.reason,
                evidence=error.evidence,
            )


def yes_no_type(answer: str, otherwise: str = "open") -> str:
    """Give the answer type where upstream has none: `closed` for yes and no, else `otherwise`."""
    return "closed" if answer.strip().lower() in ("yes", "no") else otherwise
