"""What the config beside a weight file says about its tower and the keys do not show.

Configs are those of transformers and timm (`config.json`) and of open_clip (`open_clip_config.json`).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from timm.layers import activations
from torch import nn
from transformers import AutoConfig

from medmix.curate.errors import UsageError

NAMES = ("config.json", "open_clip_config.json")
"""Config files to look for beside a weight file; for a file of open_clip in reversed order."""

ACTIVATIONS = {
    "gelu_python": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
}  # fmt: skip
"""timm's names of the activations that transformers calls otherwise."""

OPEN_CLIP_EPS = 1e-5
"""Of the layer norms of open_clip's own towers, torch's default."""


@dataclass(frozen=True, slots=True)
class WeightsConfig:
    """What a config says; None where it does not.

    Attributes:
        path: of the config.
        activation: of the feed-forward layers, by timm's name: `gelu`, `gelu_tanh`, `quick_gelu`.
        eps: of the layer norms.
        image_size: rows and columns of the images in pixels.
    """

    path: Path
    activation: str | None = None
    eps: float | None = None
    image_size: tuple[int, int] | None = None


def read_config(weights: Path) -> WeightsConfig | None:
    """Read the config beside a weight file; None if there is none, or it describes no vision tower.

    Raises:
        UsageError: it is no JSON object.
    """
    names = reversed(NAMES) if weights.name.startswith("open_clip") else NAMES
    for path in (weights.parent / name for name in names):
        if path.is_file() and (found := _parse(path)):
            return found
    return None


def tower_activation(tower: nn.Module) -> str | None:
    """Give the activation of a Vision Transformer's feed-forward layers by timm's name; None for any other."""
    for module in tower.modules():
        if isinstance(module, activations.QuickGELU):
            return "quick_gelu"
        if isinstance(module, activations.GELUTanh):
            return "gelu_tanh"
        if isinstance(module, (activations.GELU, nn.GELU)):
            return "gelu_tanh" if getattr(module, "approximate", "none") == "tanh" else "gelu"
    return None


def tower_eps(tower: nn.Module) -> float | None:
    """Give the eps of a tower's first layer norm."""
    return next((module.eps for module in tower.modules() if isinstance(module, nn.LayerNorm)), None)


def matching_model(name: str, activation: str) -> str:
    """Give the setting that builds timm's model `name` with another activation: a timm model, or an argument."""
    shape = re.fullmatch(r"(vit_[a-z]+_patch\d+)_(?:clip_)?(?:quickgelu_)?(\d+)", name)
    if shape and activation in ("gelu", "quick_gelu"):
        other = f"{shape[1]}_clip_{'quickgelu_' if activation == 'quick_gelu' else ''}{shape[2]}"
        if timm.is_model(other) and other != name:
            return f"the timm model {other}"
    return f"the argument act_layer={activation} of timm (vision.kwargs)"


def _parse(path: Path) -> WeightsConfig | None:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no JSON file ({error}); remove or replace it") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} is no JSON object; remove or replace it")
    if isinstance(data.get("model_cfg"), dict):
        return _from_open_clip(path, data["model_cfg"])
    if "architecture" in data:
        return _from_timm(path, data)
    return _from_transformers(path)


def _from_open_clip(path: Path, model: Mapping[str, Any]) -> WeightsConfig:
    """Read a config of open_clip; `quick_gelu` is of its own towers, a tower of timm has the activation of its name."""
    vision = model.get("vision_cfg") or {}
    size = _pair(vision.get("image_size"))
    if name := vision.get("timm_model_name"):
        return WeightsConfig(path, _timm_activation(name, None), None, size)
    eps = (vision.get("norm_kwargs") or {}).get("eps", OPEN_CLIP_EPS)
    return WeightsConfig(path, "quick_gelu" if model.get("quick_gelu") else "gelu", eps, size)


def _from_timm(path: Path, data: Mapping[str, Any]) -> WeightsConfig:
    pretrained, arguments = data.get("pretrained_cfg") or {}, data.get("model_args") or {}
    activation = arguments.get("act_layer")
    if not isinstance(activation, str):
        activation = _timm_activation(data["architecture"], pretrained.get("tag"))
    size = arguments.get("img_size") or (pretrained.get("input_size") or (None, None))[1:]
    return WeightsConfig(path, activation, None, _pair(size))


def _timm_activation(name: str, tag: str | None) -> str | None:
    """Give the activation of a timm Vision Transformer; some weights under a plain name were trained with QuickGELU."""
    if not name.startswith("vit_"):
        return None
    native = name.replace("_clip_", "_clip_quickgelu_")
    quick = "_quickgelu_" in name or (tag and timm.is_model_pretrained(f"{native}.{tag}"))
    plain = re.fullmatch(r"vit_\w+_patch\d+(_clip)?(_quickgelu)?_\d+", name)
    return "quick_gelu" if quick else "gelu" if plain else None


def _from_transformers(path: Path) -> WeightsConfig | None:
    """Read a config of transformers, with the defaults of its model type where it leaves a value out."""
    try:
        config: Any = AutoConfig.from_pretrained(path.parent, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError):  # of no model that transformers knows
        return None
    config = getattr(config, "vision_config", config)
    activation = getattr(config, "hidden_act", None)
    if not hasattr(config, "patch_size"):
        return None
    eps = getattr(config, "layer_norm_eps", None)
    activation = ACTIVATIONS.get(activation, activation) if isinstance(activation, str) else None
    return WeightsConfig(path, activation, eps, _pair(getattr(config, "image_size", None)))


def _pair(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    return (int(size[0]), int(size[1])) if isinstance(size, (list, tuple)) and len(size) == 2 and all(size) else None
