"""`medmix fetch`: download the files of a source into its folder, or list the manual steps.

During a download the folder holds `.fetching/`, and builds refuse it. `.fetched.json` is written last: a folder that
has it holds the complete download.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Literal

from .. import facts, locks
from ..errors import UsageError, WorkError
from ..progress import say
from ..read import download_record, refused_copies, source_status
from ..read.download_record import UNFINISHED_RECORD, Download, DownloadedFile
from . import articles, hub


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of `medmix fetch` for one source.

    Attributes:
        state: `fetched` in this run; `present` before it, complete; `manual` where only a person can get it; `failed`.
        folder: the source's folder.
        dataset, revision: of the files in the folder, "" where not known.
        bytes: downloaded in this run.
        steps: the manual steps that remain, in order.
        problem: the reason for a failure, else "".
    """

    source: str
    state: Literal["fetched", "present", "manual", "failed"]
    folder: str
    dataset: str = ""
    revision: str = ""
    bytes: int = 0
    steps: tuple[str, ...] = ()
    problem: str = ""


def fetch_sources(sources: Iterable[str], root: Path) -> list[Outcome]:
    """Fetch each source, or all where none is named; the failure of one does not stop the others.

    Raises:
        UsageError: a source is unknown or a refused copy, or its folder is one or holds other files.
        WorkError: the Hub cannot be reached at all.
    """
    chosen = tuple(dict.fromkeys(sources)) or facts.source_ids()
    validate_sources(chosen, root)
    outcomes = []
    for source in chosen:
        try:
            outcomes.append(_fetch_source(facts.load(source), root))
        except hub.Unreachable:
            raise
        except WorkError as error:
            outcomes.append(Outcome(source, "failed", str(root / source), problem=f"{source}: {error}"))
    return outcomes


def fetch_article_licences(root: Path) -> int:
    """Fetch the licences of the PubMed Central articles that the sources under `root` name; give their number.

    Raises:
        UsageError: the root cannot be used, or a file of a source cannot be read.
        WorkError: PubMed Central cannot be reached; the answers so far are kept.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; give the folder that holds one folder per source with --root")
    get = partial(hub.read_text, service="PubMed Central")
    return articles.add_missing(root, articles.article_ids(root), hub.pmc_url(), get)


def validate_sources(sources: Iterable[str], root: Path) -> None:
    """Check that all sources are known and that neither they nor the root are copies that must not be used.

    Raises:
        UsageError: one of them is not; the message gives the reason.
    """
    if reason := refused_copies.reason_by_folder(root):
        raise UsageError(reason)
    for source in sources:
        if reason := refused_copies.reason_by_name(source):
            raise UsageError(reason)
        facts.load(source)
        if reason := refused_copies.reason_by_folder(root / source, source):
            raise UsageError(reason)


def _fetch_source(entry: facts.Facts, root: Path) -> Outcome:
    folder = root / entry.id
    steps = tuple(step.replace("{folder}", str(folder)) for step in entry.steps)
    layout = entry.downloadable_layout()
    if layout is None:
        complete = source_status.check_source(entry.id, root).state in source_status.COMPLETE
        return Outcome(entry.id, "present" if complete else "manual", str(folder), steps=() if complete else steps)
    place = entry.upstream[layout]
    fetched = download_record.read_record(folder)
    if fetched is not None and _is_finished(fetched, folder, place):
        return Outcome(entry.id, "present", str(folder), fetched.dataset, fetched.commit, steps=steps)
    found = source_status.check_source(entry.id, root).layout
    if found not in ("", layout) and not _has_download(folder):
        raise UsageError(
            f"{folder}: holds layout {found} of {entry.id}, which medmix fetch did not download and a build reads; "
            "to get the Hub's copy, move the folder away or give another --root"
        )
    fetched, size = _download(entry.id, place, folder)
    return Outcome(entry.id, "fetched", str(folder), fetched.dataset, fetched.commit, size, steps)


def _is_finished(fetched: Download, folder: Path, place: facts.Upstream) -> bool:
    return (
        not download_record.is_unfinished(folder)
        and fetched.dataset == place.dataset
        and place.revision in (None, fetched.commit)
        and all(any(fnmatchcase(name, pattern) for name in fetched.files) for pattern in place.files)
        and not fetched.damaged
        and not fetched.damaged_files(folder)
    )


def _has_download(folder: Path) -> bool:
    return download_record.is_unfinished(folder) or (folder / download_record.RECORD).exists()


def _download(source: str, place: facts.Upstream, folder: Path) -> tuple[Download, int]:
    """Download the missing files; give the record of all files, and the number of bytes downloaded."""
    earlier = download_record.read_record(folder, UNFINISHED_RECORD) or download_record.read_record(folder)
    if earlier is not None and earlier.dataset != place.dataset:
        earlier = None
    commit = place.revision or (earlier.commit if earlier else hub.current_commit(place.dataset))
    if place.revision is None:
        say(f"{source}: {place.dataset} is not pinned; using and recording its commit {commit}")
    remotes = hub.list_matching(place.dataset, commit, place.files)
    files = dict(_present_files(folder, remotes, earlier if earlier and earlier.commit == commit else None))
    missing = [remote for remote in remotes if remote.path not in files]
    total = sum(remote.bytes for remote in missing)
    _validate_no_foreign_files(folder, missing)
    _validate_free_space(folder, total)
    say(f"{source}: {len(missing)} of {len(remotes)} files, {total:,} bytes, from {place.dataset} at {commit}")
    with _locked_work_folder(folder) as work:
        for remote in missing:
            download_record.write_record(folder, Download(place.dataset, commit, files), UNFINISHED_RECORD)
            target, label = folder / remote.path, f"{source}/{remote.path}"
            files[remote.path] = hub.download(place.dataset, commit, remote, target, work, label)
        fetched = Download(place.dataset, commit, files)
        download_record.write_record(folder, fetched)
    return fetched, total


def _present_files(
    folder: Path, remotes: Iterable[hub.Remote], earlier: Download | None
) -> Iterator[tuple[str, DownloadedFile]]:
    """Give the files that need no download; files that an earlier run finished are not read again, but damaged ones."""
    for remote in remotes:
        path = folder / remote.path
        if not path.is_file() or path.stat().st_size != remote.bytes:
            continue
        known = earlier.files.get(remote.path) if earlier and remote.path not in earlier.damaged else None
        if known:
            yield remote.path, known
            continue
        content = hub.ContentCheck(remote)
        content.read(path)
        if content.matches():
            yield remote.path, DownloadedFile(remote.bytes, content.sha256.hexdigest())


def _validate_no_foreign_files(folder: Path, missing: Iterable[hub.Remote]) -> None:
    if _has_download(folder):
        return
    for remote in missing:
        if (folder / remote.path).exists():
            raise UsageError(
                f"{folder / remote.path}: differs from the Hub's file, and medmix fetch did not download it; "
                "move it away or give another --root"
            )


def _validate_free_space(folder: Path, total: int) -> None:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    needed = total - sum(part.stat().st_size for part in folder.glob(f"{download_record.UNFINISHED}/*.part"))
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise WorkError(f"{folder}: needs {needed:,} bytes and {free:,} are free; make room and {hub.RETRY}")


@contextmanager
def _locked_work_folder(folder: Path) -> Iterator[Path]:
    """Create `.fetching/`, locked against a second run; remove it when the download is complete."""
    work = folder / download_record.UNFINISHED
    with locks.acquire(work / "lock", f"{folder}: another medmix fetch is writing to this folder; wait until it ends"):
        yield work
        shutil.rmtree(work)
