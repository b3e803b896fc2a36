"""The readers, one module per upstream, named after it.

A reader only knows the layouts of its own upstream. It offers `LAYOUTS`, in order of preference: the first one
found in the source's folder is read, since layouts are copies of the same rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import RowError
from ..record import ImageRef, Record, Rejected
from ..tables import Piece, field, is_litter

SHARD_ROWS = 50_000
"""Files with more rows are divided among workers; a piece takes some minutes, most of them for images."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of upstream that one worker reads by itself.

    Attributes:
        files: POSIX paths, relative to the source's folder, of all files that the rows depend on, images aside;
            the first one holds the rows, the others (licences, captions) are joined to them.
        split: upstream's split of these rows, or "" where the rows name it or there is none.
        piece: the part of a long first file that holds the rows, or None for the whole file.
        member: the member that holds the rows where the first file is a zip archive, else None.
        folders: POSIX paths of folders that the rows depend on as well, through the names, sizes and times of the
            files below them, which are too many to list.
    """

    files: tuple[str, ...]
    split: str = ""
    piece: Piece | None = None
    member: str | None = None
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """One form in which upstream is published.

    Attributes:
        name: `original`, `hub`, ...
        expects: its files, for the message when nothing is found.
        shards: folder of the source -> its shards in reading order; empty when the folder lacks this layout.
        read: folder and shard -> every row of the shard, in order. Raises `InputError` when the file as
            a whole is unusable; a single bad row becomes a `Rejected`.
        images: the format of its images where Pillow alone does not decode them: `dicom`, else "".
        notes: folder of the source -> remarks on its files for the user of a build, one line each.
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


def find_shards(folder: Path, files: Mapping[str, str], bases: Sequence[str] = ("",)) -> list[Shard]:
    """Find the files of the splits, file -> split, in the first of the base folders (`data/`) that holds any."""
    for base in bases:
        found = [Shard((f"{base}{file}",), split) for file, split in files.items() if (folder / base / file).exists()]
        if found:
            return found
    return []


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Find the files of a pattern, sorted, without the litter of operating systems."""
    return sorted(path for path in folder.glob(pattern) if not is_litter(path.relative_to(folder).as_posix()))


def split_shard(shard: Shard, pieces: Sequence[Piece]) -> list[Shard]:
    """Divide a shard into pieces; one that has fewer than two stays whole."""
    return [replace(shard, piece=piece) for piece in pieces] if len(pieces) > 1 else [shard]


def make_records(
    source: str, shard: Shard, rows: Iterable[tuple[int, Any]], make: Callable[[int, Any], Record], stem: str = ""
) -> Iterator[Record | Rejected]:
    """Give `make(row, value)` for each row, or a `Rejected` where that raises `RowError` or the value is one.

    The rejected row's key is `<stem>/<row>`. The stem is that of the shard's first file by default; upstreams that
    have files of one name in several folders give another.
    """
    file = shard.files[0]
    stem = stem or PurePosixPath(file).stem
    for row, value in rows:
        try:
            if isinstance(value, RowError):
                raise value
            yield _without_surrogates(make(row, value))
        except RowError as error:
            yield rejected(source, f"{stem}/{row}", file, row, error, shard.split)


def rejected(source: str, key: str, file: str, row: int, error: RowError, split: str = "") -> Rejected:
    """Make the `Rejected` of a row that has an error."""
    names = [_encodable(text, "backslashreplace") for text in (key, split, file, error.evidence)]
    key, split, file, evidence = names
    return Rejected(source=source, key=key, split=split, file=file, row=row, reason=error.reason, evidence=evidence)


_NAMES = tuple(
    part.name
    for part in fields(Record)
    if part.type is str and part.name not in ("question", "answer", "context", "explanation")  # the scan cleans texts
)


def _without_surrogates(record: Record) -> Record:
    """Replace lone surrogates in names, which no file can store: JSON may hold them, and names of files on disk."""
    for name in _NAMES:
        if not (value := getattr(record, name)).isascii():
            setattr(record, name, _encodable(value, "backslashreplace"))
    if not all(str(image).isascii() for image in record.images):
        record.images = tuple(_encodable_ref(image) for image in record.images)
    return record


def _encodable(text: str, errors: str) -> str:
    """Give a text whose lone surrogates are replaced as an error handler of `str.encode` replaces them."""
    return text if text.isascii() else text.encode(errors=errors).decode()


def _encodable_ref(image: ImageRef) -> ImageRef:
    """Replace lone surrogates by `?`, not by a backslash, which would be an unsafe path and not a missing image."""
    member = image.member if image.member is None else _encodable(image.member, "replace")
    return replace(image, path=_encodable(image.path, "replace"), member=member)


def report_text(findings: str, impression: str) -> str:
    """Join the sections of a radiology report, each under its title; empty ones are left out."""
    sections = {"Findings": findings, "Impression": impression}
    return "\n".join(f"{title}: {text}" for title, text in sections.items() if text)


def declared_answer_type(row: Any) -> str:
    """Give the field `answer_type` of a row in lower case, or "" where it is neither open nor closed."""
    declared = field(row, "answer_type", str).strip().lower()  # VQA-RAD has "CLOSED " twice
    return declared if declared in ("open", "closed") else ""


def yes_no_type(answer: str, otherwise: str = "open") -> str:
    """Give the answer type where upstream has none: `closed` for yes and no, else `otherwise`."""
    return "closed" if answer.strip().lower() in ("yes", "no") else otherwise
