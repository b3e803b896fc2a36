"""What the Hub holds: repositories with commits and refs, and on disk the content of every file."""

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

LFS_BYTES = 1000
"""Files from this size on lie in LFS when a test puts them there; of uploads, parquet files do."""


@dataclass(frozen=True)
class File:
    """A file of a commit; `oid` is its git id, of one in LFS that of its pointer; `xet` its digest, if it is there."""

    sha256: str
    size: int
    oid: str
    lfs: bool
    xet: str = ""

    def facts(self) -> dict[str, object]:
        """Give size and digests as the tree states them."""
        if not self.lfs:
            return {"size": self.size, "oid": self.oid}
        return {
            "size": self.size,
            "oid": self.oid,
            "lfs": {"oid": self.sha256, "size": self.size, "pointerSize": len(pointer(self.sha256, self.size))},
            **({"xetHash": self.xet} if self.xet else {}),
        }


def pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass
class Repository:
    """A dataset: its commits in order, what its branches and tags point to, what LFS holds of it.

    `proposals` are its pull requests, each with title, author and status; the commits of the first are `refs/pr/1`.
    """

    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    lfs: set[str] = field(default_factory=set)
    proposals: list[dict[str, str]] = field(default_factory=list)
    gated: bool | str = False
    private: bool = False

    @property
    def main(self) -> str:
        return self.refs["main"]

    def resolved(self, revision: str | None) -> str | None:
        """Give the commit of a revision, or None."""
        name = "main" if revision is None else revision.removeprefix("refs/heads/")
        found = self.refs.get(name) or self.tags.get(name) or name
        return found if found in self.commits else None

    def commit(self, files: dict[str, File], message: str, oid: str = "", branch: str = "main") -> str:
        """Add a commit to a branch and give its id."""
        told = f"{len(self.commits)} {message} {sorted(files.items())}"
        oid = oid or hashlib.sha1(told.encode(), usedforsecurity=False).hexdigest()
        self.commits[oid] = files
        self.messages.append(message)
        self.refs[branch] = oid
        return oid


class Store:
    """Repositories by name, and the folder with their content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repositories: dict[str, Repository] = {}
        self.lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        """Keep some content and give its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        (self.folder / sha256).write_bytes(data)
        return sha256

    def get(self, sha256: str) -> bytes | None:
        path = self.folder / sha256
        return path.read_bytes() if path.is_file() else None

    def file(self, data: bytes, lfs: bool) -> File:
        """Keep a file and give what a commit says of it."""
        sha256 = self.put(data)
        return File(sha256, len(data), git_id(pointer(sha256, len(data)) if lfs else data), lfs)
