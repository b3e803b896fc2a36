import json
from pathlib import Path

import pytest
from PIL import Image

from medmix.curate.errors import WorkError
from medmix.train.run import loop, plot

from ..conftest import tiny_recipe


def test_a_finished_run_has_its_loss_plotted(mix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tiny_recipe("run.steps=3")
    loop.train(mix, recipe, tmp_path / "run", False)
    path = tmp_path / "run" / "loss.png"
    assert f"the loss is plotted in {path}" in capsys.readouterr().err
    with Image.open(path) as picture:
        assert picture.size == (1200, 720)
        assert len(picture.convert("RGB").resize((120, 72)).getcolors(10_000)) > 10
    path.unlink()  # a kill came between the last checkpoint and the plot
    loop.train(mix, recipe, tmp_path / "run", False)
    assert path.exists()


def test_a_moving_average_begins_with_fewer_values() -> None:
    assert list(plot.moving_average([4.0, 2.0, 0.0, 6.0], 2)) == [4.0, 3.0, 1.0, 3.0]
    assert list(plot.moving_average([], 3)) == []


def test_sources_missing_from_some_steps_are_plotted(tmp_path: Path) -> None:
    entries = [{"step": step, "loss": 1.0, "loss_by_source": {f"s{step % 14}": 1.0}} for step in range(1, 40)]
    log = tmp_path / "train_log.jsonl"
    log.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert plot.plot_losses(log).stat().st_size > 1000


def test_a_disk_without_room_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "train_log.jsonl"
    log.write_text(json.dumps({"step": 1, "loss": 1.0, "loss_by_source": {"s": 1.0}}) + "\n")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plot.Figure, "savefig", full)
    with pytest.raises(WorkError, match=r"loss\.png cannot be written .*No space left"):
        plot.plot_losses(log)
    assert [path.name for path in tmp_path.iterdir()] == ["train_log.jsonl"]
