"""Encoders by name: a trained checkpoint, published baselines, models of timm or transformers, or a weights file.

    runs/v1, runs/v1/step-00001000      the tower of a medmix checkpoint
    scratch                             the recipe's tower with random weights
    biomedclip, pubmedclip, pmc-clip    from `weights/<name>`, or biomedclip=PATH
    timm:NAME, timm:NAME=PATH           weights in the Hub's cache on this machine, or in a file
    transformers:NAME_OR_PATH           a folder, or the Hub's cache on this machine
    PATH                                a weights file; the tower is inferred from names and shapes

Each encoder has its own mean, standard deviation and (if the recipe has none) size of the pixels.
"""

import hashlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError
from medmix.train.data.stream import derive_seed
from medmix.train.model.weights import STATE_DICTS, load_tower
from medmix.train.recipe import Weights
from medmix.train.run import checkpoint as checkpoints
from medmix.train.run.state import find_checkpoint

from .backbone import Backbone
from .pretrained import (
    CLIP_MEAN,
    CLIP_STD,
    RGB,
    create_tower,
    infer_tower,
    load_timm,
    load_transformers,
    timm_preprocessing,
    wrap_timm,
)
from .recipe import TransferRecipe


@dataclass(frozen=True, slots=True)
class PublishedEncoder:
    """A published encoder: the timm model of its tower, the path of its weights, the command that downloads them."""

    timm: str
    path: str
    download: str


