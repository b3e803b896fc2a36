"""The held-out loss of a run: it changes nothing, every reader of the log copes with it, the best checkpoint stays."""

from pathlib import Path
from typing import Any

import pytest
import torch

from medmix.cli import main
from medmix.curate.errors import UsageError
from medmix.train.data import stream
from medmix.train.data.batches import StepBuilder
from medmix.train.data.render import Renderer
from medmix.train.run import checkpoint, loop
from medmix.train.run.held_out import HeldOut, choose_positions
from medmix.train.run.metrics_logger import read_held_out, read_log
from medmix.train.run.ranks import Ranks
from medmix.train.run.state import best_checkpoint, find_checkpoint

from ..conftest import TINY, records, tiny_recipe, write_mix
from .test_loop import killed, stop_at, weights

SIX = ("run.steps=6", "run.checkpoint_every=2", "lora.dropout=0.2")
EVALUATED = (*SIX, "run.evaluate_every=3", "run.evaluate_records=5")


@pytest.fixture(scope="module")
def mix(once) -> Path:
    """A mix of 36 training and 24 validation records from three sources."""
    splits = {"train": records(12, "train"), "validation": records(8, "validation")}
    return once("with-validation", lambda folder: write_mix(folder, splits))


@pytest.fixture(scope="module")
def evaluated(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "evaluated"
    loop.train(mix, tiny_recipe(*EVALUATED), run, False)
    return run


def held_out(run: Path) -> list[dict[str, Any]]:
    """Give the measurements without their seconds."""
    found = read_held_out(run / "train_log.jsonl")
    return [{key: value for key, value in entry.items() if key != "held_out_seconds"} for entry in found]


def measured(run: Path, mix: Path, *overrides: str) -> dict[str, Any]:
    """Measure the held-out loss of a run's last checkpoint."""
    loaded = checkpoint.load(find_checkpoint(run))
    recipe = tiny_recipe(*EVALUATED, *overrides)
    renderer = Renderer(loaded.tokenizer, recipe.text, loaded.model.image_tokens, recipe.vision.max_images)
    split = stream.open_split(mix, "validation")
    return HeldOut(split, recipe, renderer, Ranks(0, 1, torch.device("cpu"))).measure(loaded.model)


def test_it_is_measured_every_few_steps_and_changes_nothing(mix: Path, evaluated: Path, tmp_path: Path) -> None:
    assert [entry["step"] for entry in held_out(evaluated)] == [3, 6]
    assert {entry["held_out_records"] for entry in held_out(evaluated)} == {15}
    loop.train(mix, tiny_recipe(*SIX), tmp_path / "run", False)
    mine, theirs = weights(evaluated), weights(tmp_path / "run")
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    for key in ("loss", "grad_norm", "tokens"):
        logs = [[entry[key] for entry in read_log(run / "train_log.jsonl")] for run in (evaluated, tmp_path / "run")]
        assert logs[0] == logs[1]
    assert held_out(tmp_path / "run") == []


def test_it_is_the_loss_of_the_chosen_records(mix: Path, evaluated: Path) -> None:
    last = held_out(evaluated)[-1]
    for rows in ((), ("run.pack_tokens=null", "run.micro_batch_size=2"), ("run.global_batch_size=3",)):
        found = measured(evaluated, mix, *rows)
        assert found["held_out_loss"] == pytest.approx(last["held_out_loss"], rel=1e-5)
        assert found["held_out_loss_by_source"] == pytest.approx(last["held_out_loss_by_source"], rel=1e-5)
    loaded = checkpoint.load(find_checkpoint(evaluated))
    split, recipe = stream.open_split(mix, "validation"), tiny_recipe(*EVALUATED, "run.global_batch_size=1")
    renderer = Renderer(loaded.tokenizer, recipe.text, loaded.model.image_tokens, recipe.vision.max_images)
    total, answers = 0.0, 0
    for step in StepBuilder(split, recipe, renderer).steps_at(choose_positions(split, 5)):
        total += float(loaded.model(step.batches[0]).detach().sum())
        answers += step.answer_tokens
    assert last["held_out_loss"] == pytest.approx(total / answers, rel=1e-5)


def test_ranks_share_the_records(mix: Path, evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, recipe = checkpoint.load(find_checkpoint(evaluated)), tiny_recipe(*EVALUATED)
    renderer = Renderer(loaded.tokenizer, recipe.text, loaded.model.image_tokens, recipe.vision.max_images)
    split, parts = stream.open_split(mix, "validation"), []
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda values: None)
    for rank in range(2):
        part = HeldOut(split, recipe, renderer, Ranks(rank, 2, torch.device("cpu"))).measure(loaded.model)
        parts.append(part["held_out_loss"])
    whole = held_out(evaluated)[-1]["held_out_loss"]
    assert sum(parts) == pytest.approx(whole, rel=1e-5)
    assert 0 < min(parts) < whole


def test_the_records_are_spaced_evenly(mix: Path) -> None:
    split = stream.open_split(mix, "validation")
    assert [tuple(position) for position in choose_positions(split, 3)][:3] == [(0, 0, 0), (0, 0, 2), (1, 0, 1)]
    assert len(choose_positions(split, 100)) == 24


def test_a_killed_run_resumes_with_the_same_log(
    mix: Path, evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(4, patch, killed)
        with pytest.raises(MemoryError):
            loop.train(mix, tiny_recipe(*EVALUATED), run, False)
    assert [entry["step"] for entry in held_out(run)] == [3]  # after the checkpoint of step 2
    loop.train(mix, tiny_recipe(*EVALUATED), run, False)
    assert held_out(run) == held_out(evaluated)
    assert [entry["step"] for entry in read_log(run / "train_log.jsonl")] == [1, 2, 3, 4, 5, 6]


def test_log_card_summary_and_plot(mix: Path, evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = loop.train(mix, tiny_recipe(*EVALUATED), evaluated, False)
    steps = read_log(evaluated / "train_log.jsonl")
    assert (summary["steps"], summary["last_loss"]) == (6, steps[-1]["loss"])
    loss = f"{held_out(evaluated)[-1]['held_out_loss']:.3f}"
    card = (find_checkpoint(evaluated) / "README.md").read_text()
    expected = f"| held-out loss | {loss} nats per answer token after step 6, on 15 records of the validation split |"
    assert expected in card
    before = (evaluated / "loss.png").read_bytes()
    (evaluated / "loss.png").unlink()
    log = evaluated / "train_log.jsonl"
    lines = log.read_text()
    log.write_text("".join(line for line in lines.splitlines(keepends=True) if "held_out_loss" not in line))
    loop.train(mix, tiny_recipe(*EVALUATED), evaluated, False)
    assert (evaluated / "loss.png").read_bytes() != before  # the plot has the held-out loss
    log.write_text(lines)


def test_the_best_checkpoint_stays(mix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 1.0, 2.0, 2.5, 2.5])
    entry = {"held_out_loss_by_source": {}, "held_out_records": 1, "held_out_seconds": 0.0}
    monkeypatch.setattr(HeldOut, "measure", lambda *_: {"held_out_loss": next(losses), **entry})
    settings = ("run.steps=5", "run.checkpoint_every=1", "run.keep_checkpoints=1", "run.evaluate_every=5")
    loop.train(mix, tiny_recipe(*settings, "run.keep=best"), tmp_path / "run", False)
    kept = [path.name for path in checkpoint.list_checkpoints(tmp_path / "run")]
    assert kept == ["step-00000002", "step-00000005"]
    assert best_checkpoint(tmp_path / "run") == tmp_path / "run" / "step-00000002"
    assert find_checkpoint(tmp_path / "run").name == "step-00000005"


def test_a_mix_without_validation_records_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mix = write_mix(tmp_path / "mix", {"train": records(2, "train"), "validation": []})
    settings = [word for override in (*TINY, *EVALUATED) for word in ("--set", override)]
    with pytest.raises(SystemExit) as stop:
        main(["train", "--mixture", str(mix), "--recipe", "smoke-cpu", "--out", str(tmp_path / "run"), *settings])
    assert stop.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == (
        f"medmix: error: run.evaluate_every: {mix} has no validation records; leave it out, or build a mix with "
        "splits.holdout above 0"
    )


def test_the_best_needs_a_held_out_loss() -> None:
    with pytest.raises(UsageError, match=r"run.keep: best needs run.evaluate_every"):
        tiny_recipe("run.keep=best")
