"""What a training run says: one JSON line a step in `train_log.jsonl`, and its progress on stderr."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import SECONDS_BETWEEN_LINES, say
from medmix.curate.shards import replacing

SHOWN = 20
"""So many last steps make the speed and the time to go that are shown."""


class Journal:
    """The log of a run that has done `step` of `last_step` steps; a context manager.

    Lines of later steps, which a killed run leaves behind, are removed. With `bar` progress is a bar on
    stderr, else a line every `SECONDS_BETWEEN_LINES`. With `tensorboard` scalars go there as well. Without
    a path nothing is written or said, only counted.

    Raises:
        UsageError: TensorBoard is asked for and not installed.
        WorkError: the log cannot be read or written.
    """

    def __init__(
        self, path: Path | None, step: int, last_step: int, bar: bool = False, tensorboard: bool = False
    ) -> None:
        self.path, self.step, self.last_step = path, step, last_step
        self.first_loss: float | None = None
        self.last_loss: float | None = None
        self.seconds = 0.0
        self._recent: list[Mapping[str, Any]] = []
        if path:
            try:
                self._drop_later_lines(path)
            except (OSError, ValueError) as error:
                raise self._failed(error) from None
        self._board = _board(path.parent / "tensorboard", step) if path and tensorboard else None
        self._bar = tqdm(total=last_step, initial=step, desc="train", disable=not (bar and path))
        self._with_bar = bar
        self._file: TextIO | None = None
        self._reported = time.monotonic()

    def __enter__(self) -> "Journal":
        if self.path:  # a line reaches the disk when it is whole
            self._file = self.path.open("a", encoding="utf-8", buffering=1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        for open_ in (self._file, self._board):
            if open_:
                open_.close()

    def write(self, entry: dict[str, Any]) -> None:
        """Log one step; the entry has at least `step`, `loss`, `losses`, `tokens`, `records` and `seconds`.

        Raises:
            WorkError: the log cannot be written.
        """
        self._count(entry)
        self._recent = [*self._recent[1 - SHOWN :], entry]
        if not self.path:
            return
        try:
            print(json.dumps(entry), file=self._file)
        except OSError as error:
            raise self._failed(error) from None
        if self._board:
            for name, value in _scalars(entry):
                self._board.add_scalar(name, value, self.step)
        self._bar.set_postfix_str(self._state(), refresh=False)
        self._bar.update()
        now = time.monotonic()
        if not self._with_bar and (now - self._reported >= SECONDS_BETWEEN_LINES or self.step == self.last_step):
            self._reported = now
            say(f"train: step {self.step} of {self.last_step}, {self._state()}, {self._to_go()} to go")

    def summary(self) -> dict[str, Any]:
        """Give `steps`, `first_loss`, `last_loss` and `seconds` over all starts of the run."""
        return {
            "steps": self.step,
            "first_loss": self.first_loss,
            "last_loss": self.last_loss,
            "seconds": round(self.seconds, 3),
        }

    def _state(self) -> str:
        """Say loss, speed, use of the device and its memory, as of the last steps."""
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

    def _to_go(self) -> str:
        seconds = (self.last_step - self.step) * self._recent_seconds() / len(self._recent)
        return str(timedelta(seconds=round(seconds)))

    def _recent_seconds(self) -> float:
        return max(sum(entry["seconds"] for entry in self._recent), 1e-9)

    def _count(self, entry: dict[str, Any]) -> None:
        self.step = entry["step"]
        self.first_loss = entry["loss"] if self.first_loss is None else self.first_loss
        self.last_loss = entry["loss"]
        self.seconds += entry["seconds"]

    def _drop_later_lines(self, path: Path) -> None:
        done = self.step
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as kept:
            for line in _whole_lines(path) if done else []:
                entry = json.loads(line)
                if entry["step"] > done:
                    break
                self._count(entry)
                kept.write(line)
        self.step = done

    def _failed(self, error: Exception) -> WorkError:
        return WorkError(
            f"{self.path} cannot be read or written ({error}); repair that and type the same command again"
        )


def _whole_lines(path: Path) -> list[str]:
    """Give the whole lines of a log; a killed run can leave the last one torn."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def _board(folder: Path, step: int) -> Any:
    if find_spec("tensorboard") is None:
        raise UsageError("run.tensorboard: TensorBoard is not installed; type: pip install 'medmix[tensorboard]'")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)


def _scalars(entry: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Flatten an entry: `loss`, `losses/slake`, ..."""
    flat: list[tuple[str, float]] = []
    for name, value in entry.items():
        if isinstance(value, Mapping):
            flat += [(f"{name}/{key}", number) for key, number in value.items()]
        elif isinstance(value, (int, float)) and name != "step":
            flat.append((name, value))
    return flat
