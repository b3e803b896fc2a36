"""Plans a run for a device that need not be here: no GPU, no weights, nothing compiled, nothing written."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError

from . import estimate, estimate_image_text
from .data import stream
from .data import tokenizer as tokenizers
from .device import DeviceSpec, describe, find_device
from .estimate import ASSUMED_MFU, Prediction, matmul_dtype
from .memory import validate_memory
from .recipe import Recipe, Weights
from .run.loop import initial_tokenizer
from .run.optim import total_steps
from .run.ranks import pick_device

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""One of these has the vocabulary of a transformers folder."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """The prediction for a run, lines that describe it, and why the device's memory does not suffice, or None."""

    prediction: Prediction
    device: DeviceSpec
    world_size: int
    surveyed: int
    lines: list[str]
    too_large: str | None

    def as_dict(self) -> dict[str, Any]:
        """Give the numbers in plain form: bytes, hours, FLOPs."""
        return {
            **asdict(self.prediction),
            "device": self.device.name,
            "devices": self.world_size,
            "device_memory": self.device.memory,
            "peak_flops": self.device.peak.flops,
            "mfu": ASSUMED_MFU,
            "surveyed_records": self.surveyed,
            "fits": self.too_large is None,
        }


def plan(mix: Path, recipe: Recipe, device: str | None, nodes: int, gpus_per_node: int) -> DryRun:
    """Estimate steps, tokens, operations, hours and memory of a run from the mix and the shapes of the model.

    Args:
        mix: folder of a built mix; the text of its first records is tokenised.
        recipe: what to train, and how.
        device: name of a device in the table; None plans for the one of this machine.
        nodes: number of machines.
        gpus_per_node: devices in each.

    Raises:
        UsageError: the device is not known, the pretrained language model's config or tokenizer is missing (says how
            to download these alone), or the recipe does not fit the mix.
    """
    if device is None and recipe.run.require_gpu and pick_device().type == "cpu":
        raise UsageError(f"{recipe.name} needs a GPU, and PyTorch finds none here; name one: --device h100-80gb")
    spec = find_device(device) if device is not None else describe(pick_device(), matmul_dtype(recipe))
    full_split = stream.open_split(mix, "train")
    split = full_split.select(recipe.sources)
    if not len(split):
        raise UsageError(f"{mix} has no training records; see its ledger.parquet, and build another: medmix build")
    tokenizer = _tokenizer(full_split, recipe)
    world_size, last_step = nodes * gpus_per_node, total_steps(recipe.run, len(split))
    plan_for = estimate_image_text.plan_for if recipe.model else estimate.plan_for
    made = plan_for(recipe, tokenizer, split, last_step, spec, world_size, gpus_per_node)
    lines = [*made.lines, f"tokens: {made.prediction.tokens:.3g} in {last_step} steps"]
    total = sum(split.record_counts().values())
    trained = "" if recipe.model or recipe.language.weights else " with a vocabulary trained on the mix"
    lines.append(
        f"measured: lengths of {made.means.surveyed} of {total} records"
        f"{trained}; from shapes: operations and memory; {spec.peak.origin}: the peak; "
        f"assumed: {ASSUMED_MFU:.0%} MFU, the same speed between nodes"
    )
    too_large = None
    try:
        if recipe.model:
            estimate_image_text.validate_memory(recipe, made.prediction, spec)
        else:
            longest = made.renderer.max_record_tokens()
            validate_memory(made.model, recipe, made.means, spec, world_size, longest, gpus_per_node)
    except UsageError as error:
        too_large = str(error)
    return DryRun(made.prediction, spec, world_size, made.means.surveyed, lines, too_large)


def _tokenizer(split: stream.Split, recipe: Recipe) -> PreTrainedTokenizerBase:
    if recipe.model:
        return initial_tokenizer(split, recipe)
    weights = recipe.language.weights
    if weights:
        _validate_shape_files(weights)
        return tokenizers.load(Path(weights.path), recipe.language)
    return initial_tokenizer(split, replace(recipe, vision=replace(recipe.vision, weights=None)))


def _validate_shape_files(weights: Weights) -> None:
    """Raise unless the folder has the config and the tokenizer of a language model; weights may be missing.

    Raises:
        UsageError: it has not.
    """
    folder = Path(weights.path)
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        missing.append("tokenizer")
    if missing:
        fetch = f"hf download {weights.repo} --include '*.json' --include '*.model' --local-dir {folder}"
        described = "--set language.weights=null --set language.shape={...} --set language.vocab_size=N"
        raise UsageError(
            f"language.weights.path: {folder} has no {' and no '.join(missing)}, which give shape and lengths; "
            f"weights are not needed, type: {fetch}; or describe the model: {described}"
        )
