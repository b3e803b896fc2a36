"""Whether a file is the one that was read before, by size and times, and when these cannot tell."""

from pathlib import Path
from typing import NamedTuple

CLOCK_NS = 2_000_000_000
"""The coarsest clock of a file system that is in use: FAT counts in steps of two seconds."""


class FileState(NamedTuple):
    """Size and times of a file. `ctime_ns` changes with every replacement; `mtime_ns` can be set at will."""

    bytes: int
    mtime_ns: int
    ctime_ns: int

    def is_settled(self, read_ns: int) -> bool:
        """Tell whether any change after reading began at `read_ns` must have changed the times.

        A file that changed within a tick of the clock before it was read may change again in the same tick:
        https://git-scm.com/docs/racy-git
        """
        return max(self.mtime_ns, self.ctime_ns) + CLOCK_NS < read_ns


def file_state(path: Path) -> FileState:
    """Give the state of a file.

    Raises:
        OSError: the file cannot be found.
    """
    found = path.stat()
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns)
