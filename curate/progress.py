"""Tell how far long work is: a bar on a terminal, plain lines elsewhere; always on stderr."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield the items unchanged and report on them as they pass."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, leave=False)
        return
    started = reported = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - reported >= SECONDS_BETWEEN_LINES:
            reported = now
            say(f"{label}: {done} of {total}")
    say(f"{label}: {done} of {total} in {time.monotonic() - started:.1f} s")


def say(line: str) -> None:
    """Print one line of talk; stdout is for data."""
    tqdm.write(line, file=sys.stderr)
