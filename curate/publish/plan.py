"""The plan of a push: files to upload, files already on the Hub, withheld records with reasons, number of commits."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..fetch.hub import Remote
from ..shards import file_sha256
from ..write import manifest
from .hub import DatasetState, LocalFile
from .release import Release, is_marker

FILES_PER_COMMIT = 250
"""The Hub needs so long for a commit of many more files that it responds with 504."""

MAX_FILES = 100_000
MAX_FILES_IN_FOLDER = 10_000
MAX_FILE_BYTES = 50_000_000_000
"""Limits of the Hub (https://huggingface.co/docs/hub/storage-limits)."""

WITHHELD_REASONS = {
    "research-only": "the licence forbids changed copies or commercial use",
    "credentialed": "only users whom the owner has given access may have it",
    "unclear": "no reliable licence is known",
}

IGNORED_FILES = (".gitattributes", ".gitignore")
"""Files that every repository may have."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a dataset that a push changes; None keeps one. No push makes a dataset private or ungated."""

    private: Literal[False] | None = None
    gated: Literal["auto"] | None = None

    def describe(self) -> list[str]:
        """Describe each change."""
        changes = [
            (self.private is not None, "becomes public"),
            (self.gated is not None, "makes users accept its terms"),
        ]
        return [text for is_changed, text in changes if is_changed]


UNCHANGED = Settings()


def changed_settings(state: DatasetState, public: bool, gated: bool) -> Settings:
    """Give the changes that make a dataset public or gated, where that is wanted and is not so yet."""
    return Settings(False if public and state.private else None, "auto" if gated and not state.gated else None)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a push would do.

    Attributes:
        repo, tag: the dataset and the tag of the version.
        release: what is published.
        files: all files of the release by name, card and manifest last.
        present: names of the files that the revision on the Hub already has.
        to_delete: files there that belong to another version and will be deleted.
        visibility: `private` or `public` after the push.
        gated: users have to accept terms.
        message: of the commit.
        revision: `main`, another branch, or a pull request, "" for one that is not opened yet.
        user: who pushes; "" if that is unknown, as in a dry run.
        notes: messages for the user.
    """

    repo: str
    tag: str
    release: Release
    files: Mapping[str, LocalFile]
    present: frozenset[str]
    to_delete: tuple[str, ...]
    visibility: str
    gated: bool
    message: str
    revision: str
    user: str
    notes: tuple[str, ...] = ()

    @property
    def to_upload(self) -> dict[str, LocalFile]:
        """The files to upload."""
        return {name: local for name, local in self.files.items() if name not in self.present}

    def to_dict(self) -> dict[str, Any]:
        """Give the plan as JSON types."""
        upload = {name: local.bytes for name, local in self.to_upload.items()}
        present = {name: self.files[name].bytes for name in self.files if name in self.present}
        document = self.release.document
        by_licence: Counter[str] = Counter()
        for entry in document["sources"].values():
            by_licence.update(entry["kept_by_licence"])
        return {
            "repo": self.repo,
            "tag": self.tag,
            "revision": self.revision or "a new pull request",
            "message": self.message,
            "visibility": self.visibility,
            "gated": self.gated,
            "records": document["totals"]["kept"],
            "records_by_licence": dict(sorted(by_licence.items())),
            "upload": upload,
            "upload_bytes": sum(upload.values()),
            "present": present,
            "present_bytes": sum(present.values()),
            "delete": list(self.to_delete),
            "withheld": [{**entry, "reason": WITHHELD_REASONS[entry["verdict"]]} for entry in document["withheld"]],
            "commits": max(len(batches(self.to_upload)), 1 if self.to_delete else 0),
            "notes": list(self.notes),
        }


def batches(files: Mapping[str, LocalFile]) -> list[dict[str, LocalFile]]:
    """Split files into the fewest batches of at most `FILES_PER_COMMIT`; the last one also has card and manifest."""
    markers = {name: local for name, local in files.items() if is_marker(name)}
    names = sorted(files.keys() - markers.keys())
    count = -(-len(names) // FILES_PER_COMMIT)
    size = -(-len(names) // count) if count else 1
    made = [{name: files[name] for name in names[start : start + size]} for start in range(0, len(names), size)]
    if markers:
        made = [*made[:-1], {**(made[-1] if made else {}), **markers}]
    return made


def local_files(release: Release) -> dict[str, LocalFile]:
    """Give the files of a release with the digests in its manifest."""
    facts = release.document["files"]
    files = {}
    for name, path in release.files().items():
        if name == manifest.NAME:
            files[name] = LocalFile(path, path.stat().st_size, file_sha256(path))
        else:
            files[name] = LocalFile(path, facts[name]["bytes"], facts[name]["sha256"])
    return files


def find_present(files: Mapping[str, LocalFile], remote: Mapping[str, Remote]) -> frozenset[str]:
    """Give the names of the files that the Hub has with the same content."""
    return frozenset(name for name, local in files.items() if name in remote and is_same(local, remote[name]))


def is_same(local: LocalFile, remote: Remote) -> bool:
    """Compare the content of a local file and a file on the Hub."""
    if remote.sha256 is not None:
        return remote.sha256 == local.sha256
    if remote.bytes != local.bytes:
        return False
    data = local.path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return blob == remote.blob and hashlib.sha256(data).hexdigest() == local.sha256


def find_stale(files: Iterable[str], remote: Iterable[str]) -> tuple[str, ...]:
    """Give the files of a mix on the Hub that the release does not have."""
    current = set(files)
    return tuple(sorted(name for name in remote if name not in current and name.split("/")[0] in manifest.ENTRIES))


def exceeded_limits(files: Mapping[str, LocalFile]) -> Iterator[str]:
    """Describe each limit of the Hub that the files exceed."""
    if len(files) > MAX_FILES:
        yield f"{len(files):,} files exceed the Hub's limit of {MAX_FILES:,}; raise shard_megabytes"
    for folder, count in Counter(name.rpartition("/")[0] for name in files).items():
        if count > MAX_FILES_IN_FOLDER:
            limit = f"{MAX_FILES_IN_FOLDER:,} in a folder"
            yield f"{folder or 'the top folder'}: {count:,} files exceed the Hub's limit of {limit}"
    for name, local in files.items():
        if local.bytes > MAX_FILE_BYTES:
            limit = f"{MAX_FILE_BYTES:,} in a file"
            yield f"{name}: {local.bytes:,} bytes exceed the Hub's limit of {limit}; lower shard_megabytes"
