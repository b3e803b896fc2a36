"""Pretrained towers of timm and transformers, with weights from this machine, never from the network."""

from pathlib import Path
from typing import Any, TypeAlias, cast

import timm
import transformers
from timm.models import ByobNet
from torch import Tensor, nn
from transformers.utils import cached_file

from medmix.curate.errors import UsageError
from medmix.train.model import layouts, weights, weights_config
from medmix.train.recipe import Weights

from .backbone import Backbone

RGB: TypeAlias = tuple[float, float, float]

HALF: RGB = (0.5, 0.5, 0.5)
CLIP_MEAN: RGB = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: RGB = (0.26862954, 0.26130258, 0.27577711)
"""Of OpenAI's CLIP; BiomedCLIP, PubMedCLIP and PMC-CLIP use the same."""

HEAD_WIDTH = 64
"""Of each attention head in published Vision Transformers; state dicts do not contain it."""


def create_tower(name: str, size: int, kwargs: dict[str, Any]) -> nn.Module:
    """Create a timm model without its classifier, for an image size if the model needs it.

    Raises:
        UsageError: timm cannot create it.
    """
    try:
        try:
            net = timm.create_model(name, num_classes=0, img_size=size, **kwargs)
        except TypeError:  # convolutional networks take any size and have no such argument
            net = timm.create_model(name, num_classes=0, **kwargs)
    except (RuntimeError, TypeError, AssertionError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"timm cannot create {name}: {reason}; see timm.list_models()") from None
    if isinstance(net, ByobNet) and "_clip" in name:
        cast(Any, net).head = nn.Identity()  # attention pooling with its own weights
    return net


def wrap_timm(net: Any, keep_statistics: bool = True) -> Backbone:
    """Wrap a timm model as a backbone."""
    prefix = int(getattr(net, "num_prefix_tokens", 0)) if hasattr(net, "blocks") else 0
    has_token = bool(prefix) and getattr(net, "cls_token", None) is not None
    last = getattr(net, "output_fmt", None) == "NHWC"
    return Backbone(
        net, "timm", class_token=has_token, prefix=prefix, channels_last=last, keep_statistics=keep_statistics
    )


def timm_preprocessing(name: str) -> tuple[RGB, RGB, int]:
    """Return mean, standard deviation and size of the images that a timm model was pretrained on.

    Raises:
        UsageError: timm does not know it.
    """
    config = timm.get_pretrained_cfg(name) if timm.is_model(name.split(".")[0]) else None
    if config is None:
        raise UsageError(f"timm does not know {name}; see timm.list_models(pretrained=True)")
    return _as_rgb(config.mean), _as_rgb(config.std), int(config.input_size[-1])


def load_timm(name: str, size: int, place: str) -> tuple[nn.Module, str]:
    """Load a timm model with weights from a file, or from the Hub's cache on this machine.

    Raises:
        UsageError: the weights are missing, or do not fit.
    """
    net = create_tower(name, size, {})
    path = place or _cached_weights(name)
    weights.load_tower(net, Weights("", path))
    return net, path


def _cached_weights(name: str) -> str:
    config: Any = timm.get_pretrained_cfg(name)
    repo = config.hf_hub_id if config else None
    if not repo:
        raise UsageError(f"timm:{name} has no weights on the Hub; give timm:{name}=PATH")
    for file in ("model.safetensors", "pytorch_model.bin"):
        found = cached_file(repo, file, local_files_only=True, **_QUIET)
        if found:
            return str(found)
    raise UsageError(
        f"timm:{name} is not on this machine; type: hf download {repo} model.safetensors, or give timm:{name}=PATH"
    )


_QUIET = {
    "_raise_exceptions_for_gated_repo": False,
    "_raise_exceptions_for_missing_entries": False,
    "_raise_exceptions_for_connection_errors": False,
}


