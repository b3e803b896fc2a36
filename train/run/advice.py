"""The command that goes on past a loss that is not finite."""

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
