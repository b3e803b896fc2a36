"""Run a command, and sample the processor time and the peak memory of it and of its workers from /proc."""

import os
import re
import subprocess
import sys
import threading
import time
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

SECONDS_BETWEEN_SAMPLES = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")
_STAGE = re.compile(r"(\w+) took ([\d.]+) s")
_SHARDS = re.compile(r"writing: (\d+) of (\d+) shards are those of the mix before")


@dataclass(slots=True)
class Run:
    """What a command took.

    Attributes:
        seconds, processor: of the whole command, in seconds; `processor` counts all processes.
        parent_mib, worker_mib: peak resident memory of the command's own process, and of the largest other one.
        stages: stage -> its seconds and processor seconds; `other` is between stages, `end` after the last one.
        loops: label of a progress line -> what passed, and seconds.
        linked: shards that were linked.
        lines: of stderr.
    """

    seconds: float = 0.0
    processor: float = 0.0
    parent_mib: float = 0.0
    worker_mib: float = 0.0
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)
    loops: dict[str, tuple[int, float]] = field(default_factory=dict)
    linked: int = 0
    lines: list[str] = field(default_factory=list)


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Run:
    """Run a command in a folder to its end.

    Raises:
        SystemExit: it fails.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    arrived: list[tuple[float, str]] = []
    reader = threading.Thread(target=_read_lines, args=(process.stderr, arrived))
    reader.start()
    times, busy, peaks = [started], [0.0], {process.pid: 0.0}
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        _sample(process.pid, times, busy, peaks)
        time.sleep(SECONDS_BETWEEN_SAMPLES)
    _sample(process.pid, times, busy, peaks)  # a process that has ended and was not waited for keeps its times
    ended = time.monotonic()
    reader.join()
    lines = [line for _, line in arrived]
    if process.wait():
        raise SystemExit("\n".join([*lines[-20:], f"failed: {' '.join(command)}"]))
    parent = peaks.pop(process.pid)
    found = Run(ended - started, busy[-1], parent, max(peaks.values(), default=0.0), lines=lines)
    _add_stages(found, arrived, times, busy)
    for line in lines:
        if match := re.fullmatch(r"([^:]+): (\d+) of \d+ in ([\d.]+) s", line):
            label = "fingerprints" if match[1].startswith("fingerprints of") else match[1]
            count, seconds = found.loops.get(label, (0, 0.0))
            found.loops[label] = count + int(match[2]), seconds + float(match[3])
        elif match := _SHARDS.fullmatch(line):
            found.linked = int(match[1])
    return found


def _read_lines(stream: IO[str], arrived: list[tuple[float, str]]) -> None:
    """Add each line with the moment at which it arrives, and repeat it on stderr."""
    for line in stream:
        arrived.append((time.monotonic(), line.rstrip()))
        print(line, end="", file=sys.stderr, flush=True)


def _sample(root: int, times: list[float], busy: list[float], peaks: dict[int, float]) -> None:
    """Add the processor seconds of a process and all below it, those that it has waited for included."""
    total = 0.0
    for pid in _descendants(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(map(int, fields[11:15])) / _TICKS
        if match := re.search(r"VmHWM:\s+(\d+)", status):
            peaks[pid] = max(peaks.get(pid, 0.0), int(match[1]) / 1024)
    times.append(time.monotonic())
    busy.append(max(total, busy[-1]))  # a worker that ends while it is sampled may be missed once


def _descendants(root: int) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, children.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _add_stages(found: Run, arrived: list[tuple[float, str]], times: list[float], busy: list[float]) -> None:
    """Attribute the samples to the stages that the lines of stderr name with their seconds."""

    def busy_at(moment: float) -> float:
        return busy[min(bisect(times, moment), len(busy) - 1)]

    last = 0.0
    for moment, line in arrived:
        if match := _STAGE.fullmatch(line):
            seconds = float(match[2])
            found.stages[match[1]] = seconds, busy_at(moment) - busy_at(moment - seconds)
            last = moment
    if found.stages:
        found.stages["end"] = times[-1] - last, busy[-1] - busy_at(last)
    spent = [sum(values) for values in zip(*found.stages.values(), strict=True)] if found.stages else [0.0, 0.0]
    found.stages["other"] = found.seconds - spent[0], found.processor - spent[1]
