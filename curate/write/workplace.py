"""The work folder `OUT/.work`, of one build or of parts of one at a time, and the move of a finished mix to `OUT`."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import locks
from ..errors import UsageError
from ..shards import TEMPORARY, temporary_files
from . import manifest

WORK = ".work"


def place(stage: Path, out: Path) -> None:
    """Move a finished mix to `out`; card and manifest mark a mix, so they are removed first and moved last."""
    remove_all(stage.rglob(TEMPORARY))  # of parts on other machines; their files have been written by others
    for name in (manifest.NAME, manifest.README):
        (out / name).unlink(missing_ok=True)
    remove_all(path for path in out.iterdir() if path.name in manifest.ENTRIES)
    for path in sorted(stage.iterdir(), key=lambda path: (path.name == manifest.NAME, path.name == manifest.README)):
        path.rename(out / path.name)
    stage.rmdir()


@contextmanager
def working(out: Path, fresh: bool) -> Iterator[Path]:
    """Create, lock and yield `OUT/.work`; reject a folder that is not a mix.

    Raises:
        UsageError: the folder is not empty and not a mix, is not writable, or another build is writing there.
    """
    work = _work_folder(out)
    try:
        lock = locks.acquire(work / "lock", f"{out}: another build is writing to this folder; wait until it ends")
    except OSError as error:
        raise _cannot_write(out, error) from error
    with lock:
        if fresh:
            remove_all(path for path in work.iterdir() if path.name != "lock")
        remove_all(temporary_files(work))
        yield work


@contextmanager
def working_together(out: Path) -> Iterator[Path]:
    """Create and yield `OUT/.work` for one of several parts of a build; nothing in it is removed.

    Parts may run at the same time. A build and a part do not, where the file system has locks.

    Raises:
        UsageError: the folder is not empty and not a mix, is not writable, or a build is writing there.
    """
    work = _work_folder(out)
    try:
        lock = locks.share(work / "lock", f"{out}: a build is writing to this folder; wait until it ends")
    except OSError as error:
        raise _cannot_write(out, error) from error
    with lock:
        yield work


def _work_folder(out: Path) -> Path:
    work = out / WORK
    if out.is_dir() and any(out.iterdir()) and not work.is_dir() and not (out / manifest.NAME).is_file():
        raise UsageError(f"{out} is not empty and is not a mix; choose another --out")
    return work


def _cannot_write(out: Path, error: OSError) -> UsageError:
    return UsageError(f"{out}: cannot write there ({error.strerror}); choose another --out")


def remove_all(paths: Iterable[Path]) -> None:
    """Remove files and folders; a link is removed without its target."""
    for path in list(paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
