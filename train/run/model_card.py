"""The card of a checkpoint or an exported model; every number in it comes from the run."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml

from medmix.curate.errors import UsageError
from medmix.curate.shards import write_text
from medmix.curate.write import manifest

from ..recipe import Recipe, as_dict
from .state import State


def write(folder: Path, name: str, recipe: Recipe, state: State, log: Path, difference: float | None = None) -> None:
    """Write the card into a folder; what the mix held is told when the mix is still there.

    Args:
        folder: of the checkpoint or the exported model.
        name: of the run or the exported model.
        recipe: the resolved one.
        state: of the checkpoint.
        log: `train_log.jsonl` of the run; need not be there.
        difference: of an exported model's scores from the checkpoint's; None for a checkpoint.
    """
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701 - Markdown, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = (files("medmix.cards") / "model.md.jinja").read_text(encoding="utf-8")
    first, last = _losses(log, state.step)
    card = environment.from_string(template).render(
        header=yaml.safe_dump(_header(recipe, exported=difference is not None), sort_keys=False, allow_unicode=True),
        name=name,
        state=state,
        recipe=as_dict(recipe),
        difference=difference,
        first_loss=first,
        last_loss=last,
        sources=_sources(Path(state.mix), state.sources),
    )
    write_text(folder / "README.md", card)


def _header(recipe: Recipe, exported: bool) -> dict[str, Any]:
    starts = [part.weights.repo for part in (recipe.vision, recipe.language) if part.weights]
    return {
        **({"library_name": "transformers"} if exported else {}),
        "pipeline_tag": "image-text-to-text",
        **({"base_model": starts} if starts else {}),
        "tags": ["medical", "llava", "medmix"],
    }


def _losses(log: Path, step: int) -> tuple[float | None, float | None]:
    """Give the loss of the first step and of the checkpoint's, where the run's log is there."""
    if not log.is_file():
        return None, None
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    until = [entry["loss"] for entry in entries if entry["step"] <= step]
    return (until[0], until[-1]) if until else (None, None)


def _sources(mix: Path, trained_on: Mapping[str, int]) -> dict[str, Any]:
    """Give the sources of the mix that the run took records of; none where the mix is no longer there."""
    try:
        sources: dict[str, Any] = manifest.read(mix)["sources"]
    except UsageError:
        return {}
    return {source: entry for source, entry in sources.items() if entry.get("kept") and source in trained_on}
