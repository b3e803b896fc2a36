"""Loads pretrained towers: finds the file, converts its keys to timm's names, and checks that the weights fit.

What the keys do not show (the activation, the layer norms' eps, the image size) is read from the config beside the
file, as `weights_config` says.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from timm.models import VisionTransformer, byobnet
from torch import Tensor, nn

from medmix.curate.errors import UsageError
from medmix.curate.tables import input_errors

from ..rank_zero import say
from ..recipe import Weights
from .layouts import to_timm
from .positions import PREFIX_TOKENS, fit_positions
from .weights_config import WeightsConfig, matching_model, read_config, tower_activation, tower_eps

STATE_DICTS = (".safetensors", ".bin", ".pt", ".pth")
"""Suffixes of weight files; other paths are folders."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
"""Weight files to look for in a folder."""

MAX_LISTED = 10
"""How many mismatched keys a message lists."""


def validate_weights(needed: dict[str, Weights | None]) -> None:
    """Raise unless weights exist, given by the recipe's keys for their paths.

    Raises:
        UsageError: some do not; names each one and the command that downloads it.
    """
    missing = []
    for key, weights in needed.items():
        if weights and not (path := Path(weights.path)).exists():
            folder, file = (path.parent, f" {path.name}") if path.suffix in STATE_DICTS else (path, "")
            fetch = f"hf download {weights.repo}{file} --local-dir {folder}"
            missing.append(f"{key}: {path} does not exist; type: {fetch}, or give --set {key}=PATH")
    if missing:
        gated = "if that is refused, ask for access on the repository's page, then type: hf auth login"
        raise UsageError(f"{'; '.join(missing)}; {gated}")


def load_tower(tower: nn.Module, weights: Weights) -> None:
    """Load the weights of a timm tower, and print how many keys were used and which were ignored.

    Raises:
        UsageError: the file does not exist, is no state dict, does not fit the tower, or was trained with another
            activation by the config beside it.
    """
    validate_weights({"vision.weights.path": weights})
    path = find_weight_file(Path(weights.path))
    state = read_state_dict(path)
    layout, converted = to_timm(state, isinstance(tower, byobnet.ByobNet))
    wanted = tower.state_dict()
    transformer = isinstance(tower, VisionTransformer)
    config = read_config(path) if transformer else None
    used = {name: tensor.value for name, tensor in converted.items() if name in wanted or name in PREFIX_TOKENS}
    note = ""
    if isinstance(tower, VisionTransformer):
        try:
            note = fit_positions(tower, used, config.image_size if config else None)
        except UsageError as error:
            raise UsageError(f"{path} ({layout} layout): {error}") from None
    used = {name: value for name, value in used.items() if name in wanted}
    problems = [f"has no {name}" for name in wanted if name not in used and "num_batches_tracked" not in name]
    problems += [
        f"{name} is {list(used[name].shape)}, not {list(wanted[name].shape)}"
        for name in wanted
        if name in used and used[name].shape != wanted[name].shape
    ]
    if transformer and "norm_pre.weight" in converted and "norm_pre.weight" not in wanted:
        problems.append(
            "has norm_pre, a layer of CLIP that the tower lacks (timm models named vit_..._clip_... have it)"
        )
    if problems:
        more = f" and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        raise UsageError(
            f"{path} does not fit the tower of the recipe ({layout} layout): {', '.join(problems[:MAX_LISTED])}{more}"
        )
    if transformer:
        _validate_config(tower, path, layout, config)
    tower.load_state_dict(used, strict=False)
    taken = {key for name in used for key in converted[name].keys}
    ignored = _grouped([key for key in state if key not in taken])
    say(f"{path}: {len(taken)} of {len(state)} keys used ({layout} layout{note}); ignored: {ignored or 'none'}")


def _validate_config(tower: nn.Module, path: Path, layout: str, config: WeightsConfig | None) -> None:
    """Compare the activation and the layer norms' eps of a tower with the config beside its weights.

    An unknown activation is warned of if the layout is CLIP's, which has two of them. Another eps is warned of.

    Raises:
        UsageError: the activation differs.
    """
    own, eps = tower_activation(tower), tower_eps(tower)
    name = str((getattr(tower, "pretrained_cfg", None) or {}).get("architecture", "of the recipe"))
    if own and config and config.activation and config.activation != own:
        raise UsageError(
            f"{path} was trained with the activation {config.activation} ({config.path.name}), the tower {name} has "
            f"{own}; use {matching_model(name, config.activation)}"
        )
    if own and not (config and config.activation) and "CLIP" in layout:
        say(
            f"warning: {path} may have been trained with another activation than the {own} of {name}: its keys do not "
            "show it, and no config.json or open_clip_config.json lies beside it"
        )
    if eps and config and config.eps and config.eps != eps:
        trained = f"{path} was trained with a layer norm eps of {config.eps:g} ({config.path.name})"
        say(f"warning: {trained}, {name} has {eps:g}")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a file, also from inside a training checkpoint.

    Raises:
        UsageError: the file cannot be read as a state dict, or a Git LFS pointer is in its place.
    """
    with input_errors(path):
        return _unwrap(_load(path))


def _load(path: Path) -> Any:
    try:
        return load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a broken pickle or header can raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{path} cannot be read as a state dict: {reason}") from error


def find_weight_file(path: Path) -> Path:
    """Give the weight file in a folder, or the path itself if it is none.

    Raises:
        UsageError: the folder has no weight file.
    """
    if not path.is_dir():
        return path
    for name in WEIGHT_FILES:
        if (path / name).is_file():
            return path / name
    raise UsageError(f"{path} has no weights; it should have one of {', '.join(WEIGHT_FILES)}")


def _unwrap(state: Any) -> dict[str, Tensor]:
    """Take the state dict out of a training checkpoint, and strip DataParallel's prefix from its keys."""
    for key in ("state_dict", "model"):
        state = state[key] if isinstance(state, dict) and isinstance(state.get(key), dict) else state
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    wrapped = bool(tensors) and all(key.startswith("module.") for key in tensors)
    return {key.removeprefix("module."): value for key, value in tensors.items()} if wrapped else tensors


def _grouped(keys: list[str]) -> str:
    """List keys, those of one module together: `logit_scale, text.* (199)`."""
    counts = Counter(key.split(".")[0] for key in keys)
    single = sorted(key for key in keys if counts[key.split(".")[0]] == 1)
    return ", ".join([*single, *(f"{name}.* ({count})" for name, count in sorted(counts.items()) if count > 1)])
