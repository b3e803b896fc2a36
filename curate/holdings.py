"""What lies under the root: the record that a download leaves beside its files, and a check of each source."""

import json
from collections.abc import Iterable, Iterator
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
UNFINISHED = ".fetching"
"""Lies in a source's folder while files arrive, and stays where the download was stopped."""

_STATE = f"{UNFINISHED}/state.json"
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
    _write(folder / RECORD, fetched)


def read_record(folder: Path) -> Fetched | None:
    """Read the record of a finished download, or None where there is none.

    Raises:
        UsageError: the record is damaged.
    """
    return _read(folder / RECORD)


def write_unfinished(folder: Path, fetched: Fetched) -> None:
    """Write down what has arrived of a download that goes on."""
    _write(folder / _STATE, fetched)


def read_unfinished(folder: Path) -> Fetched | None:
    """Read what has arrived of a download that was stopped, or None where there is none.

    Raises:
        UsageError: the record is damaged.
    """
    return _read(folder / _STATE)


def is_unfinished(folder: Path) -> bool:
    """Tell whether a download into the folder has begun and not ended."""
    return (folder / UNFINISHED).is_dir()


def _write(path: Path, fetched: Fetched) -> None:
    write_text(path, json.dumps(asdict(fetched), indent=2, sort_keys=True) + "\n")


def _read(path: Path) -> Fetched | None:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise UsageError(f"{path}: is damaged; remove it and fetch again, which keeps the files") from None
    return parse(Fetched, data, str(path))


def look_at(sources: Iterable[str], root: Path) -> list[Holding]:
    """Look at each source, or at all where none is named.

    Raises:
        UsageError: there is no such source, or its record is damaged.
    """
    return [look(source, root) for source in tuple(dict.fromkeys(sources)) or facts.source_ids()]


def look(source: str, root: Path) -> Holding:
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
        return Holding(source, "partly", "", revision, (str(error),))
    if layout is None:
        expected = " or ".join(layout.expects for layout in layouts(source)) or "a reader, which this version lacks"
        begun = fetched is not None or is_unfinished(folder)
        return Holding(source, "partly" if begun else "absent", "", revision, (f"expected {expected}",))
    problems = list(_unfinished(source, root))
    problems += fetched.damage(folder) if fetched else []
    problems += _gaps(entry, folder, layout, shards)
    if problems:
        return Holding(source, "partly", layout.name, revision, tuple(problems))
    if fetched is None:
        return Holding(source, "present, version unknown", layout.name, "")
    place = entry.upstream[layout.name]
    if fetched.dataset != place.dataset or place.revision not in (None, revision):
        problem = f"is {fetched.dataset} at {revision}, and not {place.dataset} at {place.revision}"
        return Holding(source, "wrong version", layout.name, revision, (problem,))
    return Holding(source, "present", layout.name, revision)


def _unfinished(source: str, root: Path) -> Iterator[str]:
    if is_unfinished(root / source):
        yield f"its download was stopped; go on with: medmix fetch {source} --root {root}"


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
