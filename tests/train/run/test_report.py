from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from medmix.curate.errors import WorkError
from medmix.train.arithmetic import Costs
from medmix.train.data.batches import Step
from medmix.train.run import report
from medmix.train.run.journal import Journal
from medmix.train.run.report import Report
from medmix.train.run.step import Launched, Outcome

COSTS = Costs(token=2.0, square=0.0, answer=0.0, image=0.0, again=1.0)
STEP = Step((), ("a", "b"), {"s": 4}, tokens=50, squares=2500, positions=100, images=0)


def launched(asked: list[str], name: str, error: Exception | None = None) -> Launched:
    def read() -> Outcome:
        asked.append(name)
        if error:
            raise error
        return Outcome(1.5, {"s": 1.5}, 2.0)

    return cast(Launched, SimpleNamespace(read=read, step=STEP))


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(report.devices, "used", lambda device: 3.0)
    return lambda kind: Report(Journal(None, 0, 9), torch.device(kind), COSTS, peak=1000.0)


def test_on_a_gpu_a_step_is_read_when_the_next_is_handed_over(reports: Any) -> None:
    asked: list[str] = []
    behind = reports("cuda")
    behind.add(launched(asked, "first"), step=1)
    assert asked == []
    behind.add(launched(asked, "second"), step=2)
    assert (asked, behind.journal.step) == (["first"], 1)
    behind.finish()
    assert (asked, behind.journal.step) == (["first", "second"], 2)


def test_on_a_cpu_it_is_read_at_once_and_told_whole(reports: Any) -> None:
    at_once = reports("cpu")
    at_once.add(launched([], "first"), step=1, epoch=0.5)
    (entry,) = at_once.journal._recent
    assert (entry["step"], entry["epoch"], entry["loss"], entry["token_use"]) == (1, 0.5, 1.5, 0.5)
    assert entry["mfu"] == pytest.approx(2 * 50 / (entry["seconds"] * 1000))


def test_the_wish_to_stop_is_known_when_its_step_is_read(reports: Any) -> None:
    behind = reports("cuda")
    wish = SimpleNamespace(read=lambda: Outcome(1.5, {"s": 1.5}, 2.0, stop=True), step=STEP)
    behind.add(cast(Launched, wish), step=1)
    assert not behind.stop
    behind.add(launched([], "next"), step=2)
    assert behind.stop


def test_a_step_that_went_wrong_is_told_before_a_checkpoint(reports: Any) -> None:
    behind = reports("cuda")
    behind.add(launched([], "wrong", WorkError("the loss is not finite for a")), step=1)
    with pytest.raises(WorkError, match="not finite for a"):
        behind.finish()
