import io
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor

from medmix.cli import main
from medmix.curate.errors import UsageError, WorkError
from medmix.train.data.collate import to_tensor
from medmix.train.recipe import Recipe
from medmix.train.recipes import load
from medmix.train.run import checkpoint, loop, optim
from medmix.train.run.optim import learning_rate
from medmix.train.run.state import find_checkpoint
from medmix.train.run.step_reporter import StepReporter

from ..conftest import png, records, tiny_recipe, write_mix

Step = Any


def log(run: Path) -> list[str]:
    return (run / "train_log.jsonl").read_text().splitlines()


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in log(run)]


def weights(run: Path) -> dict[str, torch.Tensor]:
    folder = find_checkpoint(run)
    files = sorted(folder.rglob("*.safetensors"))
    return {f"{file.relative_to(folder)}:{key}": value for file in files for key, value in load_file(file).items()}


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return losses(one) == losses(other) and a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    """Do something just before the given step of the next run."""
    train_step: Step = loop.train_step
    done = 0

    def counted(*args: Any) -> Any:
        nonlocal done
        done += 1
        if done == step:
            action()
        return train_step(*args)

    monkeypatch.setattr(loop, "train_step", counted)


def killed() -> None:
    raise MemoryError


@pytest.fixture(scope="module")
def dropout() -> Recipe:
    """Random numbers in every step, an epoch's end within the run, the last checkpoint not at a round step."""
    return tiny_recipe("run.steps=7", "run.checkpoint_every=2", "lora.dropout=0.2", "optim.warmup_steps=2")


