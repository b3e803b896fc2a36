import json
from pathlib import Path
from typing import Any

import pytest

from medmix.curate.errors import UsageError
from medmix.train.run import metrics_logger, scalar_loggers
from medmix.train.run.metrics_logger import MetricsLogger
from medmix.train.run.scalar_loggers import TensorBoard, open_loggers

from ..conftest import tiny_recipe


def entry(step: int, **more: Any) -> dict[str, Any]:
    return {
        "step": step,
        "loss": 2.0,
        "loss_by_source": {"s": 2.0},
        "tokens": 300,
        "records": 6,
        "seconds": 0.5,
        **more,
    }


def test_a_line_has_loss_speed_mfu_memory_and_time_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_logger, "SECONDS_BETWEEN_LINES", 0.0)
    with MetricsLogger(tmp_path / "log.jsonl", 0, 200) as log:
        log.log(entry(1, mfu=0.3, memory_gib=12.34))
        log.log(entry(2, mfu=0.5, memory_gib=12.34))
    assert capsys.readouterr().err.splitlines()[-1] == (
        "train: step 2 of 200, loss 2.000, 600 tokens/s, 12.0 samples/s, MFU 40.0%, 12.3 GiB, 0:01:39 left"
    )
    assert [json.loads(line)["mfu"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [0.3, 0.5]


def test_a_rank_without_a_log_counts_and_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with MetricsLogger(None, 0, 1) as log:
        log.log(entry(1))
    assert log.summary() == {"steps": 1, "first_loss": 2.0, "last_loss": 2.0, "seconds": 0.5}
    assert capsys.readouterr().err == ""


def test_tensorboard_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalar_loggers, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"TensorBoard is not installed; type: pip install 'medmix\[tensorboard\]'"):
        open_loggers(tiny_recipe("run.tensorboard=true"), tmp_path, 0)


def test_scalars_have_a_name_for_each_source() -> None:
    flat = dict(metrics_logger._scalars(entry(1, loss_by_source={"slake": 1.0, "roco": 3.0}, mfu=None)))
    assert flat == {
        "loss": 2.0,
        "loss_by_source/slake": 1.0,
        "loss_by_source/roco": 3.0,
        "tokens": 300,
        "records": 6,
        "seconds": 0.5,
    }


def test_tensorboard_has_what_the_log_has_also_after_a_break(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = tmp_path / "log.jsonl"
    with MetricsLogger(log, 0, 4, loggers=[TensorBoard(tmp_path / "tensorboard", 0)]) as first:
        for step in (1, 2, 3):
            first.log(entry(step, loss=float(step)))
    with MetricsLogger(
        log, 2, 4, loggers=[TensorBoard(tmp_path / "tensorboard", 2)]
    ) as second:  # the third step was lost with a kill
        for step in (3, 4):
            second.log(entry(step, loss=10.0 * step, loss_by_source={"slake": 1.5}))
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    scalars = [(event.step, event.value) for event in events.Scalars("loss")]
    assert scalars == [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)]
    assert [event.value for event in events.Scalars("loss_by_source/slake")] == [1.5, 1.5]
    assert [json.loads(line)["loss"] for line in log.read_text().splitlines()] == [1.0, 2.0, 30.0, 40.0]
