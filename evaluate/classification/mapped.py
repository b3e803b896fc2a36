"""Arrays on the disk that are written in place."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def new_array(path: Path, kind: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Make an npy file of zeros, mapped into memory to be filled.

    Its room is claimed at once: a full disk is an error here, and not the end of the process at the first page that
    has no place.

    Raises:
        OSError: the disk has no room for it.
    """
    array: npt.NDArray[Any] = np.lib.format.open_memmap(path, "w+", kind, shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
