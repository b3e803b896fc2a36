"""The limits under which hf_xet, the client of the Hub's storage of large files, works, and the digests it gives files.

hf_xet reads its settings from the environment when its session begins. Names and defaults: `dict(hf_xet.XetConfig())`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TypeVar

from huggingface_hub.utils._runtime import is_xet_available
from huggingface_hub.utils._xet import abort_xet_session

Result = TypeVar("Result")

LIMITS = {
    "HF_XET_CLIENT_CONNECT_TIMEOUT": "60s",
    "HF_XET_CLIENT_READ_TIMEOUT": "300s",  # includes sending 64 MB
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "0",  # `retries` repeats, and says so
}
WORKER_LIMITS = {
    "HF_XET_DATA_MAX_CONCURRENT_FILE_INGESTION": "4",
    "HF_XET_CLIENT_AC_MAX_UPLOAD_CONCURRENCY": "16",
}
"""Files that are read at the same time, and requests that send their content."""

SECONDS_BETWEEN_SIGNALS = 0.2
"""Ctrl-C is seen so late: a signal that reaches a thread of hf_xet does not wake the main thread."""

_ALIASES = {"HF_XET_DATA_MAX_CONCURRENT_FILE_INGESTION": "HF_XET_MAX_CONCURRENT_FILE_INGESTION"}


def is_used() -> bool:
    """Whether the Hub's client uploads through Xet: it is installed, and HF_HUB_DISABLE_XET is not set."""
    return bool(is_xet_available())


@contextmanager
def limits() -> Iterator[None]:
    """Set the limits of hf_xet inside the block, except those that the user has set in the environment.

    HF_XET_HIGH_PERFORMANCE, set by the user, lifts the limits on workers. The session ends with the block.
    """
    wanted = LIMITS if os.environ.get("HF_XET_HIGH_PERFORMANCE") else {**LIMITS, **WORKER_LIMITS}
    added = {
        name: value
        for name, value in wanted.items()
        if name not in os.environ and _ALIASES.get(name, name) not in os.environ
    }
    os.environ.update(added)
    abort_xet_session()
    try:
        yield
    finally:
        abort_xet_session()
        for name in added:
            os.environ.pop(name, None)


def interruptible(call: Callable[[], Result]) -> Result:
    """Run a call that uploads, so that Ctrl-C ends it at once: hf_xet does not return to Python until the Hub answers.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the upload is given up.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()  # the process does not wait for it
    try:
        while not future.done():
            wait([future], SECONDS_BETWEEN_SIGNALS)
        return future.result()
    except KeyboardInterrupt:
        abort_xet_session()
        raise


def content_digests(files: Sequence[Path]) -> list[str]:
    """Give the digest by which Xet knows the content of each file; reads the files."""
    import hf_xet  # type: ignore[import-untyped]

    return [str(info.hash) for info in hf_xet.hash_files([str(path) for path in files])]
