"""wandb and trackio get what the log has."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from medmix.curate.errors import UsageError
from medmix.train.run import loop
from medmix.train.run.metrics_logger import read_log
from medmix.train.run.scalar_loggers import open_loggers

from ..conftest import records, tiny_recipe, write_mix


class Service(ModuleType):
    """A stand-in for wandb or trackio, which records what it gets."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.started: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.finished = 0

    def init(self, **arguments: Any) -> "Service":
        self.started.append(arguments)
        return self

    def log(self, scalars: dict[str, float], step: int) -> None:
        self.logged.append((step, scalars))

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture(params=["wandb", "trackio"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service(request.param)
    monkeypatch.setitem(sys.modules, request.param, made)
    return made


def test_a_run_is_logged_and_goes_on_under_one_name(tmp_path: Path, service: Service) -> None:
    mix = write_mix(tmp_path / "mix", {"train": records(4, "train"), "validation": records(1, "validation")})
    settings = (f"run.loggers=[{service.__name__}]", "run.evaluate_every=2")
    for steps in (2, 3):
        loop.train(mix, tiny_recipe(f"run.steps={steps}", *settings), tmp_path / "run", False)
    assert service.finished == 2
    first, second = service.started
    assert first["project"] == "medmix" and first["name"].startswith("run-") and first["resume"] == "allow"
    assert first["name"] == second["name"]
    assert first["config"]["run"]["steps"] == 2
    losses = [(step, scalars["loss"]) for step, scalars in service.logged if "loss" in scalars]
    assert losses == [(entry["step"], entry["loss"]) for entry in read_log(tmp_path / "run" / "train_log.jsonl")]
    held_out = [step for step, scalars in service.logged if "held_out_loss_by_source/texts" in scalars]
    assert held_out == [2, 3]


def test_a_service_that_cannot_start_is_one_line(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**arguments: Any) -> None:
        raise RuntimeError("api_key not configured\nmore")

    monkeypatch.setattr(service, "init", refuse)
    name = service.__name__
    with pytest.raises(UsageError, match=rf"^run.loggers: {name} cannot start \(api_key not configured\); mend that"):
        open_loggers(tiny_recipe(f"run.loggers=[{name}]"), tmp_path, 0)


def test_a_missing_service_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match=r"^run.loggers: wandb is not installed; type: pip install 'medmix\[wandb\]'"):
        open_loggers(tiny_recipe("run.loggers=[wandb]"), tmp_path, 0)
