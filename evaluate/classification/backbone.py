"""A detached encoder: from images to one vector of 2d numbers each, the same way for every encoder of a kind.

Two vectors of width d are put one after the other. With a class token: the token, then the mean of the patch tokens.
Without one, as in residual networks: the maximum, then the mean over the last map. So a linear head is in R^{2d x m}
for every encoder, and no pooling with weights of its own (CLIP's attention pool) comes in that some have and some
have not.
"""

from inspect import signature
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

Pooling: TypeAlias = Literal["class token + mean of patches", "maximum + mean of the map"]

CLASS_AND_MEAN: Pooling = "class token + mean of patches"
MAX_AND_MEAN: Pooling = "maximum + mean of the map"


WITHOUT_FINAL_NORM = ("clip_vision_model", "chinese_clip_vision_model", "altclip_vision_model")
"""Models of transformers whose last norm is left out of `last_hidden_state`."""


class Backbone(nn.Module):
    """N images [N, 3, S, S] to N vectors [N, 2d].

    Attributes:
        net: the encoder.
        pooling: how its tokens become a vector.
        keep_statistics: batch norms keep the statistics that they came with, as in pretraining (`train.towers`).
    """

    def __init__(
        self,
        net: nn.Module,
        library: Literal["timm", "transformers"],
        *,
        class_token: bool,
        prefix: int = 0,
        channels_last: bool = False,
        keep_statistics: bool = True,
    ) -> None:
        """Wrap a network.

        Args:
            net: the encoder.
            library: whose way of giving tokens it has.
            class_token: the first token is one.
            prefix: how many tokens come before the patches, the class token among them.
            channels_last: a map comes as [N, rows, columns, d], not [N, d, rows, columns].
            keep_statistics: see above.
        """
        super().__init__()
        self.net = net
        self.library = library
        self.prefix = prefix
        self.channels_last = channels_last
        self.keep_statistics = keep_statistics
        self.pooling: Pooling = CLASS_AND_MEAN if class_token else MAX_AND_MEAN

    def forward(self, images: Tensor) -> Tensor:
        """Give the vectors, [N, 2d]."""
        tokens = self._tokens(images)
        patches = tokens[:, self.prefix :]
        first = tokens[:, 0] if self.pooling == CLASS_AND_MEAN else patches.amax(1)
        return torch.cat([first, patches.mean(1)], 1)

    def _tokens(self, images: Tensor) -> Tensor:
        """Give the tokens of each image, [N, P, d], after the last norm."""
        net: Any = self.net
        if self.library == "timm":
            found: Tensor = net.forward_features(images)
        else:
            found = net(images, **self._interpolation_argument(images)).last_hidden_state
            if net.config.model_type in WITHOUT_FINAL_NORM:
                found = net.post_layernorm(found)
        if found.ndim == 3:
            return found
        return found.flatten(1, 2) if self.channels_last else found.flatten(2).transpose(1, 2)

    def _interpolation_argument(self, images: Tensor) -> dict[str, bool]:
        """Ask transformers to resample its position embedding where the images are of another size."""
        asked = "interpolate_pos_encoding"
        own = getattr(self.net.config, "image_size", images.shape[-1])
        knows = asked in signature(self.net.forward).parameters  # DINOv2 does it unasked
        return {asked: True} if knows and own != images.shape[-1] else {}

    def train(self, mode: bool = True) -> "Backbone":
        """Set the mode, of batch norms only where their statistics may change."""
        super().train(mode)
        if self.keep_statistics:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


class Classifier(nn.Module):
    """A backbone and a linear head: [N, 3, S, S] to logits [N, K]."""

    def __init__(self, backbone: Backbone, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Give the logits, [N, K] float32."""
        logits: Tensor = self.head(self.backbone(images)).float()
        return logits
