"""What `medmix fetch` does for a source: bring its files into its folder, or say what a person has to do.

While files arrive, `.fetching/` lies in the folder, and a build does not read it. `.fetched.json` comes last: where
it lies, all of the download arrived.
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
from ..read import download_record, presence, refusal
from ..read.download_record import Fetched, FetchedFile
from . import articles, hub


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a source that was asked for.

    Attributes:
        state: `fetched` now; `there` already, whole; `by hand` where only a person can get it; `failed`.
        folder: where it belongs.
        dataset, revision: what was fetched or lies there, as far as that is known, else "".
        bytes: downloaded in this run.
        steps: what is left to do by hand, in order.
        problem: why it failed, else "".
    """

    source: str
    state: Literal["fetched", "there", "by hand", "failed"]
    folder: str
    dataset: str = ""
    revision: str = ""
    bytes: int = 0
    steps: tuple[str, ...] = ()
    problem: str = ""


def bring(sources: Iterable[str], root: Path) -> list[Outcome]:
    """Bring each source, or all where none is named; where one fails, the others are brought all the same.

    Raises:
        UsageError: a source is unknown or a refused copy, or its folder is one or holds somebody else's files.
        WorkError: the Hub cannot be reached at all.
    """
    chosen = tuple(dict.fromkeys(sources)) or facts.source_ids()
    refuse(chosen, root)
    outcomes = []
    for source in chosen:
        try:
            outcomes.append(_bring(facts.load(source), root))
        except hub.Unreachable:
            raise
        except WorkError as error:
            outcomes.append(Outcome(source, "failed", str(root / source), problem=f"{source}: {error}"))
    return outcomes


def licences(root: Path) -> int:
    """Ask PubMed Central for the licences of the articles that the sources under `root` name; give their number.

    Raises:
        UsageError: the root cannot be used, or a file of a source cannot be read.
        WorkError: PubMed Central cannot be reached; what it has answered is kept.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; give the folder that holds one folder per source with --root")
    get = partial(hub.text, service="PubMed Central")
    return articles.fill(root, articles.named(root), hub.pmc_address(), get)


def refuse(sources: Iterable[str], root: Path) -> None:
    """Refuse unknown sources, and copies that must not be used, before anything is done.

    Raises:
        UsageError: one of them is there; says why.
    """
    if reason := refusal.of_folder(root):
        raise UsageError(reason)
    for source in sources:
        if reason := refusal.of_name(source):
            raise UsageError(reason)
        facts.load(source)
        if reason := refusal.of_folder(root / source, source):
            raise UsageError(reason)


def _bring(entry: facts.Facts, root: Path) -> Outcome:
    folder = root / entry.id
    steps = tuple(step.replace("{folder}", str(folder)) for step in entry.steps)
    layout = entry.fetched_layout()
    if layout is None:
        whole = presence.look(entry.id, root).state in presence.WHOLE
        return Outcome(entry.id, "there" if whole else "by hand", str(folder), steps=() if whole else steps)
    place = entry.upstream[layout]
    fetched = download_record.read_record(folder)
    if fetched is not None and _is_finished(fetched, folder, place):
        return Outcome(entry.id, "there", str(folder), fetched.dataset, fetched.commit, steps=steps)
    found = presence.look(entry.id, root).layout
    if found not in ("", layout) and not _is_ours(folder):
        raise UsageError(
            f"{folder}: holds {entry.id} as {found}, which medmix fetch did not put there and a build reads; "
            "for the Hub's copy move it away or give another --root"
        )
    fetched, size = _download(entry.id, place, folder)
    return Outcome(entry.id, "fetched", str(folder), fetched.dataset, fetched.commit, size, steps)


def _is_finished(fetched: Fetched, folder: Path, place: facts.Upstream) -> bool:
    return (
        not download_record.is_unfinished(folder)
        and fetched.dataset == place.dataset
        and place.revision in (None, fetched.commit)
        and all(any(fnmatchcase(name, pattern) for name in fetched.files) for pattern in place.files)
        and not fetched.damage(folder)
    )


def _is_ours(folder: Path) -> bool:
    return download_record.is_unfinished(folder) or (folder / download_record.RECORD).exists()


def _download(source: str, place: facts.Upstream, folder: Path) -> tuple[Fetched, int]:
    """Download what is not there yet; give all that is there now, and the bytes downloaded."""
    earlier = download_record.read_unfinished(folder) or download_record.read_record(folder)
    if earlier is not None and earlier.dataset != place.dataset:
        earlier = None
    commit = place.revision or (earlier.commit if earlier else hub.current_commit(place.dataset))
    if place.revision is None:
        say(f"{source}: {place.dataset} is not pinned; its commit {commit} is taken and recorded")
    remotes = hub.listing(place.dataset, commit, place.files)
    files = dict(_there_already(folder, remotes, earlier if earlier and earlier.commit == commit else None))
    missing = [remote for remote in remotes if remote.path not in files]
    total = sum(remote.bytes for remote in missing)
    _refuse_foreign_files(folder, missing)
    _need_room(folder, total)
    say(f"{source}: {len(missing)} of {len(remotes)} files, {total:,} bytes, from {place.dataset} at {commit}")
    with _working(folder) as work:
        for remote in missing:
            download_record.write_unfinished(folder, Fetched(place.dataset, commit, files))
            target, label = folder / remote.path, f"{source}/{remote.path}"
            files[remote.path] = hub.download(place.dataset, commit, remote, target, work, label)
        fetched = Fetched(place.dataset, commit, files)
        download_record.write_record(folder, fetched)
    return fetched, total


def _there_already(
    folder: Path, remotes: Iterable[hub.Remote], earlier: Fetched | None
) -> Iterator[tuple[str, FetchedFile]]:
    """Give the files that need no download; one that an earlier run finished is not read again."""
    for remote in remotes:
        path = folder / remote.path
        if not path.is_file() or path.stat().st_size != remote.bytes:
            continue
        if earlier is not None and (known := earlier.files.get(remote.path)):
            yield remote.path, known
            continue
        content = hub.Content(remote)
        content.read(path)
        if content.is_right():
            yield remote.path, FetchedFile(remote.bytes, content.sha256.hexdigest())


def _refuse_foreign_files(folder: Path, missing: Iterable[hub.Remote]) -> None:
    if _is_ours(folder):
        return
    for remote in missing:
        if (folder / remote.path).exists():
            raise UsageError(
                f"{folder / remote.path}: is not the Hub's file, and medmix fetch did not put it there; "
                "move it away or give another --root"
            )


def _need_room(folder: Path, total: int) -> None:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    needed = total - sum(part.stat().st_size for part in folder.glob(f"{download_record.UNFINISHED}/*.part"))
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise WorkError(f"{folder}: needs {needed:,} bytes and {free:,} are free; make room and {hub.AGAIN}")


@contextmanager
def _working(folder: Path) -> Iterator[Path]:
    """Give `.fetching/`, held against a second run; it goes when all has arrived."""
    work = folder / download_record.UNFINISHED
    with locks.acquire(work / "lock", f"{folder}: another medmix fetch is writing there; wait for it"):
        yield work
        shutil.rmtree(work)
