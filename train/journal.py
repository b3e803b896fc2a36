"""What a training run says: one JSON line a step in `train_log.jsonl`, and its progress on stderr."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

from medmix.curate.errors import WorkError
from medmix.curate.progress import SECONDS_BETWEEN_LINES, say
from medmix.curate.shards import replacing


class Journal:
    """The log of a run that has done `step` of `last_step` steps; a context manager.

    Lines of later steps, which a killed run leaves behind, are removed. With `bar` progress is a bar on
    stderr, else a line every `SECONDS_BETWEEN_LINES`.

    Raises:
        WorkError: the log cannot be read or written.
    """

    def __init__(self, path: Path, step: int, last_step: int, bar: bool) -> None:
        self.path, self.step, self.last_step = path, step, last_step
        self.first_loss: float | None = None
        self.last_loss: float | None = None
        self.seconds = 0.0
        try:
            self._drop_later_lines()
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        self._bar = tqdm(total=last_step, initial=step, desc="train", disable=not bar)
        self._with_bar = bar
        self._file: TextIO | None = None
        self._reported = time.monotonic()

    def __enter__(self) -> "Journal":
        self._file = self.path.open("a", encoding="utf-8", buffering=1)  # a line reaches the disk when it is whole
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._file:
            self._file.close()

    def write(self, entry: dict[str, Any]) -> None:
        """Log one step; the entry has at least `step`, `loss` and `seconds`.

        Raises:
            WorkError: the log cannot be written.
        """
        try:
            print(json.dumps(entry), file=self._file)
        except OSError as error:
            raise self._failed(error) from None
        self._count(entry)
        self._bar.set_postfix(loss=f"{entry['loss']:.3f}", refresh=False)
        self._bar.update()
        now = time.monotonic()
        if not self._with_bar and (now - self._reported >= SECONDS_BETWEEN_LINES or self.step == self.last_step):
            self._reported = now
            say(f"train: step {self.step} of {self.last_step}, loss {entry['loss']:.3f}")

    def summary(self) -> dict[str, Any]:
        """Give `steps`, `first_loss`, `last_loss` and `seconds` over all starts of the run."""
        return {
            "steps": self.step,
            "first_loss": self.first_loss,
            "last_loss": self.last_loss,
            "seconds": round(self.seconds, 3),
        }

    def _count(self, entry: dict[str, Any]) -> None:
        self.step = entry["step"]
        self.first_loss = entry["loss"] if self.first_loss is None else self.first_loss
        self.last_loss = entry["loss"]
        self.seconds += entry["seconds"]

    def _drop_later_lines(self) -> None:
        done = self.step
        with replacing(self.path) as temporary, temporary.open("w", encoding="utf-8") as kept:
            for line in self._lines() if done else []:
                entry = json.loads(line)
                if entry["step"] > done:
                    break
                self._count(entry)
                kept.write(line)
        self.step = done

    def _lines(self) -> list[str]:
        """Give the whole lines of the log; a killed run can leave the last one torn."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [line for line in lines if line.endswith("\n")]

    def _failed(self, error: Exception) -> WorkError:
        return WorkError(
            f"{self.path} cannot be read or written ({error}); repair that and type the same command again"
        )
