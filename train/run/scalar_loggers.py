"""Where scalars go besides the log: TensorBoard, wandb or trackio, behind one small interface."""

import hashlib
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from medmix.curate.errors import UsageError

from ..recipe import Recipe, as_dict

PROJECT = "medmix"
"""The project of a run in wandb and trackio."""


class ScalarLogger(Protocol):
    """Takes the scalars of a step, by name."""

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log the scalars of one step."""

    def close(self) -> None:
        """Write what is left."""


def open_loggers(recipe: Recipe, run: Path, step: int) -> list[ScalarLogger]:
    """Open the recipe's loggers for a run that has done `step` steps.

    Raises:
        UsageError: one is not installed, or cannot start.
    """
    found: list[ScalarLogger] = []
    if recipe.run.tensorboard:
        _validate_installed("run.tensorboard", "tensorboard", "TensorBoard")
        found.append(TensorBoard(run / "tensorboard", step))
    for name in recipe.run.loggers:
        _validate_installed("run.loggers", name, name)
        found.append(Tracker(name, run, as_dict(recipe)))
    return found


class TensorBoard:
    """Event files in a folder; those of steps after `step`, left by a killed run, are ignored."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log the scalars of one step."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class Tracker:
    """A run in wandb or in trackio, which has wandb's interface; a resumed run goes on in the same one.

    Raises:
        UsageError: it cannot start, for example because nobody is logged in.
    """

    def __init__(self, module: str, run: Path, config: Mapping[str, Any]) -> None:
        name = f"{run.resolve().name}-{hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:8]}"
        of_wandb = {"id": name, "dir": str(run)} if module == "wandb" else {}
        try:
            started = import_module(module).init(
                project=PROJECT, name=name, config=dict(config), resume="allow", **of_wandb
            )
        except Exception as error:  # whatever their network and login raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(f"run.loggers: {module} cannot start ({reason}); mend that, or leave it out") from None
        self._run: Any = started

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log the scalars of one step."""
        self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        """Write what is left."""
        self._run.finish()


def _validate_installed(key: str, module: str, title: str) -> None:
    if find_spec(module) is None:
        raise UsageError(f"{key}: {title} is not installed; type: pip install 'medmix[{module}]'")
