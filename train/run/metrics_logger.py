"""Logs a training run: one JSON line per step and per held-out loss in `train_log.jsonl`, progress on stderr."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

from medmix.curate.config import flatten
from medmix.curate.errors import WorkError
from medmix.curate.progress import SECONDS_BETWEEN_LINES, say
from medmix.curate.shards import write_text

from .scalar_loggers import ScalarLogger

LOG_NAME = "train_log.jsonl"

RECENT_STEPS = 20
"""Speed and remaining time are shown as of this many last steps."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the steps of a log; ignores an unfinished last line, which a killed run can leave."""
    return [entry for entry in _read_entries(path) if "loss" in entry]


def read_held_out(path: Path) -> list[dict[str, Any]]:
    """Read the measurements of the held-out loss in a log."""
    return [entry for entry in _read_entries(path) if "held_out_loss" in entry]


def _read_entries(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


class MetricsLogger:
    """The log of a run that has done `step` of `last_step` steps; a context manager.

    Entries of later steps, left by a killed run, are removed. With `progress_bar` progress is a bar on stderr, else a
    line every `SECONDS_BETWEEN_LINES`. The loggers get the scalars, and are closed. Without a path nothing
    is written or printed, only counted.

    Raises:
        WorkError: the log cannot be read or written.
    """

    def __init__(
        self,
        path: Path | None,
        step: int,
        last_step: int,
        progress_bar: bool = False,
        loggers: Sequence[ScalarLogger] = (),
    ) -> None:
        self.path, self.step, self.last_step = path, step, last_step
        self.first_loss: float | None = None
        self.last_loss: float | None = None
        self.held_out_loss: float | None = None
        self.seconds = 0.0
        self._recent: list[Mapping[str, Any]] = []
        if path:
            self._truncate(path)
        self._loggers = loggers if path else ()
        self._bar = tqdm(total=last_step, initial=step, desc="train", disable=not (progress_bar and path))
        self._file: TextIO | None = None
        self._last_line = time.monotonic()

    def __enter__(self) -> "MetricsLogger":
        if self.path:
            self._file = self.path.open("a", encoding="utf-8", buffering=1)  # every line is flushed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._file:
            self._file.close()
        for logger in self._loggers:
            logger.close()

    def log(self, entry: dict[str, Any]) -> None:
        """Log one step; required are `step`, `loss`, `loss_by_source`, `tokens`, `records` and `seconds`.

        Raises:
            WorkError: the log cannot be written.
        """
        self._count(entry)
        self._recent = [*self._recent[1 - RECENT_STEPS :], entry]
        if not self.path:
            return
        self._write(entry)
        self._bar.set_postfix_str(self._status(), refresh=False)
        self._bar.update()
        now = time.monotonic()
        if self._bar.disable and (now - self._last_line >= SECONDS_BETWEEN_LINES or self.step == self.last_step):
            self._last_line = now
            say(f"train: step {self.step} of {self.last_step}, {self._status()}, {self._time_left()} left")

    def log_held_out(self, entry: dict[str, Any]) -> None:
        """Log a measurement of `held_out.HeldOut`, with its `step`.

        Raises:
            WorkError: the log cannot be written.
        """
        self.held_out_loss = entry["held_out_loss"]
        if not self.path:
            return
        self._write(entry)
        by_source = ", ".join(f"{name} {loss:.3f}" for name, loss in entry["held_out_loss_by_source"].items())
        say(f"train: step {entry['step']} of {self.last_step}, held-out loss {self.held_out_loss:.3f} ({by_source})")

    def summary(self) -> dict[str, Any]:
        """Give `steps`, `first_loss`, `last_loss` and `seconds` over all sessions of the run."""
        return {
            "steps": self.step,
            "first_loss": self.first_loss,
            "last_loss": self.last_loss,
            "seconds": round(self.seconds, 3),
        }

    def _status(self) -> str:
        """Give loss, speed, MFU and memory as of the recent steps."""
        last, seconds = self._recent[-1], self._recent_seconds()
        held_out = [] if self.held_out_loss is None else [f"held-out {self.held_out_loss:.3f}"]
        parts = [
            f"loss {last['loss']:.3f}",
            *held_out,
            f"{sum(entry['tokens'] for entry in self._recent) / seconds:.0f} tokens/s",
            f"{sum(entry['records'] for entry in self._recent) / seconds:.1f} samples/s",
        ]
        if last.get("mfu") is not None:
            parts.append(f"MFU {sum(entry['mfu'] * entry['seconds'] for entry in self._recent) / seconds:.1%}")
        if last.get("memory_gib") is not None:
            parts.append(f"{last['memory_gib']:.1f} GiB")
        return ", ".join(parts)

    def _time_left(self) -> str:
        seconds = (self.last_step - self.step) * self._recent_seconds() / len(self._recent)
        return str(timedelta(seconds=round(seconds)))

    def _recent_seconds(self) -> float:
        return max(sum(entry["seconds"] for entry in self._recent), 1e-9)

    def _count(self, entry: dict[str, Any]) -> None:
        self.step = entry["step"]
        self.first_loss = entry["loss"] if self.first_loss is None else self.first_loss
        self.last_loss = entry["loss"]
        self.seconds += entry["seconds"]

    def _truncate(self, path: Path) -> None:
        """Remove the entries after `step` from the log, and count the others."""
        try:
            entries = [entry for entry in _read_entries(path) if entry["step"] <= self.step] if self.step else []
            write_text(path, "".join(f"{json.dumps(entry)}\n" for entry in entries))
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        for entry in entries:
            if "loss" in entry:
                self._count(entry)
            self.held_out_loss = entry.get("held_out_loss", self.held_out_loss)

    def _write(self, entry: dict[str, Any]) -> None:
        try:
            print(json.dumps(entry), file=self._file)
        except OSError as error:
            raise self._failed(error) from None
        for logger in self._loggers:
            logger.log(entry["step"], _scalars(entry))

    def _failed(self, error: Exception) -> WorkError:
        return WorkError(
            f"{self.path} cannot be read or written ({error}); repair that and type the same command again"
        )


def _scalars(entry: Mapping[str, Any]) -> dict[str, float]:
    """Give the numbers of an entry by the names of scalars: `loss`, `loss_by_source/slake`, ..."""
    values = {name.replace(".", "/"): value for name, value in flatten(entry).items() if name != "step"}
    return {name: value for name, value in values.items() if isinstance(value, (int, float))}
