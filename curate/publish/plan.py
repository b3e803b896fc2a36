"""The plan of a push: what goes, what stays here and why, what is on the Hub already, in how many commits."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fetch.hub import Remote
from ..shards import file_sha256
from ..write import manifest
from .edition import Edition, is_sign
from .hub import Local

FILES_PER_COMMIT = 250
"""A commit of many more files takes the Hub so long that it answers 504."""

MOST_FILES = 100_000
MOST_FILES_IN_FOLDER = 10_000
MOST_BYTES_OF_FILE = 50_000_000_000
"""What the Hub takes (https://huggingface.co/docs/hub/storage-limits)."""

WHY = {
    "research-only": "the licence forbids changed copies or commercial use",
    "credentialed": "only for those to whom the owner has given access",
    "unclear": "no licence is known that could be relied on",
}

KEPT_THERE = (".gitattributes", ".gitignore")
"""Files of a repository that are nobody's content."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a push would do.

    Attributes:
        repo, tag: where to, and the version's name there.
        edition: what is published.
        files: all of its files by name, card and manifest last.
        there: names of those that main on the Hub has already.
        gone: files on the Hub that are of another version and will be taken away from main.
        visibility: `private` or `public`, as it will be; `gated` whether users have to accept terms.
        notes: what else to know.
    """

    repo: str
    tag: str
    edition: Edition
    files: Mapping[str, Local]
    there: frozenset[str]
    gone: tuple[str, ...]
    visibility: str
    gated: bool
    notes: tuple[str, ...] = ()

    @property
    def send(self) -> dict[str, Local]:
        """The files to send."""
        return {name: local for name, local in self.files.items() if name not in self.there}

    def batches(self) -> list[dict[str, Local]]:
        """Cut the files to send into commits; card and manifest are in the last one."""
        return batches(self.send)

    def as_plain(self) -> dict[str, Any]:
        """Give the plan as plain data."""
        send, document = self.send, self.edition.document
        by_licence: Counter[str] = Counter()
        for entry in document["sources"].values():
            by_licence.update(entry["kept_by_licence"])
        return {
            "repo": self.repo,
            "tag": self.tag,
            "visibility": self.visibility,
            "gated": self.gated,
            "records": document["totals"]["kept"],
            "records_by_licence": dict(sorted(by_licence.items())),
            "send": {name: local.bytes for name, local in send.items()},
            "send_bytes": _bytes(send.values()),
            "there": {name: self.files[name].bytes for name in self.files if name in self.there},
            "there_bytes": _bytes(local for name, local in self.files.items() if name in self.there),
            "taken_away": list(self.gone),
            "stays": [{**held, "why": WHY[held["verdict"]]} for held in document["withheld"]],
            "commits": max(len(self.batches()), 1 if self.gone else 0),
            "notes": list(self.notes),
        }


def batches(files: Mapping[str, Local]) -> list[dict[str, Local]]:
    """Cut files into lots of at most `FILES_PER_COMMIT`, as few as can be; the last one has the signs of a mix too."""
    signs = {name: local for name, local in files.items() if is_sign(name)}
    names = sorted(files.keys() - signs.keys())
    lots = -(-len(names) // FILES_PER_COMMIT)
    size = -(-len(names) // lots) if lots else 1
    cut = [{name: files[name] for name in names[start : start + size]} for start in range(0, len(names), size)]
    if signs:
        cut = [*cut[:-1], {**(cut[-1] if cut else {}), **signs}]
    return cut


def locals_of(edition: Edition) -> dict[str, Local]:
    """Give the files of an edition with the digests that its manifest states."""
    facts = edition.document["files"]
    found = {}
    for name, path in edition.files().items():
        if name == manifest.NAME:
            found[name] = Local(path, path.stat().st_size, file_sha256(path))
        else:
            found[name] = Local(path, facts[name]["bytes"], facts[name]["sha256"])
    return found


def there(files: Mapping[str, Local], remote: Mapping[str, Remote]) -> frozenset[str]:
    """Give the names of the files that the Hub has, by digest."""
    return frozenset(name for name, local in files.items() if name in remote and is_same(local, remote[name]))


def is_same(local: Local, remote: Remote) -> bool:
    """Tell whether a file on the Hub has the content of one here."""
    if remote.sha256 is not None:
        return remote.sha256 == local.sha256
    if remote.bytes != local.bytes:
        return False
    data = local.path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return blob == remote.blob and hashlib.sha256(data).hexdigest() == local.sha256


def strays(files: Iterable[str], remote: Iterable[str]) -> tuple[str, ...]:
    """Give the files on the Hub that are none of an edition's, where only those may be."""
    mine = set(files)
    return tuple(sorted(name for name in remote if name not in mine and name.split("/")[0] in manifest.ENTRIES))


def limits(files: Mapping[str, Local]) -> Iterator[str]:
    """Name what the Hub would not take."""
    if len(files) > MOST_FILES:
        yield f"{len(files):,} files are more than the {MOST_FILES:,} that the Hub takes; raise shard_megabytes"
    most = MOST_FILES_IN_FOLDER
    folders = Counter(name.rpartition("/")[0] for name in files)
    for folder, count in folders.items():
        if count > most:
            where = folder or "the top folder"
            yield f"{where}: {count:,} files are more than the {most:,} that the Hub takes in a folder"
    for name, local in files.items():
        if local.bytes > MOST_BYTES_OF_FILE:
            yield f"{name}: {local.bytes:,} bytes are more than the Hub takes in a file; lower shard_megabytes"


def _bytes(files: Iterable[Local]) -> int:
    return sum(local.bytes for local in files)


def paths(files: Mapping[str, Local]) -> dict[str, Path]:
    """Give where files lie."""
    return {name: local.path for name, local in files.items()}


def first_of(names: Sequence[str]) -> str:
    """Name the first of some files, and how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
