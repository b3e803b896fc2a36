"""Run a function over tasks in worker processes: each task once, results in the order of the tasks.

The processes are children of this one, unless `using` has put another engine in their place.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2

from .errors import WorkError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """What runs tasks in place of this machine's processes."""

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        order: Sequence[int],
        ended: Callable[[int], None],
    ) -> Iterator[Result]:
        """Yield `function(task)` for every task, in order, as `run` does.

        Tasks start in the order of the places in `order`; `ended` gets the place of each that has ended.
        """

    def require_shared(self, folder: Path) -> None:
        """Check that every machine at work sees a folder.

        Raises:
            UsageError: one does not.
        """


_engine: ContextVar[Engine | None] = ContextVar("engine", default=None)
"""A context variable, since an engine belongs to a command, while `run` is called deep within it."""


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Let an engine run the tasks of the block, in place of this machine's processes."""
    token = _engine.set(engine)
    try:
        yield
    finally:
        _engine.reset(token)


def require_shared(folder: Path) -> None:
    """Check that every machine at work sees a folder.

    Raises:
        UsageError: one does not.
    """
    if engine := _engine.get():
        engine.require_shared(folder)


def start_order(sizes: Sequence[int]) -> list[int]:
    """Give the places of tasks in the order in which they start: the largest first, equal ones in their order."""
    return sorted(range(len(sizes)), key=lambda place: -sizes[place])


def run(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int,
    sizes: Sequence[int] | None = None,
    ended: Callable[[int], None] = lambda place: None,
) -> Iterator[Result]:
    """Yield `function(task)` for every task, in order, with one OpenCV thread per process.

    One worker runs in this process; more are spawned, so that no lock or thread of this process is copied
    into them. A task must be safe to repeat: after a crash the caller runs the same tasks again.

    Args:
        function: what is done.
        tasks: with what.
        workers: processes; another engine has its own number.
        sizes: how much work each task is, in any unit; larger ones start first, so that no worker ends long after the
            others. Without it tasks start in their order.
        ended: gets the place of each task when it has ended, which may be long before its result has its turn.

    Raises:
        WorkError: a worker died (killed, out of memory).
        Exception: raised by `function`; tasks that have not started are cancelled.
    """
    order = start_order(sizes) if sizes else range(len(tasks))
    if engine := _engine.get():
        yield from engine.run(function, tasks, order, ended)
        return
    if workers <= 1 or len(tasks) <= 1:
        with _one_opencv_thread():
            for place, task in enumerate(tasks):
                result = function(task)
                ended(place)
                yield result
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_start_worker)
    try:
        with _sigint_blocked():
            started = {place: pool.submit(function, tasks[place]) for place in order}
        for place, future in started.items():
            future.add_done_callback(partial(_report, ended, place))
        for place in range(len(tasks)):
            yield started.pop(place).result()
    except BrokenProcessPool as error:
        raise WorkError(
            "a worker process died, most often because memory ran out; "
            "run the same command again, with fewer --workers: finished work is kept"
        ) from error
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _report(ended: Callable[[int], None], place: int, future: Future[Any]) -> None:
    if not future.cancelled() and future.exception() is None:
        ended(place)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV to one thread: builds run one process per core, and their images are too small to divide."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block Ctrl-C while workers start: they inherit the block, and only the parent reacts to the terminal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Keep OpenCV to one thread, and exit with the parent even when it is killed."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after_sentinel, args=(parent.sentinel,), daemon=True).start()


def _exit_after_sentinel(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