PUBLISHED = {
    "biomedclip": PublishedEncoder(
        "vit_base_patch16_224",
        "weights/biomedclip/open_clip_pytorch_model.bin",
        "hf download microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224 open_clip_pytorch_model.bin "
        "--local-dir weights/biomedclip",
    ),
    "pubmedclip": PublishedEncoder(
        "vit_base_patch32_clip_quickgelu_224",
        "weights/pubmedclip",
        "hf download flaviagiammarino/pubmed-clip-vit-base-patch32 --local-dir weights/pubmedclip",
    ),
    "pmc-clip": PublishedEncoder(
        "resnet50_clip",
        "weights/pmc-clip/checkpoint.pt",
        "hf download axiong/pmc_oa checkpoint.pt --repo-type dataset --local-dir weights/pmc-clip",
    ),
}


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder ready for transfer.

    Attributes:
        name: as given by the user.
        kind: `checkpoint` of medmix, or another `encoder`.
        path: of its weights; None for random ones.
        digest: SHA-256 of all its tensors and their names; None if they depend on the seed.
        size, mean, std: of its input pixels.
        width: of its features, 2d.
        pooling: of its features.
        metadata: further facts, as plain data.
        build: returns a fresh copy; the seed decides random weights.
    """

    name: str
    kind: str
    path: str | None
    digest: str | None
    size: int
    mean: RGB
    std: RGB
    width: int
    pooling: str
    build: Callable[[int], Backbone]
    metadata: dict[str, Any] = field(default_factory=dict)


def open_encoder(name: str, recipe: TransferRecipe) -> Encoder:
    """Load an encoder onto the CPU.

    Raises:
        UsageError: it is unknown, missing on this machine (prints how to download it), or its keys do not fit (lists
            the first ten).
    """
    key, _, place = name.partition("=")
    if key == "scratch":
        return _scratch(recipe)
    if key in PUBLISHED:
        return _published(name, PUBLISHED[key], place, recipe)
    if key.startswith("timm:"):
        model = key.removeprefix("timm:")
        mean, std, own = timm_preprocessing(model)
        net, file = load_timm(model, recipe.size or own, place)
        return _encoder(name, wrap_timm(net), file, recipe.size or own, mean, std)
    if name.startswith("transformers:"):
        return _from_transformers(name, name.removeprefix("transformers:"), recipe)
    path = Path(name)
    if path.suffix in STATE_DICTS and path.is_file():
        return _from_file(name, path, recipe)
    if (path / "config.json").is_file():
        return _from_transformers(name, name, recipe)
    if path.is_dir():
        return _from_checkpoint(name, path, recipe)
    known = ["scratch", *PUBLISHED]
    raise UsageError(
        f"encoder {name!r} is neither a path nor a known name{nearest(name, known)}; known are {', '.join(known)}, "
        "timm:NAME, timm:NAME=PATH, transformers:NAME_OR_PATH, or the path of a checkpoint or of a weights file"
    )


def state_digest(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of tensors, 64 hex digits."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _encoder(name: str, backbone: Backbone, path: str | None, size: int, mean: RGB, std: RGB, **more: Any) -> Encoder:
    width = _width(backbone, size)
    digest = state_digest(backbone.state_dict())
    kind = more.pop("kind", "encoder")
    return Encoder(
        name, kind, path, digest, size, mean, std, width, backbone.pooling, lambda seed: deepcopy(backbone), more
    )


def _width(backbone: Backbone, size: int) -> int:
    with torch.inference_mode():
        return int(backbone.eval()(torch.zeros(1, 3, size, size)).shape[1])


def _scratch(recipe: TransferRecipe) -> Encoder:
    scratch = recipe.scratch
    size = recipe.size or timm_preprocessing(scratch.timm)[2]

    def build(seed: int) -> Backbone:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "scratch"))
            return wrap_timm(create_tower(scratch.timm, size, scratch.kwargs), keep_statistics=False)

    first = build(0)
    metadata = {"timm": scratch.timm, "kwargs": scratch.kwargs}
    return Encoder(
        "scratch",
        "encoder",
        None,
        None,
        size,
        scratch.mean,
        scratch.std,
        _width(first, size),
        first.pooling,
        build,
        metadata,
    )


def _published(name: str, published: PublishedEncoder, place: str, recipe: TransferRecipe) -> Encoder:
    path = Path(place or published.path)
    if not path.exists():
        raise UsageError(f"{name}: {path} is missing; run: {published.download}, or give {name.split('=')[0]}=PATH")
    size = recipe.size or 224
    net = create_tower(published.timm, size, {})
    load_tower(net, Weights("", str(path)))
    return _encoder(name, wrap_timm(net), str(path), size, CLIP_MEAN, CLIP_STD, timm=published.timm)


def _from_file(name: str, path: Path, recipe: TransferRecipe) -> Encoder:
    model, kwargs, mean, std = infer_tower(path)
    size = recipe.size or 224
    net = create_tower(model, size, kwargs)
    load_tower(net, Weights("", str(path)))
    return _encoder(name, wrap_timm(net), str(path), size, mean, std, timm=model, kwargs=kwargs)


def _from_transformers(name: str, place: str, recipe: TransferRecipe) -> Encoder:
    backbone, mean, std, own = load_transformers(place)
    return _encoder(name, backbone, place, recipe.size or own, mean, std)


def _from_checkpoint(name: str, path: Path, recipe: TransferRecipe) -> Encoder:
    path = find_checkpoint(path)
    trained, state = checkpoints.read(path)
    if trained.model:
        raise UsageError(f"{path} has a {trained.model.weights.repo}, which has no tower of timm; give another encoder")
    vision = trained.vision
    size = recipe.size or vision.size
    net = create_tower(vision.timm, size, vision.kwargs)
    load_tower(net, Weights("", str(path / "tower.safetensors")))
    mix = {"path": state.mix, "digest": state.mix_digest}
    return _encoder(
        name,
        wrap_timm(net),
        str(path),
        size,
        vision.mean,
        vision.std,
        kind="checkpoint",
        timm=vision.timm,
        kwargs=vision.kwargs,
        class_token_trained=vision.cls_token,
        step=state.step,
        recipe=trained.name,
        checkpoint_digest=checkpoints.digest(path),
        mix=mix,
    )
