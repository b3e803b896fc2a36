"""A detached encoder: one feature vector of width 2d per image, pooled in the same way for all encoders of a kind.

Two vectors of width d are concatenated. With a class token: the token, then the mean of the patch tokens. Without one,
as in residual networks: the maximum, then the mean over the last feature map. So a linear head is in R^{2d x m} for
every encoder, and learned pooling (CLIP's attention pool), which only some encoders have, is not used.
"""

from inspect import signature
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

Pooling: TypeAlias = Literal["class token + mean of patches", "maximum + mean of the map"]

CLASS_AND_MEAN: Pooling = "class token + mean of patches"
MAX_AND_MEAN: Pooling = "maximum + mean of the map"


WITHOUT_FINAL_NORM = ("clip_vision_model", "chinese_clip_vision_model", "altclip_vision_model")
"""Models of transformers whose `last_hidden_state` is without the last norm."""


class Backbone(nn.Module):
    """N images [N, 3, S, S] to N vectors [N, 2d].

    Attributes:
        net: the encoder.
        pooling: how its tokens become a vector.
        keep_statistics: batch norms keep their pretrained statistics, as in pretraining (`train.model.towers`).
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
            library: of the encoder.
            class_token: the first token is a class token.
            prefix: number of tokens before the patches, with the class token.
            channels_last: feature maps are [N, rows, columns, d], not [N, d, rows, columns].
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
        """Return the features, [N, 2d]."""
        tokens = self._tokens(images)
        patches = tokens[:, self.prefix :]
        first = tokens[:, 0] if self.pooling == CLASS_AND_MEAN else patches.amax(1)
        return torch.cat([first, patches.mean(1)], 1)

    def _tokens(self, images: Tensor) -> Tensor:
        """Return the tokens of each image, [N, P, d], after the last norm."""
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
        """Return the argument that resamples the position embedding of transformers for another image size."""
        asked = "interpolate_pos_encoding"
        own = getattr(self.net.config, "image_size", images.shape[-1])
        knows = asked in signature(self.net.forward).parameters  # DINOv2 always does it
        return {asked: True} if knows and own != images.shape[-1] else {}

    def train(self, mode: bool = True) -> "Backbone":
        """Set the mode; batch norms that keep their statistics stay in evaluation mode."""
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
        """Return the logits, [N, K] float32."""
        logits: Tensor = self.head(self.backbone(images)).float()
        return logits
