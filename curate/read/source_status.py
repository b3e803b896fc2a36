"""What lies under the root of each source: present, absent, incomplete or another version than asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from .. import facts
from ..errors import InputError
from ..record import Record
from ..sources import Layout, Shard, layouts
from . import image_store
from .download_record import is_unfinished, read_record

PROBED_ROWS = 50
"""So many rows of a split are looked at for an image that is there; single ones may be missing upstream."""

State = Literal["present", "present, version unknown", "partly", "wrong version", "absent"]
COMPLETE: tuple[State, ...] = ("present", "present, version unknown")


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What lies there of one source.

    Attributes:
        layout: the one that a build would read, "" where there is none.
        revision: which one it is, as far as its record says, else "".
        problems: what is missing or wrong, one line each.
    """

    source: str
    state: State
    layout: str
    revision: str
    problems: tuple[str, ...] = ()


def check_sources(sources: Iterable[str], root: Path) -> list[SourceStatus]:
    """Look at each source, or at all where none is named.

    Raises:
        UsageError: there is no such source, or its record is damaged.
    """
    return [check_source(source, root) for source in tuple(dict.fromkeys(sources)) or facts.source_ids()]


def failed_checks(held: Iterable[SourceStatus], asked_for: bool) -> list[SourceStatus]:
    """Give those that are not as they should be; one that is absent only if it was asked for by name."""
    fine = COMPLETE if asked_for else (*COMPLETE, "absent")
    return [holding for holding in held if holding.state not in fine]


def check_source(source: str, root: Path) -> SourceStatus:
    """Look what lies under `root` of a source; reads names and sizes, and a few rows of each split.

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
        return SourceStatus(source, "partly", "", revision, (str(error),))
    if layout is None:
        expected = " or ".join(layout.expects for layout in layouts(source)) or "a reader, which this version lacks"
        begun = fetched is not None or is_unfinished(folder)
        return SourceStatus(source, "partly" if begun else "absent", "", revision, (f"expected {expected}",))
    problems = list(_unfinished_download(source, root))
    problems += fetched.damage(folder) if fetched else []
    problems += _missing_files(entry, folder, layout, shards)
    if problems:
        return SourceStatus(source, "partly", layout.name, revision, tuple(problems))
    if fetched is None:
        return SourceStatus(source, "present, version unknown", layout.name, "")
    place = entry.upstream[layout.name]
    if fetched.dataset != place.dataset or place.revision not in (None, revision):
        problem = f"is {fetched.dataset} at {revision}, and not {place.dataset} at {place.revision}"
        return SourceStatus(source, "wrong version", layout.name, revision, (problem,))
    return SourceStatus(source, "present", layout.name, revision)


def _unfinished_download(source: str, root: Path) -> Iterator[str]:
    if is_unfinished(root / source):
        yield f"its download was stopped; go on with: medmix fetch {source} --root {root}"


def _first_layout(source: str, folder: Path) -> tuple[Layout | None, list[Shard]]:
    for layout in layouts(source):
        if folder.is_dir() and (shards := layout.shards(folder)):
            return layout, shards
    return None, []


def _missing_files(entry: facts.Facts, folder: Path, layout: Layout, shards: list[Shard]) -> Iterator[str]:
    """Say what is missing as far as upstream's splits and the rows themselves tell."""
    splits = {shard.split: shard for shard in reversed(shards)}
    if "" not in splits:
        missing = [split for split, size in entry.expected(layout.name).items() if size and split not in splits]
        yield from (f"no files of split {split}" for split in missing if split)
    for split, shard in reversed(splits.items()):
        try:
            images = [row.images for row in islice(layout.read(folder, shard), PROBED_ROWS) if isinstance(row, Record)]
        except InputError as error:
            yield str(error)
            continue
        refs = [ref for row in images for ref in row]
        if refs and not any(image_store.file_stat(folder, ref) for ref in refs):
            yield f"no images of {split or 'the rows'} found, as {refs[0].path}"
