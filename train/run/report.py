"""What each step did, from the device to the journal, without making the device wait."""

import time
from collections import deque
from typing import Any

import torch

from .. import device as devices
from ..arithmetic import Costs
from .journal import Journal
from .step import Launched


class Report:
    """Reads steps when they are done and logs them; on a GPU one stays behind, so that the next is handed over first.

    `peak` is the FLOP/s of all ranks together. `stop` tells whether a rank was asked to stop in a step that was read.
    """

    def __init__(self, journal: Journal, device: torch.device, costs: Costs, peak: float) -> None:
        self.journal, self.device, self.costs, self.peak = journal, device, costs, peak
        self.stop = False
        self._behind = 1 if device.type == "cuda" else 0
        self._waiting: deque[tuple[Launched, dict[str, Any]]] = deque()
        self.start()

    def start(self) -> None:
        """Count the next step's seconds from now on."""
        self._since = time.monotonic()

    def add(self, launched: Launched, **entry: Any) -> None:
        """Take in a step, and log those that are due.

        Raises:
            WorkError: as `Launched.read` and `Journal.write`.
        """
        self._waiting.append((launched, entry))
        self._log_down_to(self._behind)

    def finish(self) -> None:
        """Log all steps.

        Raises:
            WorkError: as `add`.
        """
        self._log_down_to(0)

    def _log_down_to(self, left: int) -> None:
        while len(self._waiting) > left:
            launched, entry = self._waiting.popleft()
            outcome, work = launched.read(), launched.step
            self.stop = self.stop or outcome.stop
            now = time.monotonic()
            seconds, self._since = now - self._since, now
            self.journal.write(
                {
                    **entry,
                    "loss": outcome.loss,
                    "losses": outcome.losses,
                    "gradient_norm": outcome.gradient_norm,
                    "records": len(work.ids),
                    "tokens": work.tokens,
                    "token_use": work.tokens / work.positions,
                    "answer_tokens": work.answer_tokens,
                    "images": work.images,
                    "mfu": self.costs.of_step(work) / (seconds * self.peak),
                    "memory_gib": devices.used(self.device),
                    "seconds": seconds,
                }
            )
