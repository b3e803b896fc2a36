"""Layouts of a tower's state dict, and the conversion of each to timm's names.

timm itself; open_clip around timm (BiomedCLIP, `visual.trunk.*`); OpenAI CLIP and open_clip's own towers, transformer
or residual (`visual.*`; PMC-CLIP, with `module.` before it); transformers' CLIP (`vision_model.*`, PubMedCLIP) and ViT
(`embeddings.*`).
"""

import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from timm.models import byobnet
from torch import Tensor

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
