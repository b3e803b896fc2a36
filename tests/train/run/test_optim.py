"""Groups of parameters: learning rates by part, no weight decay of norms and biases, states of one group."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from medmix.curate.errors import UsageError
from medmix.train.recipe import Recipe
from medmix.train.run import loop
from medmix.train.run.checkpoint import load
from medmix.train.run.optim import make_optimizer, set_learning_rates, trainable_parameters

from ..conftest import tiny_recipe

RATES = ("optim.lr=0.01", "optim.lr_tower=0.002", "optim.lr_projector=0.03", "optim.weight_decay=0.5")


class Parts(nn.Module):
    """A model with the names of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
        self.projector = nn.Linear(2, 2)
        self.language = nn.Linear(2, 2)
        self.language.bias.requires_grad_(False)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_each_part_has_its_rate_and_vectors_no_decay(prefix: str) -> None:
    parts = Parts()
    model = nn.ModuleDict({"module": parts}) if prefix else parts
    optimizer = make_optimizer(model, tiny_recipe(*RATES).optim)
    groups = {
        name: (group["lr"], group["weight_decay"])
        for name, parameter in parts.named_parameters()
        for group in optimizer.param_groups
        if any(parameter is member for member in group["params"])
    }
    assert groups == {
        "tower.0.weight": (0.002, 0.5), "tower.0.bias": (0.002, 0.0),
        "tower.1.weight": (0.002, 0.0), "tower.1.bias": (0.002, 0.0),
        "projector.weight": (0.03, 0.5), "projector.bias": (0.03, 0.0), "language.weight": (0.01, 0.5),
    }  # fmt: skip
    assert len(trainable_parameters(optimizer)) == 7


def test_a_step_shrinks_matrices_alone_and_every_rate_follows_the_schedule() -> None:
    torch.manual_seed(0)
    model, settings = Parts(), tiny_recipe(*RATES, "optim.warmup_steps=4").optim
    optimizer = make_optimizer(model, settings)
    assert set_learning_rates(optimizer, settings, 1, 12) == pytest.approx(0.005)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.001, 0.005, 0.015])
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for parameter in trainable_parameters(optimizer):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    shrunk = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert shrunk == {"tower.0.weight", "projector.weight", "language.weight"}
    assert torch.allclose(model.projector.weight, before["projector.weight"] * (1 - 0.015 * 0.5))


def to_one_group(file: Path, decay: float) -> None:
    """Write an optimiser's state as it was before there were groups."""
    state: Any = torch.load(file, weights_only=True)
    assert len(state["param_groups"]) > 1
    names = [name for group in state["param_groups"] for name in group["params"]]
    first = {key: value for key, value in state["param_groups"][0].items() if key != "initial_lr"}
    torch.save({**state, "param_groups": [{**first, "params": names, "weight_decay": decay}]}, file)


def recipe(steps: int, *more: str) -> Recipe:
    constant = ("optim.lr_scheduler=constant", "optim.lr_tower=0.001", f"run.steps={steps}", "run.checkpoint_every=2")
    return tiny_recipe(*constant, *more)


def interrupted(mix: Path, run: Path, made: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train to the first checkpoint."""
    with monkeypatch.context() as patch:
        train_step, done = loop.train_step, []

        def failing(*arguments: Any) -> Any:
            done.append(1)
            if len(done) == 3:
                raise UsageError("stopped")
            return train_step(*arguments)

        patch.setattr(loop, "train_step", failing)
        with pytest.raises(UsageError, match="stopped"):
            loop.train(mix, made, run, False)


@pytest.mark.parametrize("one_group", [False, True])
def test_a_resumed_run_equals_one_that_ran_through(
    mix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_group: bool
) -> None:
    made = recipe(4, *(() if one_group else ("optim.weight_decay=0.1",)))
    loop.train(mix, made, tmp_path / "through", False)
    interrupted(mix, tmp_path / "run", made, monkeypatch)
    if one_group:
        to_one_group(tmp_path / "run/step-00000002/optimizer.pt", 0.0)
    loop.train(mix, made, tmp_path / "run", False)
    one, other = (load(tmp_path / name).model.state_dict() for name in ("through", "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_state_that_decayed_norms_is_refused(mix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recipe(4, "optim.weight_decay=0.1")
    interrupted(mix, tmp_path / "run", made, monkeypatch)
    to_one_group(tmp_path / "run/step-00000002/optimizer.pt", 0.1)
    with pytest.raises(UsageError, match=r"optimizer\.pt does not fit this run: it decayed the weights of norms"):
        loop.train(mix, made, tmp_path / "run", False)
