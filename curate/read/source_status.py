"""The status of each source's files under the root: present, absent, incomplete or of another version."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from .. import facts
from ..errors import InputError
from ..record import Record
from ..sources import Layout, Shard, layouts
from ..tables import LFS_REMEDY
from . import image_store, shard_numbers
from .download_record import is_unfinished, read_record, resume_hint

PROBED_ROWS = 50
"""Rows of a split that are searched for an existing image; single images may be missing upstream."""

State = Literal["present", "present, version unknown", "incomplete", "wrong version", "absent"]
COMPLETE: tuple[State, ...] = ("present", "present, version unknown")


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The status of the files of a source, or of a set of images.

    Attributes:
        layout: the layout that a build would read, "" where there is none.
        revision: as in the record of the download, "" without one.
        problems: missing or wrong files, one line each.
        unchecked: files whose content was to be compared and has no known digest, one line each.
    """

    source: str
    state: State
    layout: str
    revision: str
    problems: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def check_sources(sources: Iterable[str], root: Path) -> list[SourceStatus]:
    """Check the local files of each source, or of all where none is named.

    Raises:
        UsageError: there is no such source, or its record is damaged.
    """
    return [check_source(source, root) for source in tuple(dict.fromkeys(sources)) or facts.source_ids()]


def failed_checks(statuses: Iterable[SourceStatus], named: bool) -> list[SourceStatus]:
    """Give the sources that are not complete; absent ones count only where sources were named."""
    passing = COMPLETE if named else (*COMPLETE, "absent")
    return [status for status in statuses if status.state not in passing]


def check_source(source: str, root: Path) -> SourceStatus:
    """Check the files of a source under `root`: names and sizes, and a few rows of each split.

    Raises:
        UsageError: there is no such source, or its record is damaged.
    """
    folder = root / source
    entry = facts.load(source)
    fetched = read_record(folder)
    revision = fetched.commit if fetched else ""
    try:
        layout, shards = _first_layout(source, folder)
    except InputError as error:
        return SourceStatus(source, "incomplete", "", revision, (str(error),))
    if layout is None:
        expected = " or ".join(layout.expects for layout in layouts(source)) or "a reader, which this version lacks"
        begun = fetched is not None or is_unfinished(folder)
        return SourceStatus(source, "incomplete" if begun else "absent", "", revision, (f"expected {expected}",))
    problems = [resume_hint(folder)] if is_unfinished(folder) else []
    problems += fetched.damaged_files(folder) if fetched else []
    problems += _missing_files(entry, folder, layout, shards)
    if problems:
        return SourceStatus(source, "incomplete", layout.name, revision, tuple(problems))
    if fetched is None:
        return SourceStatus(source, "present, version unknown", layout.name, "")
    place = entry.upstream[layout.name]
    if fetched.dataset != place.dataset or place.revision not in (None, revision):
        problem = f"is {fetched.dataset} at {revision}, and not {place.dataset} at {place.revision}"
        return SourceStatus(source, "wrong version", layout.name, revision, (problem,))
    return SourceStatus(source, "present", layout.name, revision)


def _first_layout(source: str, folder: Path) -> tuple[Layout | None, list[Shard]]:
    for layout in layouts(source):
        if folder.is_dir() and (shards := layout.shards(folder)):
            return layout, shards
    return None, []


def _missing_files(entry: facts.Facts, folder: Path, layout: Layout, shards: list[Shard]) -> Iterator[str]:
    """List missing files, judged by upstream's splits and by the images of the first rows."""
    for file in shard_numbers.missing_from(folder, {file for shard in shards for file in shard.files}):
        yield f"{file} of a numbered set is missing"
    splits = {shard.split: shard for shard in reversed(shards)}
    if "" not in splits:
        missing = [split for split, size in entry.expected_rows(layout.name).items() if size and split not in splits]
        yield from (f"no files of split {split}" for split in missing if split)
    for split, shard in reversed(splits.items()):
        try:
            images = [row.images for row in islice(layout.read(folder, shard), PROBED_ROWS) if isinstance(row, Record)]
        except InputError as error:
            yield str(error)
            continue
        refs = [ref for row in images for ref in row]
        there = next((ref for ref in refs if image_store.file_stat(folder, ref)), None)
        if refs and there is None:
            yield f"no images of {split or 'the rows'} found, as {refs[0].path}"
        elif there is not None and image_store.is_lfs_pointer_file(folder, there):
            yield f"{there.path} is a Git LFS pointer and not the file itself; {LFS_REMEDY}"
