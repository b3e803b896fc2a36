from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from medmix.curate.errors import WorkError
from medmix.train.data.batches import Step
from medmix.train.estimate import Flops
from medmix.train.run import step_reporter
from medmix.train.run.metrics_logger import MetricsLogger
from medmix.train.run.step import PendingStep, StepMetrics
from medmix.train.run.step_reporter import StepReporter

FLOPS = Flops(token=2.0, squared_token=0.0, answer_token=0.0, image=0.0, recompute_factor=1.0)
STEP = Step((), ("a", "b"), {"s": 4}, tokens=50, squared_tokens=2500, computed_tokens=100, images=0)


def pending(waited: list[str], name: str, error: Exception | None = None) -> PendingStep:
    def wait() -> StepMetrics:
        waited.append(name)
        if error:
            raise error
        return StepMetrics(1.5, {"s": 1.5}, 2.0)

    return cast(PendingStep, SimpleNamespace(wait=wait, step=STEP))


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(step_reporter.devices, "peak_memory_gib", lambda device: 3.0)
    return lambda kind: StepReporter(MetricsLogger(None, 0, 9), torch.device(kind), FLOPS, peak_flops=1000.0)


def test_on_a_gpu_a_step_is_logged_when_the_next_is_queued(reports: Any) -> None:
    waited: list[str] = []
    reporter = reports("cuda")
    reporter.add(pending(waited, "first"), step=1)
    assert waited == []
    reporter.add(pending(waited, "second"), step=2)
    assert (waited, reporter.logger.step) == (["first"], 1)
    reporter.flush()
    assert (waited, reporter.logger.step) == (["first", "second"], 2)


def test_on_a_cpu_a_step_is_logged_at_once(reports: Any) -> None:
    reporter = reports("cpu")
    reporter.add(pending([], "first"), step=1, epoch=0.5)
    (entry,) = reporter.logger._recent
    assert (entry["step"], entry["epoch"], entry["loss"], entry["packing_efficiency"]) == (1, 0.5, 1.5, 0.5)
    assert entry["mfu"] == pytest.approx(2 * 50 / (entry["seconds"] * 1000))


def test_a_stop_request_is_known_when_its_step_is_logged(reports: Any) -> None:
    reporter = reports("cuda")
    request = SimpleNamespace(wait=lambda: StepMetrics(1.5, {"s": 1.5}, 2.0, stop_status=143), step=STEP)
    reporter.add(cast(PendingStep, request), step=1)
    assert reporter.stop_status == 0
    reporter.add(pending([], "next"), step=2)
    assert reporter.stop_status == 143


def test_a_failed_step_raises_before_a_checkpoint(reports: Any) -> None:
    reporter = reports("cuda")
    reporter.add(pending([], "wrong", WorkError("the loss is not finite for a")), step=1)
    with pytest.raises(WorkError, match="not finite for a"):
        reporter.flush()
