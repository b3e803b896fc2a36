"""What lies under the root: the record that a download leaves beside its files, and a check of each source."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from . import facts, originals
from .config import parse
from .errors import InputError, UsageError
from .record import Record
from .shards import write_text
from .sources import Layout, Shard, layouts

RECORD = ".fetched.json"
PROBED_ROWS = 50
"""So many rows of a split are looked at for an image that is there; single ones may be missing upstream."""

State = Literal["present", "present, version unknown", "partly", "wrong version", "absent"]
WHOLE: tuple[State, ...] = ("present", "present, version unknown")


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """Size and SHA-256 of a file that was downloaded."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was downloaded into a source's folder; `files` by their path in it."""

    dataset: str
    commit: str
    files: dict[str, FetchedFile]

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


@dataclass(frozen=True, slots=True)
class Holding:
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


def write_record(folder: Path, fetched: Fetched) -> None:
    """Write the record of a finished download; its presence says that all of it arrived."""
    write_text(folder / RECORD, json.dumps(asdict(fetched), indent=2, sort_keys=True) + "\n")


def read_record(folder: Path) -> Fetched | None:
    """Read the record of a download, or None where there is none.

    Raises:
        UsageError: the record is damaged.
    """
    path = folder / RECORD
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise UsageError(f"{path}: is damaged; remove it and fetch again, which keeps the files") from None
    return parse(Fetched, data, str(path))


def look(source: str, root: Path) -> Holding:
    """Look what lies under `root` of a source; reads names and sizes, and a few rows of each split.

    Raises:
        UsageError: there is no such source, or its record is damaged.
    """
    folder = root / source
    entry = facts.load(source)
    fetched = read_record(folder)
    layout, shards = _first_layout(source, folder)
    if layout is None:
        expected = " or ".join(layout.expects for layout in layouts(source)) or "a reader, which this version lacks"
        problem = f"expected {expected}"
        return Holding(source, "partly" if fetched else "absent", "", "", (problem,))
    place = entry.upstream.get(layout.name)
    ours = fetched is not None and place is not None and fetched.dataset == place.dataset
    problems = (*(fetched.damage(folder) if fetched else ()), *_gaps(entry, folder, layout, shards))
    revision = fetched.commit if fetched else ""
    if problems:
        return Holding(source, "partly", layout.name, revision, problems)
    if fetched is None:
        return Holding(source, "present, version unknown", layout.name, "")
    if not ours or (place and place.revision not in (None, revision)):
        pinned = f"{place.dataset} at {place.revision}" if place else layout.name
        problem = f"is {fetched.dataset} at {revision}, and not {pinned}"
        return Holding(source, "wrong version", layout.name, revision, (problem,))
    return Holding(source, "present", layout.name, revision)


def _first_layout(source: str, folder: Path) -> tuple[Layout | None, list[Shard]]:
    for layout in layouts(source):
        if folder.is_dir() and (shards := layout.shards(folder)):
            return layout, shards
    return None, []


def _gaps(entry: facts.Facts, folder: Path, layout: Layout, shards: list[Shard]) -> Iterator[str]:
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
        if refs and not any(originals.stat(folder, ref) for ref in refs):
            yield f"no images of {split or 'the rows'} found, as {refs[0].path}"
