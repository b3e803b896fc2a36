"""Failures of ranks: each error is told once with its rank, and no rank waits for one that has failed."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import torch.distributed as dist

from medmix.curate.errors import MedmixError
from medmix.curate.progress import say

CHECK_SECONDS = 1.0
"""Time between two looks at whether a rank has failed."""

GRACE_SECONDS = 20.0
"""Time for a rank to end by itself after another has failed; then its process ends, whatever it waits for."""

_FAILED, _LEFT = "failed", "left"


class FailureWatch:
    """Ends this process if a rank has failed and this one does not end by itself; a context manager.

    A rank that waits in a collective operation on a GPU does not notice that another one is gone.
    """

    def __init__(self, store: dist.Store, rank: int) -> None:
        self.store = store.clone()  # a connection of its own, which waits for no other
        self.rank = rank
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "FailureWatch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(CHECK_SECONDS):
            cause = _failure(self.store)
            if cause and not self._ended.wait(GRACE_SECONDS):
                say(f"medmix: rank {self.rank}: error: stopped, because {cause}")
                os._exit(1)


@contextmanager
def tell_failures(store: dist.Store | None, rank: int) -> Iterator[None]:
    """Tell an error of the block with its rank, unless another rank has told the same, and let other ranks stop.

    A MedmixError becomes `SystemExit`. Without a store, which is a run of one process, nothing changes.
    """
    if store is None:
        yield
        return
    try:
        yield
    except MedmixError as error:
        _tell(store, rank, str(error))
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        cause = _failure(store)
        if isinstance(error, RuntimeError) and cause:  # this rank lost the connection to one that failed
            say(f"medmix: rank {rank}: error: stopped, because {cause}")
            raise SystemExit(1) from None
        _tell(store, rank, f"{type(error).__name__}: {error}")
        raise


def leave(store: dist.Store, rank: int, world_size: int) -> None:
    """Leave a failed run; rank 0, which may keep the store, waits until all others have told their errors and left."""
    with suppress(RuntimeError):
        left, end = store.add(_LEFT, 1), time.monotonic() + GRACE_SECONDS / 2
        while rank == 0 and left < world_size and time.monotonic() < end:
            time.sleep(0.05)
            left = store.add(_LEFT, 0)


def _tell(store: dist.Store, rank: int, message: str) -> None:
    line, is_first = " ".join(message.split()), True
    with suppress(RuntimeError):  # the process that keeps the store may be gone
        is_first = store.add(hashlib.sha256(line.encode()).hexdigest(), 1) == 1
        store.set(_FAILED, str(rank))
    if is_first:
        say(f"medmix: rank {rank}: error: {line}")


def _failure(store: dist.Store) -> str:
    """Describe the failure of another rank; "" if there is none."""
    try:
        return f"rank {store.get(_FAILED).decode()} failed" if store.check([_FAILED]) else ""
    except RuntimeError:
        return "rank 0 or torchrun is gone"
