"""Report the progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield the items unchanged and report how many have passed."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, leave=False)
        return
    started = time.monotonic()
    yield from _report_lines(items, lambda item: 1, 0, lambda done: f"{label}: {done} of {total}")
    say(f"{label}: {total} of {total} in {time.monotonic() - started:.1f} s")


def track_bytes(pieces: Iterable[bytes], total: int, done: int, label: str) -> Iterator[bytes]:
    """Yield the pieces of a file unchanged and report their bytes, of which `done` existed before."""
    if sys.stderr.isatty():
        with tqdm(total=total, initial=done, desc=label, leave=False, unit="B", unit_scale=True) as bar:
            for piece in pieces:
                yield piece
                bar.update(len(piece))
        return
    yield from _report_lines(pieces, len, done, lambda done: f"{label}: {done:,} of {total:,} bytes")


def _report_lines(
    items: Iterable[Item], size: Callable[[Item], int], done: int, line: Callable[[int], str]
) -> Iterator[Item]:
    reported = time.monotonic()
    for item in items:
        yield item
        done += size(item)
        now = time.monotonic()
        if now - reported >= SECONDS_BETWEEN_LINES:
            reported = now
            say(line(done))


def say(line: str) -> None:
    """Print one message line to stderr; stdout is for data."""
    tqdm.write(line, file=sys.stderr)


def say_all(kind: str, lines: Sequence[str]) -> list[str]:
    """Print notes or warnings, and give them."""
    for line in lines:
        say(f"{kind}: {line}")
    return list(lines)


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds that a block takes to a table, and report them."""
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started
    say(f"{name} took {seconds[name]:.1f} s")
