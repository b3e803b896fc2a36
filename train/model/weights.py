"""Weights made elsewhere: are they here, which layout are they in, and does every key find its place.

Layouts of a tower's state dict, all brought to timm's names: timm itself; open_clip around timm (BiomedCLIP,
`visual.trunk.*`); OpenAI CLIP and open_clip's own towers, transformer or residual (`visual.*`; PMC-CLIP, with
`module.` before it); transformers' CLIP (`vision_model.*`, PubMedCLIP) and ViT (`embeddings.*`).
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from timm.layers import resample_abs_pos_embed
from timm.models import VisionTransformer, byobnet
from torch import Tensor, nn

from medmix.curate.errors import UsageError

from ..rank_zero import say
from ..recipe import Weights

STATE_DICTS = (".safetensors", ".bin", ".pt", ".pth")
"""How files with weights are called; other paths are folders."""

IN_FOLDER = ("model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
"""Files with weights that are looked for in a folder."""

NAMED = 10
"""How many keys that do not fit are named."""

Renames = tuple[tuple[str, str], ...]

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


def require_weights(needed: dict[str, Weights | None]) -> None:
    """Check that weights, under the recipe's keys for their paths, are on this machine.

    Raises:
        UsageError: some are not; names each one and the command that fetches it.
    """
    missing = []
    for key, weights in needed.items():
        if weights and not Path(weights.path).exists():
            path = Path(weights.path)
            folder, file = (path.parent, f" {path.name}") if path.suffix in STATE_DICTS else (path, "")
            fetch = f"hf download {weights.repo}{file} --local-dir {folder}"
            missing.append(f"{key}: {path} is not there; type: {fetch}, or give --set {key}=PATH")
    if missing:
        gated = "if that is refused, ask for access on the repository's page, then type: hf auth login"
        raise UsageError(f"{'; '.join(missing)}; {gated}")


def load_tower(tower: nn.Module, weights: Weights) -> None:
    """Load the weights of a timm tower, and say in one line how many keys were used and which were left.

    Raises:
        UsageError: the file is not there, is no state dict, or does not fit the tower.
    """
    require_weights({"vision.weights.path": weights})
    path = _file(Path(weights.path))
    state = read_state(path)
    layout, renamed = to_timm(state, isinstance(tower, byobnet.ByobNet))
    wanted = tower.state_dict()
    used = {name: value for name, (_, value) in renamed.items() if name in wanted}
    note = _fit_position(tower, used)
    problems = [f"has no {name}" for name in wanted if name not in used and "num_batches_tracked" not in name]
    problems += [
        f"{name} is {list(used[name].shape)}, not {list(wanted[name].shape)}"
        for name in wanted
        if name in used and used[name].shape != wanted[name].shape
    ]
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise UsageError(
            f"{path} does not fit the tower of the recipe ({layout} layout): {', '.join(problems[:NAMED])}{more}"
        )
    tower.load_state_dict(used, strict=False)
    taken = {key for name in used for key in renamed[name][0]}
    left = _grouped([key for key in state if key not in taken])
    say(f"{path}: {len(taken)} of {len(state)} keys used ({layout} layout{note}); left: {left or 'none'}")


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file, out of the training checkpoint that they may lie in.

    Raises:
        UsageError: it is no state dict that can be read.
    """
    return _unwrap(_read(path))


def to_timm(state: dict[str, Tensor], residual: bool) -> tuple[str, dict[str, tuple[tuple[str, ...], Tensor]]]:
    """Bring a state dict to timm's names.

    Args:
        state: any of the layouts above.
        residual: of two networks that are both under `visual.`, the residual one is meant.

    Returns:
        The layout's name, and by timm's name the keys that the tensor came from and the tensor.
    """
    if any(key.startswith("visual.trunk.") for key in state):
        return "open_clip", _renamed(state, "visual.trunk.", ())
    if residual:
        if "visual.conv1.weight" not in state:
            return "timm", _renamed(state, "", ())
        found: dict[str, tuple[tuple[str, ...], Tensor]] = {}
        for key, value in state.items():
            if key.startswith("visual.") and not key.startswith("visual.attnpool."):
                name, tensor = next(iter(byobnet._convert_openai_clip({key: value}, _NO_POOL).items()))
                found[name] = (key,), tensor
        return "OpenAI CLIP ResNet", found
    if "visual.class_embedding" in state:
        return "OpenAI CLIP", _renamed(state, "visual.", OPENAI)
    for prefix in ("vision_model.", ""):
        if f"{prefix}embeddings.class_embedding" in state:
            return "transformers CLIP", _renamed(state, prefix, TRANSFORMERS_CLIP)
    for prefix in ("vit.", ""):
        if f"{prefix}embeddings.cls_token" in state:
            return "transformers ViT", _renamed(state, prefix, TRANSFORMERS_VIT)
    return "timm", _renamed(state, "", ())


class _WithoutPool:
    """What timm's conversion of a residual CLIP wants to know of a model: whether it pools by attention."""

    head = None


_NO_POOL: Any = _WithoutPool()


def _renamed(state: dict[str, Tensor], prefix: str, renames: Renames) -> dict[str, tuple[tuple[str, ...], Tensor]]:
    """Rename the keys under a prefix; query, key and value become timm's one matrix."""
    found: dict[str, tuple[tuple[str, ...], Tensor]] = {}
    for key, value in state.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            for pattern, replacement in renames:
                name = re.sub(pattern, replacement, name)
            found[name] = (key,), value
    for query in [name for name in found if ".attn.q." in name]:
        parts = [found.pop(query.replace(".q.", f".{part}."), ((), torch.empty(0))) for part in "qkv"]
        keys = tuple(key for keys, _ in parts for key in keys)
        found[query.replace(".q.", ".qkv.")] = keys, torch.cat([value for _, value in parts])
    for name in ("cls_token", "pos_embed"):
        if name in found:
            keys, value = found[name]
            found[name] = keys, value.reshape(1, -1, value.shape[-1])
    return found


def _fit_position(tower: nn.Module, used: dict[str, Tensor]) -> str:
    """Resample the position embedding of another image size (as timm does); give a word about it."""
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


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in IN_FOLDER:
        if (path / name).is_file():
            return path / name
    raise UsageError(f"{path} holds no weights; there should be one of {', '.join(IN_FOLDER)}")


def _read(path: Path) -> Any:
    try:
        return load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a broken pickle or header can raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{path} is no state dict that can be read: {reason}") from error


def _unwrap(state: Any) -> dict[str, Tensor]:
    """Take the state dict out of a training checkpoint, and the wrapping of DataParallel off its keys."""
    for key in ("state_dict", "model"):
        state = state[key] if isinstance(state, dict) and isinstance(state.get(key), dict) else state
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    wrapped = bool(tensors) and all(key.startswith("module.") for key in tensors)
    return {key.removeprefix("module."): value for key, value in tensors.items()} if wrapped else tensors


def _grouped(keys: list[str]) -> str:
    """Name keys, those of one module together: `logit_scale, text.* (199)`."""
    counts = Counter(key.split(".")[0] for key in keys)
    single = sorted(key for key in keys if counts[key.split(".")[0]] == 1)
    return ", ".join([*single, *(f"{name}.* ({count})" for name, count in sorted(counts.items()) if count > 1)])