@pytest.fixture(scope="module")
def uninterrupted(mix: Path, dropout: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    loop.train(mix, dropout, run, False)
    return run


@pytest.fixture(scope="module")
def six_steps(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "six"
    loop.train(mix, tiny_recipe("run.steps=6"), run, False)
    return run


def test_the_smoke_recipe_learns_from_the_image(mix: Path, tmp_path: Path) -> None:
    summary = loop.train(mix, load("smoke-cpu", ("run.steps=40",)), tmp_path / "run", False)
    assert summary["steps"] == 40
    assert summary["first_loss"] > 5
    assert summary["last_loss"] < 0.5


def test_the_same_run_twice_is_the_same(mix: Path, dropout: Recipe, uninterrupted: Path, tmp_path: Path) -> None:
    loop.train(mix, dropout, tmp_path / "run", False)
    assert same(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize("step", [1, 2, 4, 7])
def test_a_killed_run_resumes_exactly(
    mix: Path, dropout: Recipe, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(step, patch, killed)
        with pytest.raises(MemoryError):
            loop.train(mix, dropout, run, False)
    with (run / "train_log.jsonl").open("a") as log:
        log.write('{"step": ')  # torn by the kill
    summary = loop.train(mix, dropout, run, False)
    assert same(run, uninterrupted)
    assert (summary["steps"], summary["first_loss"]) == (7, losses(run)[0])


def test_ctrl_c_finishes_the_step(
    mix: Path, dropout: Recipe, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        stop_at(3, patch, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            loop.train(mix, dropout, run, False)
    assert signal.getsignal(signal.SIGINT) is before
    assert find_checkpoint(run).name == "step-00000003"
    loop.train(mix, dropout, run, False)
    assert same(run, uninterrupted)


def test_a_finished_run_says_so(
    mix: Path, dropout: Recipe, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = weights(uninterrupted)
    summary = loop.train(mix, dropout, uninterrupted, False)
    assert f"{uninterrupted}: all 7 steps are done; next: medmix eval {uninterrupted}" in capsys.readouterr().err
    assert summary["steps"] == 7 and summary["last_loss"] == losses(uninterrupted)[-1]
    assert weights(uninterrupted).keys() == before.keys()


@pytest.mark.parametrize(
    "rows",
    [
        ("run.pack_tokens=256",),
        ("run.pack_tokens=null", "run.micro_batch_size=8"),
        ("run.pack_tokens=null", "run.micro_batch_size=3"),
        ("run.gradient_checkpointing=true",),
        ("run.workers=2",),
    ],
)
def test_what_changes_speed_or_memory_does_not_change_the_result(
    mix: Path, six_steps: Path, tmp_path: Path, rows: tuple[str, ...]
) -> None:
    loop.train(mix, tiny_recipe("run.steps=6", *rows), tmp_path / "run", False)
    assert losses(tmp_path / "run") == pytest.approx(losses(six_steps), rel=1e-4)
    per_source = [[json.loads(line)["loss_by_source"] for line in log(run)] for run in (tmp_path / "run", six_steps)]
    assert per_source[0][-1] == pytest.approx(per_source[1][-1], rel=1e-3)
    assert per_source[0][0].keys() == {"colours", "pictures", "texts"}


def test_epochs_see_every_record_as_often(mix: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop.train(mix, tiny_recipe("run.steps=null", "run.epochs=2", "run.global_batch_size=16"), run, False)
    last = json.loads((run / "train_log.jsonl").read_text().splitlines()[-1])
    assert (last["step"], last["epoch"]) == (5, 2.0)  # 72 records, the last step has 8


def test_another_recipe_or_mix_is_refused(mix: Path, dropout: Recipe, uninterrupted: Path, tmp_path: Path) -> None:
    other = replace(dropout, seed=9)
    with pytest.raises(UsageError) as caught:
        loop.train(mix, other, uninterrupted, False)
    assert str(caught.value) == (
        f"{uninterrupted} has a run that differs: seed was 0, is 9; give another --out (with --from {uninterrupted} to "
        "start from its weights), or remove that folder"
    )
    with pytest.raises(
        UsageError,
        match=r"the mix .*small had digest \w{12}, this one has \w{12}: records per epoch: colours was 12, is 3, ",
    ):
        loop.train(write_mix(tmp_path / "mix", {"train": records(3, "train")}), dropout, uninterrupted, False)


def test_a_loss_that_is_not_finite_names_the_batch(
    mix: Path, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optim, "learning_rate", lambda *args: float("nan"))
    names = r"^the loss is not finite for (\w+/train-\d+, ){7}\w+/train-\d+; "
    with pytest.raises(WorkError, match=names + r"go on with half the learning rate: medmix train .* optim.lr=0.0015 "):
        loop.train(mix, tiny, tmp_path / "run", False)


def test_a_full_disk_keeps_the_last_good_checkpoint(
    mix: Path, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    with monkeypatch.context() as patch:

        def full(*args: object) -> None:
            patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
            raise RuntimeError("unexpected pos 128 vs 64")  # as torch says it

        stop_at(4, patch, lambda: patch.setattr(torch, "save", full))
        with pytest.raises(WorkError, match=r"step-00000004 cannot be written: the disk is full; make room and type"):
            loop.train(mix, tiny, run, False)
    assert sorted(path.name for path in run.iterdir()) == ["step-00000002", "train_log.jsonl"]
    assert loop.train(mix, tiny, run, False)["steps"] == 6


def test_the_last_checkpoints_stay(mix: Path, dropout: Recipe, uninterrupted: Path, tmp_path: Path) -> None:
    assert [path.name for path in checkpoint.list_checkpoints(uninterrupted)] == ["step-00000006", "step-00000007"]
    recipe = replace(dropout, run=replace(dropout.run, keep_checkpoints=3))
    loop.train(mix, recipe, tmp_path / "run", False)
    assert [path.name[-1] for path in checkpoint.list_checkpoints(tmp_path / "run")] == ["4", "6", "7"]


def test_a_mix_without_training_records(tmp_path: Path, tiny: Recipe) -> None:
    mix = write_mix(tmp_path / "mix", {"test": records(2, "test")})
    with pytest.raises(UsageError, match=r"mix has no training records; .*medmix build"):
        loop.train(mix, tiny, tmp_path / "run", False)


def test_a_file_in_place_of_the_run(mix: Path, tmp_path: Path, tiny: Recipe) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(UsageError, match="the folder cannot be made"):
        loop.train(mix, tiny, tmp_path / "run", False)


def test_the_learning_rate_warms_up_and_falls() -> None:
    settings = tiny_recipe("optim.lr=1.0", "optim.warmup_steps=4").optim
    assert [learning_rate(settings, step, 12) for step in (0, 1, 3, 4, 8)] == pytest.approx([0.25, 0.5, 1, 1, 0.5])
    assert learning_rate(settings, 11, 12) < 0.05
    constant = tiny_recipe("optim.lr=1.0", "optim.lr_scheduler=constant").optim
    assert learning_rate(constant, 11, 12) == 1.0


def test_a_mix_with_other_text_but_as_many_records_is_refused(mix: Path, tmp_path: Path) -> None:
    rows = records(12, "train")
    one = write_mix(tmp_path / "one", {"train": rows})
    loop.train(one, tiny_recipe("run.steps=1"), tmp_path / "run", False)
    rows[0]["messages"][1]["content"][0]["text"] = "violet"
    other = write_mix(tmp_path / "other", {"train": rows})
    with pytest.raises(UsageError, match=r"had digest \w{12}, this one has \w{12}: as many records of each source;"):
        loop.train(other, tiny_recipe("run.steps=1"), tmp_path / "run", False)


def test_the_files_of_a_checkpoint(mix: Path, uninterrupted: Path, dropout: Recipe) -> None:
    folder = find_checkpoint(uninterrupted)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "README.md", "checkpoint.json", "recipe.yaml", "preprocessor_config.json", "optimizer.pt",
        "tower.safetensors", "projector.safetensors", "language/config.json", "language/weights.safetensors",
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
        "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json",
    }  # fmt: skip
    recipe, state = checkpoint.read(folder)
    assert recipe == dropout
    assert (state.step, state.records, state.sources) == (7, 56, {"colours": 12, "pictures": 12, "texts": 12})
    assert state.versions.keys() == {"medmix", "torch", "transformers", "peft", "timm", "tokenizers"}
    card = (folder / "README.md").read_text()
    assert "| steps | 7 of 8 records, 56 records in all |" in card
    assert (
        f"{losses(uninterrupted)[0]:.3f} nats per answer token in the first step, {losses(uninterrupted)[-1]:.3f}"
        in card
    )
    assert state.mix_digest in card


def test_a_checkpoint_with_a_former_key_names_the_new_one(
    mix: Path, dropout: Recipe, uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    file = find_checkpoint(run) / "recipe.yaml"
    file.write_text(file.read_text().replace("global_batch_size:", "batch:"))
    line = f"{file}: run.batch: is now called 'global_batch_size'; {file}: run.global_batch_size: is missing"
    for use in (lambda: checkpoint.load(run), lambda: loop.train(mix, dropout, run, False)):
        with pytest.raises(UsageError) as caught:
            use()
        assert str(caught.value) == line
    with pytest.raises(SystemExit) as stop:
        main(["export", str(run), "--out", str(tmp_path / "model")])
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"medmix: error: {line}"


def test_the_image_processor_of_a_checkpoint_prepares_pixels_as_training_does(uninterrupted: Path) -> None:
    folder = find_checkpoint(uninterrupted)
    with Image.open(io.BytesIO(png((10, 120, 240), (53, 31)))) as image:
        theirs = AutoImageProcessor.from_pretrained(folder, backend="pil")(image, return_tensors="pt").pixel_values[0]
        assert torch.allclose(theirs, to_tensor(image, checkpoint.read(folder)[0].vision), atol=1e-6)


def test_logging_a_step_late_as_on_a_gpu_changes_nothing(
    mix: Path, dropout: Recipe, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def behind(*arguments: Any) -> StepReporter:
        reporter = StepReporter(*arguments)
        reporter._delay = 1
        return reporter

    run = tmp_path / "run"
    monkeypatch.setattr(loop, "StepReporter", behind)
    with monkeypatch.context() as patch:
        stop_at(5, patch, killed)
        with pytest.raises(MemoryError):
            loop.train(mix, dropout, run, False)
    assert [json.loads(line)["step"] for line in log(run)] == [1, 2, 3, 4]
    loop.train(mix, dropout, run, False)
    assert same(run, uninterrupted)
    assert [json.loads(line)["step"] for line in log(run)] == [1, 2, 3, 4, 5, 6, 7]
