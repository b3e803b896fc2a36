"""Writes the model card of a checkpoint or an exported model; every number in it comes from the run."""

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
from .metrics_logger import read_log
from .state import TrainerState


def write(
    folder: Path, name: str, recipe: Recipe, state: TrainerState, log: Path, max_logit_diff: float | None = None
) -> None:
    """Write the card into a folder; it lists the sources if the mix still exists.

    Args:
        folder: of the checkpoint or the exported model.
        name: of the run or the exported model.
        recipe: the resolved one.
        state: of the checkpoint.
        log: `train_log.jsonl` of the run; may be missing.
        max_logit_diff: largest difference of an exported model's logits from the checkpoint's; None for a checkpoint.
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
    header = _header(recipe, exported=max_logit_diff is not None)
    card = environment.from_string(template).render(
        header=yaml.safe_dump(header, sort_keys=False, allow_unicode=True),
        name=name,
        state=state,
        recipe=as_dict(recipe),
        max_logit_diff=max_logit_diff,
        first_loss=first,
        last_loss=last,
        sources=_sources(Path(state.mix), state.sources),
    )
    write_text(folder / "README.md", card)


def _header(recipe: Recipe, exported: bool) -> dict[str, Any]:
    base_models = [part.weights.repo for part in (recipe.vision, recipe.language) if part.weights]
    return {
        **({"library_name": "transformers"} if exported else {}),
        "pipeline_tag": "image-text-to-text",
        **({"base_model": base_models} if base_models else {}),
        "tags": ["medical", "llava", "medmix"],
    }


def _losses(log: Path, step: int) -> tuple[float | None, float | None]:
    """Give the loss of the first step and of the checkpoint's step; None without the run's log."""
    until = [entry["loss"] for entry in read_log(log) if entry["step"] <= step]
    return (until[0], until[-1]) if until else (None, None)


def _sources(mix: Path, trained_on: Mapping[str, int]) -> dict[str, Any]:
    """Give the sources of the mix that the run trained on; none if the mix no longer exists."""
    try:
        sources: dict[str, Any] = manifest.read(mix)["sources"]
    except UsageError:
        return {}
    return {source: entry for source, entry in sources.items() if entry.get("kept") and source in trained_on}
