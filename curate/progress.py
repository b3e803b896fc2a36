"""Report the progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0
SECONDS_OF_SILENCE = 5.0
"""A stage without tasks says nothing before."""


class Amounts(NamedTuple):
    """How much work each task is, by its place; `unit` is what is counted, or "" for an estimate not to be shown."""

    of_tasks: Sequence[int]
    unit: str = ""


@contextmanager
def reporting(label: str, total: int, unit: str, amounts: Amounts | None = None) -> Iterator[Callable[[int], None]]:
    """Give the function to call with the place of each task that has ended; it reports progress."""
    started = reported = time.monotonic()
    done = amount = 0
    whole = sum(amounts.of_tasks) if amounts else 0
    bar_unit, bar_total = (amounts.unit, whole) if amounts and amounts.unit else (unit, total)
    bar = tqdm(
        total=bar_total, desc=label, leave=False, unit=f" {bar_unit}", unit_scale=True, disable=not is_terminal()
    )

    def ended(place: int) -> None:
        nonlocal done, amount, reported
        done += 1
        amount += amounts.of_tasks[place] if amounts else 0
        bar.update(amounts.of_tasks[place] if amounts and amounts.unit else 1)
        now = time.monotonic()
        if now - reported >= SECONDS_BETWEEN_LINES and not is_terminal():
            reported = now
            shown = (amount, whole, amounts.unit) if amounts and amounts.unit else None
            share = amount / whole if whole else done / total
            say(progress_line(label, (done, total, unit), shown, share, now - started))

    with bar:
        yield ended
    if total and not is_terminal():
        say(f"{label}: {done:,} of {total:,} in {time.monotonic() - started:.1f} s")


def progress_line(
    label: str, tasks: tuple[int, int, str], amounts: tuple[int, int, str] | None, share: float, seconds: float
) -> str:
    """Give one line of progress.

    Args:
        label: what is done.
        tasks: how many are done, of how many, and what they are called.
        amounts: the same of what the tasks hold, if it is known.
        share: of all work that is done, from which the time left follows.
        seconds: since the start.
    """
    parts = [
        f"{_count(done)} of {_count(total)} {unit}" for done, total, unit in (tasks, *([amounts] if amounts else []))
    ]
    done, _, unit = amounts or tasks
    rate = done / seconds if seconds else 0.0
    parts.append(f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s")
    if share > 0:
        parts.append(f"{_duration(seconds * (1 - share) / share)} left")
    return f"{label}: {', '.join(parts)}"


def _count(number: int) -> str:
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:.2f} M"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{rest} s"


def is_terminal() -> bool:
    """Say whether a person watches stderr."""
    return sys.stderr.isatty()


@contextmanager
def stage(label: str) -> Iterator[None]:
    """Report a stage without tasks, such as one call of a library, once it takes long: how long it has run."""
    ended, started = threading.Event(), time.monotonic()

    def report() -> None:
        pause = SECONDS_OF_SILENCE
        while not ended.wait(pause):
            say(f"{label}: {_duration(time.monotonic() - started)} so far")
            pause = SECONDS_BETWEEN_LINES

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()


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
