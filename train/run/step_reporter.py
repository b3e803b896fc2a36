"""Logs the metrics of each step without making the device wait."""

import time
from collections import deque
from typing import Any

import torch

from .. import device as devices
from ..estimate import Flops
from .metrics_logger import MetricsLogger
from .step import PendingStep


class StepReporter:
    """Waits for steps and logs them; on a GPU one step late, so that the device already works on the next one.

    `peak_flops` is that of all ranks together. `stop_status` is the exit status of a stop that a rank was asked for
    in a step logged so far, 0 if none.
    """

    def __init__(self, logger: MetricsLogger, device: torch.device, flops: Flops, peak_flops: float) -> None:
        self.logger, self.device, self.flops, self.peak_flops = logger, device, flops, peak_flops
        self.stop_status = 0
        self._delay = 1 if device.type == "cuda" else 0
        self._pending: deque[tuple[PendingStep, dict[str, Any]]] = deque()
        self.start_timer()

    def start_timer(self) -> None:
        """Measure the next step's seconds from now on."""
        self._since = time.monotonic()

    def add(self, pending: PendingStep, **entry: Any) -> None:
        """Add a step, and log those that are due.

        Raises:
            WorkError: as `PendingStep.wait` and `MetricsLogger.log`.
        """
        self._pending.append((pending, entry))
        self._log_all_but(self._delay)

    def flush(self) -> None:
        """Log all steps.

        Raises:
            WorkError: as `add`.
        """
        self._log_all_but(0)

    def _log_all_but(self, count: int) -> None:
        while len(self._pending) > count:
            pending, entry = self._pending.popleft()
            metrics, step = pending.wait(), pending.step
            self.stop_status = max(self.stop_status, metrics.stop_status)
            now = time.monotonic()
            seconds, self._since = now - self._since, now
            self.logger.log(
                {
                    **entry,
                    "loss": metrics.loss,
                    "loss_by_source": metrics.loss_by_source,
                    "grad_norm": metrics.grad_norm,
                    "records": len(step.ids),
                    "tokens": step.tokens,
                    "packing_efficiency": step.tokens / step.computed_tokens,
                    "answer_tokens": step.answer_tokens,
                    "images": step.images,
                    "mfu": self.flops.of(step) / (seconds * self.peak_flops),
                    "memory_gib": devices.peak_memory_gib(self.device),
                    "seconds": seconds,
                }
            )
