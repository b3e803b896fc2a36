"""Snapshots of published mixes: a folder, or a download of OWNER/NAME@TAG from the Hub, complete or metadata only."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError, WorkError
from ..fetch import hub
from ..mixtures import is_repo
from ..shards import file_sha256
from ..write import manifest
from . import pointers, record_digests, release

METADATA_FILES = (manifest.NAME, release.FULL_MANIFEST, release.LEDGER, record_digests.NAME, f"{pointers.FOLDER}/*")
"""The files that a comparison of two versions reads."""

DIFFERENT_DIGEST = "the SHA-256 differs from the one in the manifest"


def open_metadata(name: str, work: Path) -> Path:
    """Give the folder of a mix, or download the metadata files of OWNER/NAME@TAG below `work` and give their folder.

    Raises:
        UsageError: the name is neither, or the mix has another format.
        WorkError: the download failed; the message gives the reason.
    """
    return Path(name) if Path(name).is_dir() else download_tag(name, work, METADATA_FILES)


def download_tag(name: str, work: Path, patterns: Iterable[str] = ("*",)) -> Path:
    """Download files of OWNER/NAME@TAG (`download`).

    Raises:
        UsageError: the name has another form.
    """
    repo, at, tag = name.partition("@")
    if not is_repo(repo):
        raise UsageError(f"{name}: neither a folder nor the OWNER/NAME@TAG of a dataset on the Hub")
    if not at or not tag:
        raise UsageError(f"{name}: add the version, for example {repo}@v1.0.0")
    return download(repo, hub.current_commit(repo, tag), work, patterns)


def download(repo: str, commit: str, work: Path, patterns: Iterable[str] = ("*",)) -> Path:
    """Download files of a published mix below `work` and give their folder; files already present are kept.

    The manifest is downloaded first, and every file is compared with it.

    Raises:
        UsageError: the commit is no mix that medmix published.
        WorkError: a download failed, or a file differs from the manifest.
    """
    name = hashlib.sha256(f"{repo}@{commit}".encode()).hexdigest()[:20]
    folder, parts = work / f"copy-{name}", work / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    remotes = {remote.path: remote for remote in hub.list_matching(repo, commit, ("*",))}
    if manifest.NAME not in remotes or release.FULL_MANIFEST not in remotes:
        raise UsageError(f"{repo} at {commit}: not a mix published by medmix push")
    _download_file(repo, commit, remotes[manifest.NAME], folder, parts)
    if not manifest.is_unmodified(folder):
        raise WorkError(f"{repo} at {commit}: {manifest.MODIFIED}")
    files = manifest.read(folder)["files"]
    wanted = [path for path in sorted(files) if any(Path(path).match(pattern) for pattern in patterns)]
    absent = [path for path in wanted if path not in remotes]
    if absent:
        raise WorkError(f"{repo} at {commit}: {absent[0]} is missing, which the manifest lists")
    for path in wanted:
        sha256 = _download_file(repo, commit, remotes[path], folder, parts)
        if sha256 != files[path]["sha256"]:
            (folder / path).unlink()
            raise WorkError(f"{repo} at {commit}: {path}: {DIFFERENT_DIGEST}")
    return folder


def _download_file(repo: str, commit: str, remote: hub.Remote, folder: Path, parts: Path) -> str:
    """Download a file unless it is present; give its SHA-256."""
    target = folder / remote.path
    if target.is_file() and target.stat().st_size == remote.bytes:
        return file_sha256(target)
    return hub.download(repo, commit, remote, target, parts, remote.path).sha256
