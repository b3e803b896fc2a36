"""Features of a dataset from a frozen encoder, computed once for all probes, in a memory-mapped cache."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from medmix.curate.progress import say
from medmix.curate.shards import replacing

from .encoders import Encoder, state_digest
from .finetune import prefetch_batches
from .image_cache import ImageCache, create_memmap
from .transforms import normalize

VERSION = "1"
"""Of the extraction; another version extracts the features again."""

BATCH_SIZE = 64


def load(
    encoder: Encoder, images: ImageCache, seed: int, precision: str, cache: Path, device: torch.device
) -> npt.NDArray[np.float32]:
    """Return the features of all images of a dataset, float32 [N, 2d], from the cache if it has them.

    The cache's file name has the digests of the encoder's tensors and of the images, the size, mean and standard
    deviation of the pixels, and the precision. `seed` decides the tensors of a randomly initialised encoder.
    """
    backbone = encoder.build(seed).eval()
    digest = encoder.digest or state_digest(backbone.state_dict())
    pixels = f"{images.size}-{'_'.join(f'{value:.4f}' for value in (*encoder.mean, *encoder.std))}"
    path = cache / f"features-{digest[:16]}-{images.digest[:16]}-{pixels}-{precision}-{VERSION}.npy"
    if not path.is_file():
        say(f"features of {encoder.name} for {len(images.pixels)} images")
        _extract(backbone.to(device), encoder, images, precision, path, device)
    found: npt.NDArray[np.float32] = np.load(path, mmap_mode="r")
    return found


@torch.inference_mode()
def _extract(
    backbone: torch.nn.Module, encoder: Encoder, images: ImageCache, precision: str, path: Path, device: torch.device
) -> None:
    mean, std = (torch.tensor(values, device=device) for values in (encoder.mean, encoder.std))
    with replacing(path) as temporary:
        out = create_memmap(temporary, np.float32, (len(images.pixels), encoder.width))
        for indices, batch in prefetch_batches(images, np.arange(len(images.pixels)), BATCH_SIZE):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                vectors = backbone(normalize(batch, mean, std))
            out[indices] = vectors.float().cpu().numpy()
