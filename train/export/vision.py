"""Converts a timm Vision Transformer to the one of transformers that computes the same: CLIP's, SigLIP's or ViT's.

LLaVA reads the hidden states after the last layer. CLIP's and SigLIP's have no norm there, ViT's is configured to
apply it (`tie_last_hidden_states`). Inference engines know CLIP and SigLIP only.
"""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from timm.layers import GELUTanh, PatchEmbed, QuickGELU
from timm.models import VisionTransformer
from torch import Tensor, nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    PretrainedConfig,
    PreTrainedModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from medmix.curate.errors import UsageError, WorkError

Renames = tuple[tuple[str, str], ...]
"""Regular expressions over timm's key names and what transformers calls them, applied in order."""

VIT: Renames = (
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.query\.", ".attention.attention.query."),
    (r"\.attn\.key\.", ".attention.attention.key."),
    (r"\.attn\.value\.", ".attention.attention.value."),
)
CLIP: Renames = (
    (r"^cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^pos_embed$", "vision_model.embeddings.position_embedding.weight"),
    (r"^patch_embed\.proj\.", "vision_model.embeddings.patch_embedding."),
    (r"^norm_pre\.", "vision_model.pre_layrnorm."),  # as transformers spells it
    (r"^blocks\.", "vision_model.encoder.layers."),
    (r"\.norm([12])\.", r".layer_norm\1."),
    (r"\.attn\.proj\.", ".self_attn.out_proj."),
    (r"\.attn\.query\.", ".self_attn.q_proj."),
    (r"\.attn\.key\.", ".self_attn.k_proj."),
    (r"\.attn\.value\.", ".self_attn.v_proj."),
)

ACTIVATIONS = {nn.GELU: "gelu", GELUTanh: "gelu_pytorch_tanh", QuickGELU: "quick_gelu"}
"""Names in transformers of the activations of timm."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of tower in transformers, and whether inference engines load it in a LLaVA."""

    name: str
    config: Callable[..., PretrainedConfig]
    model: type[PreTrainedModel]
    renames: Renames
    served: bool


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("CLIP", CLIPVisionConfig, CLIPVisionModel, CLIP, served=True),
        Layout("SigLIP", SiglipVisionConfig, SiglipVisionModel, CLIP, served=True),
        Layout("ViT", ViTConfig, ViTModel, VIT, served=False),
    )
}


def find_layout(tower: Any, name: str) -> Layout:
    """Find the tower of transformers that computes what a timm tower does.

    Raises:
        UsageError: there is none; `name` is that of the recipe's tower.
    """
    if _is_plain(tower):
        has_class, has_pre_norm = tower.num_prefix_tokens == 1, isinstance(tower.norm_pre, nn.LayerNorm)
        has_norm = isinstance(tower.norm, nn.LayerNorm)
        if has_class and has_norm and not has_pre_norm:
            return LAYOUTS["ViT"]
        if has_class and has_pre_norm and not has_norm:
            return LAYOUTS["CLIP"]
        if not (has_class or has_pre_norm or has_norm):
            return LAYOUTS["SigLIP"]
    raise UsageError(
        f"transformers has no counterpart of {name} as it was trained; what exports: a plain Vision Transformer, or "
        "with --set 'vision.kwargs={final_norm: false}' one of CLIP or SigLIP"
    )


def to_transformers(ours: Any, size: int, layout: Layout) -> PreTrainedModel:
    """Convert a timm tower for images of `size` pixels; it keeps its dtype.

    Raises:
        WorkError: weights were lost.
    """
    block = ours.blocks[0]
    vit = {"qkv_bias": block.attn.qkv.bias is not None, "tie_last_hidden_states": True}
    more = {"SigLIP": {"vision_use_head": False}, "ViT": vit}.get(layout.name, {})
    config = layout.config(
        hidden_size=ours.embed_dim,
        num_hidden_layers=len(ours.blocks),
        num_attention_heads=block.attn.num_heads,
        intermediate_size=block.mlp.fc1.out_features,
        hidden_act=ACTIVATIONS[type(block.mlp.act)],
        layer_norm_eps=block.norm1.eps,
        image_size=size,
        patch_size=ours.patch_embed.patch_size[0],
        **more,
    )
    config.architectures = [layout.model.__name__]
    state = {name: tensor.clone() for name, tensor in _renamed(ours.state_dict(), layout).items()}
    width = ours.embed_dim
    if layout.name == "ViT":
        state |= {"pooler.dense.weight": torch.zeros(width, width), "pooler.dense.bias": torch.zeros(width)}
    else:  # a norm of the pooled features, which LLaVA does not read
        state |= {
            "vision_model.post_layernorm.weight": torch.ones(width),
            "vision_model.post_layernorm.bias": torch.zeros(width),
        }
    with tempfile.TemporaryDirectory() as scratch:  # the names in files are those that all versions read
        config.save_pretrained(scratch)
        torch.save(state, Path(scratch, "pytorch_model.bin"))
        loading: Any = layout.model.from_pretrained(scratch, dtype=ours.pos_embed.dtype, output_loading_info=True)
    theirs, info = loading
    if info["missing_keys"] or info["unexpected_keys"]:
        raise WorkError(f"the tower lost weights in the conversion to transformers: {info}")
    return cast(PreTrainedModel, theirs)


def _is_plain(tower: Any) -> bool:
    """Tell whether a tower has nothing that transformers' Vision Transformers lack, but for class token and norms."""
    if not isinstance(tower, VisionTransformer) or not isinstance(tower.patch_embed, PatchEmbed):
        return False
    parts = dict(tower.named_modules())
    return (
        tower.num_prefix_tokens <= 1
        and not tower.no_embed_class
        and tower.pos_embed is not None
        and all(isinstance(part, nn.Identity) for name, part in parts.items() if name.endswith(("ls1", "ls2", "_norm")))
        and all(_is_known_activation(part) for name, part in parts.items() if name.endswith("mlp.act"))
        and len({part.eps for name, part in parts.items() if isinstance(part, nn.LayerNorm)}) == 1
    )


def _is_known_activation(part: nn.Module) -> bool:
    return type(part) in ACTIVATIONS and getattr(part, "approximate", "none") == "none"


def _renamed(state: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Give a timm state dict transformers' names; the joined matrix for query, key and value is split."""
    found = {}
    bias = state.get("patch_embed.proj.bias")
    for key, tensor in state.items():
        name, value = key, tensor
        if layout.name != "ViT" and key == "pos_embed":
            value = tensor[0]
            if layout.name == "CLIP" and bias is not None:  # CLIP's patches have no bias; their positions take it
                value = torch.cat([value[:1], value[1:] + bias])
        if layout.name == "CLIP" and key == "patch_embed.proj.bias":
            continue
        if layout.name == "CLIP" and key == "cls_token":
            value = tensor.flatten()
        parts = zip(("query", "key", "value"), value.chunk(3), strict=True) if ".attn.qkv." in key else [("", value)]
        for word, part in parts:
            name = key.replace(".attn.qkv.", f".attn.{word}.")
            for pattern, replacement in layout.renames:
                name = re.sub(pattern, replacement, name)
            found[name] = part
    return found
