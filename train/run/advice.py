"""The command that goes on past a loss that is not finite, or with less memory."""

import shlex
import sys
from collections.abc import Sequence

import yaml

from ..recipe import Recipe
from .step import NotFiniteError


def advise(error: NotFiniteError, recipe: Recipe, command: Sequence[str]) -> str:
    """Give the command that resumes a run past a loss or a gradient that is not finite.

    It leaves out the records to blame, or else halves the learning rate. `command` is the one that was typed.
    """
    if error.records:
        skipped = [*dict.fromkeys([*recipe.skip_records, *error.records])]
        listed = yaml.safe_dump(skipped, default_flow_style=True, width=sys.maxsize).strip()
        return f"go on without what is to blame: {shlex.join([*command, '--set', f'skip_records={listed}'])}"
    halved = shlex.join([*command, "--set", f"optim.lr={recipe.optim.lr / 2:.10f}".rstrip("0")])
    return f"go on with half the learning rate: {halved} (or name records to leave out in skip_records)"


def advise_memory(recipe: Recipe, command: Sequence[str]) -> str:
    """Give the command that resumes a run with less memory; `command` is the one that was typed."""
    run = recipe.run
    if not run.gradient_checkpointing:
        change = "run.gradient_checkpointing=true"
    elif run.pack_tokens is not None:
        change = f"run.pack_tokens={run.pack_tokens // 2}"
    else:
        change = f"run.micro_batch_size={max(1, (run.micro_batch_size or 1) // 2)}"
    return f"go on with less memory: {shlex.join([*command, '--set', change])}"
