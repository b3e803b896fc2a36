"""The card of an exported model; every number in it comes from the run."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml

from medmix.curate import manifest
from medmix.curate.errors import UsageError
from medmix.curate.shards import write_text

from .checkpoint import Checkpoint
from .recipe import as_dict


def write(folder: Path, name: str, loaded: Checkpoint, difference: float) -> None:
    """Write the card into a folder; what the mix held is told when the mix is still there."""
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701 - Markdown, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = (files("medmix.cards") / "model.md.jinja").read_text(encoding="utf-8")
    first, last = _losses(loaded)
    card = environment.from_string(template).render(
        header=yaml.safe_dump(_header(loaded), sort_keys=False, allow_unicode=True),
        name=name,
        state=loaded.state,
        recipe=as_dict(loaded.recipe),
        difference=difference,
        first_loss=first,
        last_loss=last,
        sources=_sources(loaded),
    )
    write_text(folder / "README.md", card)


def _header(loaded: Checkpoint) -> dict[str, Any]:
    starts = [part.weights.repo for part in (loaded.recipe.vision, loaded.recipe.language) if part.weights]
    return {
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        **({"base_model": starts} if starts else {}),
        "tags": ["medical", "llava", "medmix"],
    }


def _losses(loaded: Checkpoint) -> tuple[float | None, float | None]:
    """Give the loss of the first step and of the checkpoint's, where the run's log is beside it."""
    path = loaded.path.parent / "train_log.jsonl"
    if not path.is_file():
        return None, None
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    until = [entry["loss"] for entry in entries if entry["step"] <= loaded.state.step]
    return (until[0], until[-1]) if until else (None, None)


def _sources(loaded: Checkpoint) -> dict[str, Any]:
    try:
        sources: dict[str, Any] = manifest.read(Path(loaded.state.mix))["sources"]
    except UsageError:
        return {}
    return {source: entry for source, entry in sources.items() if entry.get("kept")}
