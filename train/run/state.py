"""The checkpoints in a run's folder, and the state stored in each; reads no weights and needs no torch."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError


@dataclass(frozen=True, slots=True)
class TrainerState:
    """The content of `checkpoint.json`.

    Attributes:
        step: optimiser steps done.
        records: training records seen, over all epochs.
        mix, mix_digest: the mix's folder, and `stream.mix_digest` of it.
        sources: records per epoch of each source.
        versions: of medmix and the libraries that made the checkpoint.
        history: settings that changed when the run was resumed: `step`, `key`, `before` and `after` of each.
        origin: the checkpoint of another run that this one started from (`origin.Origin`); None if there is none.
        held_out_loss: at this step, nats per answer token; None if it was not measured.
    """

    step: int
    records: int
    mix: str
    mix_digest: str
    sources: dict[str, int]
    versions: dict[str, str]
    history: list[dict[str, Any]] = field(default_factory=list)
    origin: dict[str, Any] | None = None
    held_out_loss: float | None = None


def list_checkpoints(run: Path) -> list[Path]:
    """List the checkpoints in a run's folder, from the first to the latest."""
    return sorted(path for path in run.glob("step-*") if (path / "checkpoint.json").is_file())


def latest_checkpoint(run: Path) -> Path | None:
    """Give the latest checkpoint in a run's folder; None if there is none."""
    found = list_checkpoints(run)
    return found[-1] if found else None


def best_checkpoint(run: Path) -> Path | None:
    """Give the checkpoint with the lowest held-out loss in a run's folder, the first of equal ones; or None."""
    losses = {path: json.loads((path / "checkpoint.json").read_bytes()) for path in list_checkpoints(run)}
    found = {path: state["held_out_loss"] for path, state in losses.items() if state.get("held_out_loss") is not None}
    return min(found, key=lambda path: found[path]) if found else None


def find_checkpoint(path: Path) -> Path:
    """Give a checkpoint by its own path, or the latest one of a run.

    Raises:
        UsageError: there is none.
    """
    found = path if (path / "checkpoint.json").is_file() else latest_checkpoint(path)
    if not found:
        raise UsageError(f"{path} has no checkpoint; type: medmix train --mixture NAME --out {path}")
    return found
