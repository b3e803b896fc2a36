"""Copies of what was published: OWNER/NAME@TAG on the Hub, whole or only what tells of its records; or a folder."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError, WorkError
from ..fetch import hub
from ..mixtures import is_repo
from ..shards import file_sha256
from ..write import manifest
from . import edition, pointers, records

TELLING = (manifest.NAME, edition.WHOLE, edition.LEDGER, records.NAME, f"{pointers.FOLDER}/*")
"""What two versions are compared by."""


def split_name(name: str) -> tuple[str, str]:
    """Give dataset and tag of OWNER/NAME@TAG.

    Raises:
        UsageError: it is neither that nor a folder's name.
    """
    repo, at, tag = name.partition("@")
    if not is_repo(repo):
        raise UsageError(f"{name}: no folder of this name, and no OWNER/NAME@TAG of a dataset on the Hub")
    if not at or not tag:
        raise UsageError(f"{name}: name the version too, as {repo}@v1.0.0")
    return repo, tag


def told(name: str, work: Path) -> Path:
    """Give a folder with what tells of the records of a mix: itself, or for OWNER/NAME@TAG a download below `work`.

    Raises:
        UsageError: it is neither, or no mix of this format.
        WorkError: it cannot be downloaded; says why.
    """
    if Path(name).is_dir():
        return Path(name)
    repo, tag = split_name(name)
    return download(repo, hub.current_commit(repo, tag), work, TELLING)


def download(repo: str, commit: str, work: Path, patterns: Iterable[str] = ("*",)) -> Path:
    """Download files of a published mix below `work` and give their folder; what is there is not fetched again.

    Every file is compared with the manifest, which comes first.

    Raises:
        UsageError: the commit holds no mix that medmix published.
        WorkError: a file cannot be had, or is not what the manifest says.
    """
    name = hashlib.sha256(f"{repo}@{commit}".encode()).hexdigest()[:20]
    folder, parts = work / f"copy-{name}", work / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    remotes = {remote.path: remote for remote in hub.list_matching(repo, commit, ("*",))}
    if manifest.NAME not in remotes or edition.WHOLE not in remotes:
        raise UsageError(f"{repo} at {commit}: holds no mix that medmix push published")
    _bring(repo, commit, remotes[manifest.NAME], folder, parts)
    if not manifest.is_unmodified(folder):
        raise WorkError(f"{repo} at {commit}: {manifest.MODIFIED}")
    files = manifest.read(folder)["files"]
    wanted = [path for path in sorted(files) if any(Path(path).match(pattern) for pattern in patterns)]
    absent = [path for path in wanted if path not in remotes]
    if absent:
        raise WorkError(f"{repo} at {commit}: lacks {absent[0]}, which its manifest names")
    for path in wanted:
        sha256 = _bring(repo, commit, remotes[path], folder, parts)
        if sha256 != files[path]["sha256"]:
            (folder / path).unlink()
            raise WorkError(f"{repo} at {commit}: {path} is not what the manifest says (another digest)")
    return folder


def _bring(repo: str, commit: str, remote: hub.Remote, folder: Path, parts: Path) -> str:
    """Download a file unless it is there; give its SHA-256."""
    target = folder / remote.path
    if target.is_file() and target.stat().st_size == remote.bytes:
        return file_sha256(target)
    return hub.download(repo, commit, remote, target, parts, remote.path).sha256
