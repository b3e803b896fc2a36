"""A new run that starts from the weights of another."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medmix.cli import main
from medmix.curate.errors import UsageError
from medmix.train.data import stream
from medmix.train.run import checkpoint, loop
from medmix.train.run.origin import read_origin
from medmix.train.run.start import Start, find_start, start_model
from medmix.train.run.state import find_checkpoint

from ..conftest import TINY, records, tiny_recipe, write_mix

ONE = ("run.steps=1",)


@pytest.fixture(scope="module")
def first(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps whose mix is gone."""
    folder = tmp_path_factory.mktemp("first")
    shutil.copytree(mix, folder / "mix")
    loop.train(folder / "mix", tiny_recipe("run.steps=3"), folder / "run", False)
    shutil.rmtree(folder / "mix")
    return folder / "run"


@pytest.fixture(scope="module")
def other_mix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mix(tmp_path_factory.mktemp("mixes") / "other", {"train": records(5, "train")})


def begin(out: Path, mix: Path, source: Path, *overrides: str) -> Start:
    sources = stream.open_split(mix, "train").epoch_counts()
    return find_start(out, tiny_recipe(*ONE, *overrides), stream.mix_digest(mix), sources, source)


def moments(run: Path) -> dict[str, float]:
    state = torch.load(find_checkpoint(run) / "optimizer.pt", weights_only=True)["state"]
    return {name: float(values["step"]) for name, values in state.items()}


def test_a_run_starts_from_weights_and_optimiser_of_another(
    other_mix: Path, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, origin = tiny_recipe(*ONE, "optim.lr=0.002"), find_checkpoint(first)
    start = begin(tmp_path / "run", other_mix, first)
    mine, theirs = start_model(start, recipe, checkpoint.load(origin).tokenizer), checkpoint.load(origin).model
    assert all(torch.equal(weight, theirs.state_dict()[name]) for name, weight in mine.state_dict().items())

    loop.train(other_mix, recipe, tmp_path / "run", False, first)
    line = f"starts from step 3 of {origin}, with its optimiser state; its mix {first.parent / 'mix'} is gone, "
    assert line in capsys.readouterr().err
    state = checkpoint.read(find_checkpoint(tmp_path / "run"))[1]
    assert (state.step, state.records, state.origin["step"], state.origin["path"]) == (1, 8, 3, str(origin))  # type: ignore[index]
    assert state.origin["digest"] == checkpoint.digest(origin)  # type: ignore[index]
    assert set(moments(tmp_path / "run").values()) == {4.0}
    group = torch.load(find_checkpoint(tmp_path / "run") / "optimizer.pt", weights_only=True)["param_groups"][0]
    assert group["lr"] == 0.002
    card = (find_checkpoint(tmp_path / "run") / "README.md").read_text()
    assert f"| started from | step 3 of `{origin}`, digest `{checkpoint.digest(origin)}` |" in card
    assert "which was gone: colours (12 an epoch), pictures (12 an epoch), texts (12 an epoch) |" in card
    vocabulary = json.loads((find_checkpoint(tmp_path / "run") / "tokenizer" / "tokenizer.json").read_bytes())["model"]
    assert vocabulary == json.loads((origin / "tokenizer" / "tokenizer.json").read_bytes())["model"]


def test_other_trained_parts_get_a_new_optimiser(
    other_mix: Path, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop.train(other_mix, tiny_recipe(*ONE, "train=[projector, lora]"), tmp_path / "run", False, first)
    assert "with a new optimiser: its state is of other weights" in capsys.readouterr().err
    assert set(moments(tmp_path / "run").values()) == {1.0}
    towers = [load_file(find_checkpoint(run) / "tower.safetensors") for run in (tmp_path / "run", first)]
    assert all(torch.equal(weight, towers[1][name]) for name, weight in towers[0].items())


def test_adapters_may_be_new(mix: Path, tmp_path: Path) -> None:
    """As in LLaVA's two stages: the projector alone, then adapters too."""
    loop.train(mix, tiny_recipe(*ONE, "train=[projector]", "lora=null"), tmp_path / "first", False)
    loop.train(mix, tiny_recipe(*ONE), tmp_path / "second", False, tmp_path / "first")
    assert (find_checkpoint(tmp_path / "second") / "adapter").is_dir()
    with pytest.raises(UsageError, match=r"lora.alpha was 16, is null; lora.r was 8, is null"):
        read_origin(tmp_path / "second", tiny_recipe("train=[projector]", "lora=null"))


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("lora.r=4", "lora.r was 8, is 4"),
        ("lora.target_modules=[q_proj]", "lora.target_modules was "),
        ("vision.size=48", "vision.size was 32, is 48"),
        ("language.shape.hidden_size=48", "language.shape.hidden_size was 32, is 48"),
    ],
)
def test_another_model_is_one_line(
    other_mix: Path, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, difference: str
) -> None:
    settings = [word for change in (*TINY, override) for word in ("--set", change)]
    with pytest.raises(SystemExit) as stop:
        main(["train", "--mixture", str(other_mix), "--recipe", "smoke-cpu", "--out", str(tmp_path / "run"),
              "--from", str(first), *settings])  # fmt: skip
    assert stop.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    begin = f"medmix: error: --from {find_checkpoint(first)}: has another model than this recipe: {difference}"
    assert line.startswith(begin) and line.endswith("; make them equal")


def test_a_run_in_the_folder_is_resumed_only_if_it_has_the_same_origin(
    other_mix: Path, first: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    loop.train(other_mix, tiny_recipe(*ONE), run, False, first)
    assert loop.train(other_mix, tiny_recipe("run.steps=2"), run, False, first)["steps"] == 2
    assert loop.train(other_mix, tiny_recipe("run.steps=3"), run, False)["steps"] == 3  # the origin is known
    assert checkpoint.read(find_checkpoint(run))[1].origin["step"] == 3  # type: ignore[index]
    loop.train(other_mix, tiny_recipe(*ONE), tmp_path / "plain", False)
    with pytest.raises(UsageError, match=r"plain has a run that started without --from; leave --from out to resume it"):
        loop.train(other_mix, tiny_recipe("run.steps=2"), tmp_path / "plain", False, first)
    with pytest.raises(UsageError, match=r"run has a run that started from step 3 of .*run/step-00000003; leave"):
        loop.train(other_mix, tiny_recipe("run.steps=4"), run, False, tmp_path / "plain")


def test_a_folder_without_a_checkpoint(mix: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing has no checkpoint"):
        begin(tmp_path / "run", mix, tmp_path / "nothing")
