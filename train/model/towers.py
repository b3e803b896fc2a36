"""The vision tower: a timm Vision Transformer, or the residual network of CLIP."""

from typing import Any, cast

import timm
import torch
from timm.models import ByobNet, VisionTransformer
from torch import Tensor, nn

from medmix.curate.errors import UsageError

from ..recipe import Vision


class VisionTower(nn.Module):
    """Encodes N images [N, 3, S, S] as P tokens of width W: the patches, after the class token if the recipe has it.

    `timm` is the model. Batch norms stay in evaluation mode, because statistics of a batch would depend on which
    images share it.

    Raises:
        UsageError: timm cannot build the model, or it is of another kind.
    """

    def __init__(self, vision: Vision) -> None:
        super().__init__()
        self.timm = _build(vision)
        self.width: int = self.timm.num_features
        prefix = getattr(self.timm, "num_prefix_tokens", 0)
        self.num_skipped = 0 if vision.cls_token else prefix
        if isinstance(self.timm, VisionTransformer):
            self.num_tokens: int = prefix + self.timm.patch_embed.num_patches - self.num_skipped
        else:
            self.num_tokens = (vision.size // self.timm.feature_info[-1]["reduction"]) ** 2

    def forward(self, pixels: Tensor) -> Tensor:
        """Give the tokens, [N, P, W]."""
        features: Tensor = self.timm.forward_features(pixels)
        if features.ndim == 4:  # [N, W, rows, columns]
            features = features.flatten(2).transpose(1, 2)
        return features[:, self.num_skipped :]

    def train(self, mode: bool = True) -> "VisionTower":
        """Set the mode of all modules but the batch norms."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def checkpoint_activations(self) -> None:
        """Keep the activations of one layer at a time."""
        cast(Any, self.timm).set_grad_checkpointing(True)

    @property
    def layers(self) -> list[nn.Module]:
        """The layers, from input to output."""
        stack = self.timm.blocks if isinstance(self.timm, VisionTransformer) else self.timm.stages
        return list(cast(nn.Sequential, stack).children())


def all_weights_used(vision: Vision) -> bool:
    """Tell whether every weight of a tower gets a gradient; some of timm have a norm that only a classifier uses."""
    with torch.device("meta"):
        tower = VisionTower(vision)
        tower(torch.zeros(1, 3, vision.size, vision.size)).sum().backward()
    return all(parameter.grad is not None for parameter in tower.parameters())


def _build(vision: Vision) -> Any:
    size: dict[str, Any] = {} if vision.timm.startswith("resnet") else {"img_size": vision.size}
    try:
        tower = timm.create_model(vision.timm, num_classes=0, **size, **vision.kwargs)
    except (RuntimeError, TypeError, AssertionError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"vision.timm: timm cannot build {vision.timm}: {reason}") from None
    clip_resnet = isinstance(tower, ByobNet) and vision.timm.startswith("resnet") and "_clip" in vision.timm
    if not clip_resnet and not isinstance(tower, VisionTransformer):
        raise UsageError(f"vision.timm: {vision.timm} is neither a Vision Transformer of timm nor a CLIP ResNet")
    if vision.cls_token and not getattr(tower, "num_prefix_tokens", 0):
        raise UsageError(f"vision.cls_token: {vision.timm} has no class token; set it to false")
    if clip_resnet:
        cast(Any, tower).head = nn.Identity()  # its head pools the patches into one vector
    return tower
