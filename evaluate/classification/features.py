"""The vectors that a frozen encoder gives for a set, taken once for all probes: a memory-mapped cache."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from medmix.curate.progress import say
from medmix.curate.shards import replacing

from .encoders import Encoder, state_digest
from .finetune import read_ahead
from .image_cache import Pictures, new_array
from .transforms import normalised

VERSION = "1"
"""Of how vectors are taken; another one takes them again."""

BATCH = 64


def load(
    encoder: Encoder, pictures: Pictures, seed: int, precision: str, cache: Path, device: torch.device
) -> npt.NDArray[np.float32]:
    """Give the vectors of all images of a set, float32 [N, 2d], from the cache where it has them.

    The cache's name has the digests of the encoder's tensors and of the images, the pixels' size, mean and standard
    deviation, and the precision. `seed` decides the tensors of an encoder with random ones.
    """
    backbone = encoder.build(seed).eval()
    digest = encoder.digest or state_digest(backbone.state_dict())
    pixels = f"{pictures.size}-{'_'.join(f'{value:.4f}' for value in (*encoder.mean, *encoder.std))}"
    path = cache / f"features-{digest[:16]}-{pictures.digest[:16]}-{pixels}-{precision}-{VERSION}.npy"
    if not path.is_file():
        say(f"features of {encoder.name} for {len(pictures.pixels)} images")
        _take(backbone.to(device), encoder, pictures, precision, path, device)
    found: npt.NDArray[np.float32] = np.load(path, mmap_mode="r")
    return found


@torch.inference_mode()
def _take(
    backbone: torch.nn.Module, encoder: Encoder, pictures: Pictures, precision: str, path: Path, device: torch.device
) -> None:
    mean, std = (torch.tensor(values, device=device) for values in (encoder.mean, encoder.std))
    with replacing(path) as temporary:
        out = new_array(temporary, np.float32, (len(pictures.pixels), encoder.width))
        for places, batch in read_ahead(pictures, np.arange(len(pictures.pixels)), BATCH):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                vectors = backbone(normalised(batch, mean, std))
            out[places] = vectors.float().cpu().numpy()