def load_transformers(place: str) -> tuple[Backbone, RGB, RGB, int]:
    """Load a vision model of transformers, with mean, standard deviation and size of its images.

    Raises:
        UsageError: it is not on this machine, is no vision model, or lacks weights (lists the first ten).
    """
    try:
        config = transformers.AutoConfig.from_pretrained(place, local_files_only=True)
        processor: Any = transformers.AutoImageProcessor.from_pretrained(place, local_files_only=True).to_dict()
    except (OSError, ValueError) as error:
        if Path(place).is_dir():
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(f"{place} is no vision model of transformers: {reason}") from None
        raise UsageError(
            f"transformers:{place} is not on this machine; type: hf download {place}, or give transformers:PATH"
        ) from None
    kind: Any = _vision_class(config)
    try:
        net, info = kind.from_pretrained(place, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{place} cannot be loaded: {reason}") from None
    net = getattr(net, "vision_model", net)
    lost = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    lost += [f"{key} (of another shape)" for key in sorted(str(key) for key in info["mismatched_keys"])]
    if lost:
        more = f" and {len(lost) - weights.MAX_LISTED} more" if len(lost) > weights.MAX_LISTED else ""
        raise UsageError(f"{place} does not fit its own config: has no {', '.join(lost[: weights.MAX_LISTED])}{more}")
    names = {name.rsplit(".", 1)[-1] for name, _ in net.named_parameters()}
    token = bool(names & {"cls_token", "class_embedding"})
    registers = int(getattr(net.config, "num_register_tokens", 0) or 0)
    backbone = Backbone(net, "transformers", class_token=token, prefix=token + registers)
    return (
        backbone,
        _as_rgb(processor.get("image_mean") or HALF),
        _as_rgb(processor.get("image_std") or HALF),
        _input_size(net, processor),
    )


def _vision_class(config: Any) -> Any:
    """Return the vision class of CLIP-like models; `AutoModel` would load their text model too."""
    if hasattr(config, "vision_config"):
        name = type(config).__name__.replace("Config", "VisionModel")
        if hasattr(transformers, name):
            return getattr(transformers, name)
    return transformers.AutoModel


def _input_size(net: Any, processor: dict[str, Any]) -> int:
    own = getattr(net.config, "image_size", None) or processor.get("size", {}).get("height") or 224
    return int(own[-1] if isinstance(own, (list, tuple)) else own)


def infer_tower(path: Path) -> tuple[str, dict[str, Any], RGB, RGB]:
    """Infer a tower from the names and shapes of its weights: timm model, its arguments, mean, standard deviation.

    Raises:
        UsageError: they are ambiguous.
    """
    state = weights.read_state_dict(path)
    if "visual.layer1.0.conv1.weight" in state:
        return "resnet50_clip", {}, CLIP_MEAN, CLIP_STD
    layout, renamed = layouts.to_timm(state, residual=False)
    tensors: dict[str, Tensor] = {name: tensor for name, (_, tensor) in renamed.items()}
    patches = tensors.get("patch_embed.proj.weight")
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    if patches is None or not depth or patches.shape[0] % HEAD_WIDTH or "cls_token" not in tensors:
        raise UsageError(f"{path}: cannot infer the tower from its weight names; give timm:NAME={path}")
    shape = {
        "patch_size": patches.shape[2],
        "embed_dim": patches.shape[0],
        "depth": depth,
        "num_heads": patches.shape[0] // HEAD_WIDTH,
    }
    if "norm_pre.weight" in tensors:
        config = weights_config.read_config(path)
        plain = config is not None and config.activation == "gelu"
        return f"vit_base_patch32_clip_{'' if plain else 'quickgelu_'}224", shape, CLIP_MEAN, CLIP_STD
    pixels = (CLIP_MEAN, CLIP_STD) if layout == "open_clip" else (HALF, HALF)
    return "vit_base_patch16_224", shape, *pixels


def _as_rgb(values: Any) -> RGB:
    first, second, third = (float(value) for value in values)
    return first, second, third
