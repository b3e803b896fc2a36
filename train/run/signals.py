"""Stop signals: Ctrl-C, and SIGTERM and SIGUSR1, which Slurm and containers send before they end a process."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..rank_zero import say

INTERRUPTED, TERMINATED = 130, 143
"""Exit statuses: 128 and the number of SIGINT; 128 and the number of SIGTERM, for SIGUSR1 too."""

TERMINATION = (signal.SIGTERM, signal.SIGUSR1)

REPEAT_SECONDS = 5.0
"""A further termination signal within this time is the same request: Slurm and torchrun both send one to a rank."""


@contextmanager
def exit_on_termination() -> Iterator[None]:
    """Turn SIGTERM and SIGUSR1 into `SystemExit(TERMINATED)` during the block.

    Outside the main thread, which gets no signals, nothing changes.
    """

    def handle(number: int, frame: Any) -> None:
        raise SystemExit(TERMINATED)

    with _handlers(dict.fromkeys(TERMINATION, handle)):
        yield


@contextmanager
def defer_stop() -> Iterator[Callable[[], int]]:
    """Give a function that returns the exit status of a requested stop, 0 if none is requested.

    A second Ctrl-C raises KeyboardInterrupt at once; a second termination signal, `REPEAT_SECONDS` after the first or
    later, ends the process at once. Outside the main thread, which gets no signals, they work as usual.
    """
    status, since = 0, 0.0

    def interrupt(number: int, frame: Any) -> None:
        nonlocal status
        status = status or INTERRUPTED
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say("stopping after this step or the next; press Ctrl-C again to stop at once")

    def terminate(number: int, frame: Any) -> None:
        nonlocal status, since
        if status == TERMINATED and time.monotonic() - since >= REPEAT_SECONDS:
            os._exit(TERMINATED)  # loading processes notice that their parent is gone
        if status != TERMINATED:
            status, since = TERMINATED, time.monotonic()
            name = signal.Signals(number).name
            say(f"{name}: stopping after this step or the next, with a checkpoint; a second one stops at once")

    with _handlers({signal.SIGINT: interrupt, **dict.fromkeys(TERMINATION, terminate)}):
        yield lambda: status


@contextmanager
def _handlers(handlers: dict[signal.Signals, Callable[[int, Any], None]]) -> Iterator[None]:
    before = {}
    try:
        for number, handle in handlers.items():
            before[number] = signal.signal(number, handle)
    except ValueError:  # not in the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
