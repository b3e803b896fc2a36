"""Whether fine-tuning waits for data, and what the caches of pixels and of features save.

Beside ours, the usual loop: a Dataset that decodes each image each time, and torch's DataLoader. Both feed the same
model. `loader alone` is what the data side can give at most, with nothing to wait for; where it is above what a GPU
takes, the GPU does not wait. Ours reads uint8 pixels on the CPU and normalises and augments where the model is: on a
GPU the first line of ours counts, on a CPU the second. The usual loop does not augment.

    OMP_NUM_THREADS=1 python benchmarks/transfer.py --data ../shared/data
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from medmix.curate.measure.images import decode_rgb  # noqa: E402
from medmix.evaluate.classification import features, finetune, image_cache, recipe  # noqa: E402
from medmix.evaluate.classification.backbone import Classifier  # noqa: E402
from medmix.evaluate.classification.encoders import open_encoder  # noqa: E402
from medmix.evaluate.classification.samples import Sample  # noqa: E402
from medmix.evaluate.classification.transforms import augment_images, normalize  # noqa: E402
from medmix.train.data.collate import to_tensor  # noqa: E402
from medmix.train.recipe import Vision  # noqa: E402

SETS = {
    "dermoscopy, JPEG 224 x 224": ("ham10000/HAM10000_images_part_1", "*.jpg"),
    "chest films, PNG to 4 megapixels": ("covid19_image_repository/png", "*.png"),
}
SIZE, BATCH = 224, 32
BUDGET = 10**9


class Decoding(Dataset[Tensor]):
    """Decodes, pads and resizes each image each time."""

    def __init__(self, paths: list[Path], vision: Vision) -> None:
        self.paths, self.vision = paths, vision

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> Tensor:
        return to_tensor(decode_rgb(self.paths[place].read_bytes(), BUDGET), self.vision)


def epoch(batches: Iterator[Tensor], step: Callable[[Tensor], None] | None) -> tuple[float, float]:
    """Give the seconds of an epoch and how many of them went by until a batch was there."""
    started, waited = time.perf_counter(), 0.0
    while True:
        asked = time.perf_counter()
        images = next(batches, None)
        waited += time.perf_counter() - asked
        if images is None:
            return time.perf_counter() - started, waited
        if step is not None:
            step(images)


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--images", type=int, default=96, help="of each set")
    parser.add_argument("--timm", default="vit_tiny_patch16_224", help="the tower that both loops train")
    arguments = parser.parse_args()
    settings = recipe.load("transfer", (f"scratch.timm={arguments.timm}", "precision=fp32"))
    encoder = open_encoder("scratch", settings)
    vision = Vision("", SIZE, encoder.mean, encoder.std)
    mean, std = torch.tensor(encoder.mean), torch.tensor(encoder.std)
    for name, (folder, pattern) in SETS.items():
        paths = sorted((arguments.data / folder).glob(pattern))[: arguments.images]
        samples = [Sample(path.name, path, (number % 2,)) for number, path in enumerate(paths)]
        labels = torch.arange(len(paths)) % 2
        torch.manual_seed(0)
        model = Classifier(encoder.build(0), encoder.width, 2).train()
        optimizer = finetune.make_optimizer(model, settings)

        def step(
            images: Tensor,
            model: Classifier = model,
            optimizer: torch.optim.Optimizer = optimizer,
            labels: Tensor = labels,
        ) -> None:
            finetune.train_step(model, optimizer, images, labels[: len(images)], settings)

        with tempfile.TemporaryDirectory() as scratch:
            cache = Path(scratch)
            started = time.perf_counter()
            image_cache.load(samples, SIZE, cache, BUDGET)
            first = time.perf_counter() - started
            started = time.perf_counter()
            decoded = image_cache.load(samples, SIZE, cache, BUDGET)
            again = time.perf_counter() - started
            order = np.random.default_rng(0).permutation(len(paths))

            def read(decoded: image_cache.ImageCache = decoded, order: np.ndarray = order) -> Iterator[Tensor]:
                for _, batch in finetune.prefetch_batches(decoded, order, BATCH):
                    yield batch.pixels

            def ours(decoded: image_cache.ImageCache = decoded, order: np.ndarray = order) -> Iterator[Tensor]:
                random = torch.Generator().manual_seed(0)
                for _, batch in finetune.prefetch_batches(decoded, order, BATCH):
                    yield augment_images(normalize(batch, mean, std), settings.augment, random)

            def usual(paths: list[Path] = paths) -> Iterator[Tensor]:
                return iter(DataLoader(Decoding(paths, vision), BATCH, shuffle=True))

            print(f"\n{name}: {len(paths)} images, {arguments.timm} at {SIZE}, batches of {BATCH}")
            print(f"  decode once into the cache {first:.2f} s, open it again {again:.3f} s")
            print(f"  ours, read from the cache    loader alone {len(paths) / epoch(read(), None)[0]:8.0f} images/s")
            both = {"ours, and augment_images here": ours, "usual loop, decodes": usual}
            alone = dict.fromkeys(both, float("inf"))
            taken = dict.fromkeys(both, (float("inf"), 0.0))
            for _ in range(3):  # in turn, since other work may lie beside it
                for label, batches in both.items():
                    alone[label] = min(alone[label], epoch(batches(), None)[0])
                    taken[label] = min(taken[label], epoch(batches(), step))
            for label, (whole, waited) in taken.items():
                print(
                    f"  {label:28} loader alone {len(paths) / alone[label]:8.0f} images/s; epoch {whole:6.2f} s, "
                    f"of which waiting for data {100 * waited / whole:5.1f} %"
                )
            device = torch.device("cpu")
            times = []
            for _ in range(2):
                started = time.perf_counter()
                features.load(encoder, decoded, 0, "fp32", cache, device)
                times.append(time.perf_counter() - started)
            print(f"  features for a probe: {times[0]:.2f} s, from the cache {times[1]:.3f} s")


if __name__ == "__main__":
    main()
