"""Loads pretrained towers: finds the file, detects the layout of its keys, and converts them to timm's names.

Layouts of a tower's state dict: timm itself; open_clip around timm (BiomedCLIP, `visual.trunk.*`); OpenAI CLIP and
open_clip's own towers, transformer or residual (`visual.*`; PMC-CLIP, with `module.` before it); transformers' CLIP
(`vision_model.*`, PubMedCLIP) and ViT (`embeddings.*`).
"""

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from timm.layers import resample_abs_pos_embed
from timm.models import VisionTransformer, byobnet
from torch import Tensor, nn

from medmix.curate.errors import UsageError
from medmix.curate.tables import input_errors

from ..rank_zero import say
from ..recipe import Weights

STATE_DICTS = (".safetensors", ".bin", ".pt", ".pth")
"""Suffixes of weight files; other paths are folders."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
"""Weight files to look for in a folder."""

MAX_LISTED = 10
"""How many mismatched keys a message lists."""

Renames = tuple[tuple[str, str], ...]
"""Regular expressions over keys and their replacements, applied in order."""

OPENAI: Renames = (
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^conv1\.", "patch_embed.proj."),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)
TRANSFORMERS_CLIP: Renames = (
    (r"^embeddings\.class_embedding$", "cls_token"),
    (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
    (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
    (r"^pre_layrnorm\.", "norm_pre."),  # as transformers spells it
    (r"^post_layernorm\.", "norm."),
    (r"^encoder\.layers\.", "blocks."),
    (r"\.layer_norm([12])\.", r".norm\1."),
    (r"\.self_attn\.([qkv])_proj\.", r".attn.\1."),
    (r"\.self_attn\.out_proj\.", ".attn.proj."),
)
TRANSFORMERS_VIT: Renames = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^layernorm\.", "norm."),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.attention\.([qkv])(?:uery|ey|alue)\.", r".attn.\1."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
)

LAYOUTS = (
    ("OpenAI CLIP", "visual.", "class_embedding", OPENAI),
    ("transformers CLIP", "vision_model.", "embeddings.class_embedding", TRANSFORMERS_CLIP),
    ("transformers CLIP", "", "embeddings.class_embedding", TRANSFORMERS_CLIP),
    ("transformers ViT", "vit.", "embeddings.cls_token", TRANSFORMERS_VIT),
    ("transformers ViT", "", "embeddings.cls_token", TRANSFORMERS_VIT),
)
"""Layouts of Vision Transformers: name, prefix of the tower's keys, a key that only this layout has, renames."""


class SourceTensor(NamedTuple):
    """A tensor, and the keys that it had in the file."""

    keys: tuple[str, ...]
    value: Tensor


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
        UsageError: the file does not exist, is no state dict, or does not fit the tower.
    """
    validate_weights({"vision.weights.path": weights})
    path = _weight_file(Path(weights.path))
    state = read_state_dict(path)
    layout, converted = to_timm(state, isinstance(tower, byobnet.ByobNet))
    wanted = tower.state_dict()
    used = {name: tensor.value for name, tensor in converted.items() if name in wanted}
    note = _resample_position_embedding(tower, used)
    problems = [f"has no {name}" for name in wanted if name not in used and "num_batches_tracked" not in name]
    problems += [
        f"{name} is {list(used[name].shape)}, not {list(wanted[name].shape)}"
        for name in wanted
        if name in used and used[name].shape != wanted[name].shape
    ]
    if problems:
        more = f" and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        raise UsageError(
            f"{path} does not fit the tower of the recipe ({layout} layout): {', '.join(problems[:MAX_LISTED])}{more}"
        )
    tower.load_state_dict(used, strict=False)
    taken = {key for name in used for key in converted[name].keys}
    ignored = _grouped([key for key in state if key not in taken])
    say(f"{path}: {len(taken)} of {len(state)} keys used ({layout} layout{note}); ignored: {ignored or 'none'}")


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


def to_timm(state: dict[str, Tensor], residual: bool) -> tuple[str, dict[str, SourceTensor]]:
    """Convert a state dict to timm's names.

    Args:
        state: in any of the layouts above.
        residual: the tower is the residual network of CLIP, not the transformer; both have keys under `visual.`.

    Returns:
        The layout's name, and the tensors by timm's names.
    """
    if any(key.startswith("visual.trunk.") for key in state):
        return "open_clip", _renamed(state, "visual.trunk.", ())
    if residual:
        if "visual.conv1.weight" not in state:
            return "timm", _renamed(state, "", ())
        found: dict[str, SourceTensor] = {}
        for key, value in state.items():
            if key.startswith("visual.") and not key.startswith("visual.attnpool."):
                name, tensor = next(iter(byobnet._convert_openai_clip({key: value}, _NO_POOL).items()))
                found[name] = SourceTensor((key,), tensor)
        return "OpenAI CLIP ResNet", found
    for layout, prefix, key, renames in LAYOUTS:
        if f"{prefix}{key}" in state:
            return layout, _renamed(state, prefix, renames)
    return "timm", _renamed(state, "", ())


_NO_POOL: Any = SimpleNamespace(head=None)
"""A model for timm's conversion of a residual CLIP, which reads its head alone."""


def _renamed(state: dict[str, Tensor], prefix: str, renames: Renames) -> dict[str, SourceTensor]:
    """Rename the keys under a prefix; query, key and value are joined in one matrix, as in timm."""
    found: dict[str, SourceTensor] = {}
    for key, value in state.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            for pattern, replacement in renames:
                name = re.sub(pattern, replacement, name)
            found[name] = SourceTensor((key,), value)
    for query in [name for name in found if ".attn.q." in name]:
        parts = [found.pop(query.replace(".q.", f".{part}."), SourceTensor((), torch.empty(0))) for part in "qkv"]
        keys = tuple(key for keys, _ in parts for key in keys)
        found[query.replace(".q.", ".qkv.")] = SourceTensor(keys, torch.cat([value for _, value in parts]))
    for name in ("cls_token", "pos_embed"):
        if name in found:
            value = found[name].value
            found[name] = found[name]._replace(value=value.reshape(1, -1, value.shape[-1]))
    return found


def _resample_position_embedding(tower: nn.Module, used: dict[str, Tensor]) -> str:
    """Resample the position embedding of another image size, as timm does; give a note about it, or ""."""
    if not isinstance(tower, VisionTransformer) or tower.pos_embed is None or "pos_embed" not in used:
        return ""
    have, want = used["pos_embed"].shape, tower.pos_embed.shape
    if have == want or have[-1] != want[-1]:
        return ""
    prefix = 0 if tower.no_embed_class else tower.num_prefix_tokens
    used["pos_embed"] = resample_abs_pos_embed(
        used["pos_embed"], list(tower.patch_embed.grid_size), num_prefix_tokens=prefix
    )
    return f", {have[1]} positions resampled to {want[1]}"


def _weight_file(path: Path) -> Path:
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
