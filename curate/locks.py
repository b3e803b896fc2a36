"""Locks between processes: one process at a time writes to a folder; a second one waits or stops with one line.

The operating system releases the lock of a process that ends or is killed, so a lock file that is left blocks nobody.
"""

import errno
import fcntl
from pathlib import Path
from typing import IO

from filelock import AcquireReturnProxy, FileLock, Timeout

from .errors import UsageError


def acquire(path: Path, busy: str = "") -> AcquireReturnProxy:
    """Lock a file, which is created with its folder, until the `with` block ends.

    `busy` is the error line for a file that another process has locked; without it the call waits.

    Raises:
        UsageError: another process has locked the file.
        OSError: the file cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(path, timeout=0 if busy else -1).acquire()
    except Timeout:
        raise UsageError(busy) from None


def share(path: Path, busy: str) -> IO[str]:
    """Lock a file together with other processes that share it, until the `with` block ends; `acquire` fails meanwhile.

    On a file system without locks nothing is locked.

    Raises:
        UsageError: another process has locked the file for itself; `busy` is the error line.
        OSError: the file cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise UsageError(busy) from None
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            handle.close()
            raise
    return handle
