"""Runs that go on with other settings: a checkpoint's history, and the command past a loss that is not finite."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from medmix.cli import main
from medmix.curate.errors import UsageError, WorkError
from medmix.train.data import batches, collate
from medmix.train.run import checkpoint, loop
from medmix.train.run.state import find_checkpoint

from ..conftest import TINY, tiny_recipe
from .test_loop import killed, same, stop_at

FOUR = ("run.steps=4", "run.checkpoint_every=2")


def entries(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "train_log.jsonl").read_text().splitlines()]


def test_changed_settings_are_recorded(mix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    loop.train(mix, tiny_recipe(*FOUR), run, False)
    changed = (
        "run.steps=6",
        "optim.lr=0.001",
        "run.pack_tokens=256",
        "run.precision=bf16",
        "run.gradient_checkpointing=true",
    )
    loop.train(mix, tiny_recipe("run.checkpoint_every=1", *changed), run, False)
    expected = [
        {"step": 4, "key": "optim.lr", "before": 0.003, "after": 0.001},
        {"step": 4, "key": "run.steps", "before": 4, "after": 6},
        {"step": 4, "key": "run.pack_tokens", "before": 512, "after": 256},
        {"step": 4, "key": "run.precision", "before": "fp32", "after": "bf16"},
        {"step": 4, "key": "run.gradient_checkpointing", "before": False, "after": True},
    ]
    assert checkpoint.read(find_checkpoint(run))[1].history == expected
    assert "changed since step 4: optim.lr was 0.003, is 0.001; run.steps was 4, is 6; " in capsys.readouterr().err
    assert [entry["step"] for entry in entries(run)] == [1, 2, 3, 4, 5, 6]
    assert entries(run)[4]["learning_rate"] < 0.001
    loop.train(mix, tiny_recipe("run.steps=7", *changed[1:]), run, False)
    assert checkpoint.read(find_checkpoint(run))[1].history == [
        *expected, {"step": 6, "key": "run.steps", "before": 6, "after": 7},
    ]  # fmt: skip
    card = (find_checkpoint(run) / "README.md").read_text()
    assert "| changed at step 4 | `optim.lr` from `0.003` to `0.001` |" in card
    assert "| changed at step 6 | `run.steps` from `6` to `7` |" in card


def test_fewer_steps_than_are_done(mix: Path, tmp_path: Path) -> None:
    loop.train(mix, tiny_recipe(*FOUR), tmp_path / "run", False)
    with pytest.raises(UsageError, match="4 steps are done, more than the 3 of this recipe; raise them"):
        loop.train(mix, tiny_recipe("run.steps=3"), tmp_path / "run", False)


def test_a_checkpoint_of_an_earlier_version_resumes(mix: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop.train(mix, tiny_recipe(*FOUR), run, False)
    folder = find_checkpoint(run)
    state = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(
        json.dumps({key: state[key] for key in ("step", "records", "mix", "mix_digest", "sources", "versions")})
    )
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    former = (
        "epochs", "steps", "global_batch_size", "pack_tokens", "micro_batch_size", "precision", "compile", "workers",
        "gradient_checkpointing", "parallel", "require_gpu", "tensorboard", "checkpoint_every", "keep_checkpoints",
    )  # fmt: skip
    recipe["run"] = {key: recipe["run"][key] for key in former}
    del recipe["skip_records"]
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert loop.train(mix, tiny_recipe("run.steps=5"), run, False)["steps"] == 5
    assert [change["key"] for change in checkpoint.read(find_checkpoint(run))[1].history] == ["run.steps"]


@pytest.fixture
def broken_picture(monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a record whose pixels are not finite, of the fourth step."""
    name = "pictures/train-4"

    def planted(record: dict[str, Any], vision: Any) -> list[torch.Tensor]:
        factor = float("nan") if record["id"] == name else 1.0
        return [image * factor for image in collate.pixels(record, vision)]

    monkeypatch.setattr(batches, "raw_pixels", planted)
    return name


