"""Logs a training run: one JSON line per step in `train_log.jsonl`, progress on stderr, TensorBoard if asked for."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

from medmix.curate.config import flatten
from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import SECONDS_BETWEEN_LINES, say
from medmix.curate.shards import write_text

LOG_NAME = "train_log.jsonl"

RECENT_STEPS = 20
"""Speed and remaining time are shown as of this many last steps."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the entries of a log; ignores an unfinished last line, which a killed run can leave."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


class MetricsLogger:
    """The log of a run that has done `step` of `last_step` steps; a context manager.

    Entries of later steps, left by a killed run, are removed. With `progress_bar` progress is a bar on stderr, else a
    line every `SECONDS_BETWEEN_LINES`. With `tensorboard` scalars are written there as well. Without a path nothing
    is written or printed, only counted.

    Raises:
        UsageError: `tensorboard` is set but TensorBoard is not installed.
        WorkError: the log cannot be read or written.
    """

    def __init__(
        self, path: Path | None, step: int, last_step: int, progress_bar: bool = False, tensorboard: bool = False
    ) -> None:
        self.path, self.step, self.last_step = path, step, last_step
        self.first_loss: float | None = None
        self.last_loss: float | None = None
        self.seconds = 0.0
        self._recent: list[Mapping[str, Any]] = []
        if path:
            self._truncate(path)
        self._writer = _summary_writer(path.parent / "tensorboard", step) if path and tensorboard else None
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
        for target in (self._file, self._writer):
            if target:
                target.close()

    def log(self, entry: dict[str, Any]) -> None:
        """Log one step; required are `step`, `loss`, `loss_by_source`, `tokens`, `records` and `seconds`.

        Raises:
            WorkError: the log cannot be written.
        """
        self._count(entry)
        self._recent = [*self._recent[1 - RECENT_STEPS :], entry]
        if not self.path:
            return
        try:
            print(json.dumps(entry), file=self._file)
        except OSError as error:
            raise self._failed(error) from None
        if self._writer:
            for name, value in _scalars(entry).items():
                self._writer.add_scalar(name, value, self.step)
        self._bar.set_postfix_str(self._status(), refresh=False)
        self._bar.update()
        now = time.monotonic()
        if self._bar.disable and (now - self._last_line >= SECONDS_BETWEEN_LINES or self.step == self.last_step):
            self._last_line = now
            say(f"train: step {self.step} of {self.last_step}, {self._status()}, {self._time_left()} left")

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
        parts = [
            f"loss {last['loss']:.3f}",
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
            entries = [entry for entry in read_log(path) if entry["step"] <= self.step] if self.step else []
            write_text(path, "".join(f"{json.dumps(entry)}\n" for entry in entries))
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        for entry in entries:
            self._count(entry)

    def _failed(self, error: Exception) -> WorkError:
        return WorkError(
            f"{self.path} cannot be read or written ({error}); repair that and type the same command again"
        )


def _summary_writer(folder: Path, step: int) -> Any:
    if find_spec("tensorboard") is None:
        raise UsageError("run.tensorboard: TensorBoard is not installed; type: pip install 'medmix[tensorboard]'")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)


def _scalars(entry: Mapping[str, Any]) -> dict[str, float]:
    """Give the numbers of an entry by TensorBoard's names: `loss`, `loss_by_source/slake`, ..."""
    values = {name.replace(".", "/"): value for name, value in flatten(entry).items() if name != "step"}
    return {name: value for name, value in values.items() if isinstance(value, (int, float))}
