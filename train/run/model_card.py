"""Writes the model card of a checkpoint or an exported model; every number in it comes from the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from medmix.curate.describe import templates
from medmix.curate.errors import UsageError
from medmix.curate.shards import write_text
from medmix.curate.write import manifest

from ..recipe import Recipe, as_dict
from .metrics_logger import read_held_out, read_log
from .state import TrainerState


@dataclass(frozen=True, slots=True)
class Exported:
    """What is true of an exported model.

    Attributes:
        max_logit_diff: largest difference of its logits from the checkpoint's.
        dtype: of its weights, as `medmix export --dtype` names it.
        tower: the kind of its tower in transformers.
        served: whether inference engines know such a tower in a LLaVA.
    """

    max_logit_diff: float
    dtype: str
    tower: str
    served: bool


def write(
    folder: Path, name: str, recipe: Recipe, state: TrainerState, log: Path, exported: Exported | None = None
) -> None:
    """Write the card into a folder; it lists the sources if the mix still exists.

    Args:
        folder: of the checkpoint or the exported model.
        name: of the run or the exported model.
        recipe: the resolved one.
        state: of the checkpoint.
        log: `train_log.jsonl` of the run; may be missing.
        exported: facts about an exported model; None for a checkpoint.
    """
    losses = [entry["loss"] for entry in read_log(log) if entry["step"] <= state.step]
    held_out = [entry for entry in read_held_out(log) if entry["step"] <= state.step]
    template = templates.markdown().get_template("model.md.jinja")
    header = _header(recipe, exported=exported is not None)
    card = template.render(
        header=Markup(yaml.safe_dump(header, sort_keys=False, allow_unicode=True)),  # noqa: S704 - YAML quotes its values
        name=name,
        state=state,
        recipe={"model": None, **as_dict(recipe)},
        exported=exported,
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        held_out=held_out[-1] if held_out else None,
        sources=_sources(Path(state.mix), state.sources),
    )
    write_text(folder / "README.md", card)


def _header(recipe: Recipe, exported: bool) -> dict[str, Any]:
    base_models = [
        part.weights.repo for part in (recipe.vision, recipe.language, recipe.model) if part and part.weights
    ]
    return {
        **({"library_name": "transformers"} if exported else {}),
        "pipeline_tag": "image-text-to-text",
        **({"base_model": base_models} if base_models else {}),
        "tags": ["medical", *([] if recipe.model else ["llava"]), "medmix"],
    }


def _sources(mix: Path, trained_on: Mapping[str, int]) -> dict[str, Any]:
    """Give the sources of the mix that the run trained on; none if the mix no longer exists."""
    try:
        sources: dict[str, Any] = manifest.read(mix)["sources"]
    except UsageError:
        return {}
    return {source: entry for source, entry in sources.items() if entry.get("kept") and source in trained_on}