def test_the_command_past_a_loss_that_is_not_finite(
    mix: Path, tmp_path: Path, broken_picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    settings = [word for override in (*TINY, "run.steps=8", "run.checkpoint_every=1") for word in ("--set", override)]
    with pytest.raises(SystemExit) as stop:
        main(["train", "--mixture", str(mix), "--recipe", "smoke-cpu", "--out", str(run), *settings])
    assert stop.value.code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    start, _, command = line.partition("; go on without what is to blame: ")
    assert start == f"medmix: error: the loss is not finite for {broken_picture}"
    done = len(checkpoint.list_checkpoints(run)) and checkpoint.read(find_checkpoint(run))[1].step
    assert 0 < done < 5

    with pytest.raises(SystemExit) as stop:
        main(shlex.split(command)[1:])
    assert stop.value.code == 0
    log = entries(run)
    assert [entry["step"] for entry in log] == [*range(1, 9)]
    assert [entry["records"] for entry in log].count(7) == 2  # the record comes again in the second epoch
    assert log[done]["records"] == 7  # the step that failed has all others
    state = checkpoint.read(find_checkpoint(run))[1]
    assert state.history == [{"step": done, "key": "skip_records", "before": [], "after": [broken_picture]}]
    assert state.records == 64


def test_a_skipped_record_leaves_all_others_where_they_are(
    mix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (
        "run.steps=6", "run.checkpoint_every=2", "lora.dropout=0.2", "skip_records=[colours/train-1, texts/train-7]",
    )  # fmt: skip
    loop.train(mix, tiny_recipe(*settings), tmp_path / "whole", False)
    with monkeypatch.context() as patch:
        stop_at(4, patch, killed)
        with pytest.raises(MemoryError):
            loop.train(mix, tiny_recipe(*settings), tmp_path / "run", False)
    loop.train(mix, tiny_recipe(*settings), tmp_path / "run", False)
    assert same(tmp_path / "run", tmp_path / "whole")
    loop.train(mix, tiny_recipe("run.steps=6"), tmp_path / "all", False)
    missing = [8 - entry["records"] for entry in entries(tmp_path / "whole")]
    assert missing == [1, 0, 0, 0, 1, 1]  # one of them comes again in the second epoch
    for mine, theirs, gone in zip(entries(tmp_path / "whole"), entries(tmp_path / "all"), missing, strict=True):
        assert mine["epoch"] == theirs["epoch"]
        assert (mine["tokens"] == theirs["tokens"]) == (gone == 0)


def test_a_step_without_records(mix: Path, tmp_path: Path) -> None:
    every_third = ", ".join(f"texts/train-{number}" for number in range(12))
    settings = ("run.steps=6", "run.global_batch_size=1", "run.checkpoint_every=1", f"skip_records=[{every_third}]")
    loop.train(mix, tiny_recipe(*settings), tmp_path / "run", False)
    assert len(entries(tmp_path / "run")) == 4
    assert checkpoint.read(find_checkpoint(tmp_path / "run"))[1].step == 6


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ((), "run.gradient_checkpointing=true"),
        (("run.gradient_checkpointing=true",), "run.pack_tokens=256"),
        (
            ("run.gradient_checkpointing=true", "run.pack_tokens=null", "run.micro_batch_size=4"),
            "run.micro_batch_size=2",
        ),
    ],
)
def test_the_command_past_a_full_memory(
    mix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...], change: str
) -> None:
    run, ours, done = tmp_path / "run", loop.train_step, []

    def full(*arguments: Any) -> Any:
        done.append(1)
        if len(done) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")
        return ours(*arguments)

    monkeypatch.setattr(loop, "train_step", full)
    recipe = tiny_recipe("run.steps=6", "run.checkpoint_every=2", *settings)
    with pytest.raises(WorkError) as caught:
        loop.train(mix, recipe, run, False)
    message, _, command = str(caught.value).partition("; go on with less memory: ")
    assert message == f"{run}: CUDA out of memory. Tried to allocate 2.00 GiB."
    assert shlex.split(command)[-2:] == ["--set", change]
    assert loop.train(mix, tiny_recipe("run.steps=6", *settings, change), run, False)["steps"] == 6
