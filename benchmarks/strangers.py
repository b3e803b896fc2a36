"""What it costs to find that two different images are unrelated, beside the grey decode of one.

Run: python benchmarks/strangers.py [--data DIR] [--images 24]
All pairs among some images of a set are compared, whether or not the search would propose them, as a build does it:
each image is decoded and made ready once. `figures` are made of four images each, and some share one. Milliseconds of
the processor; one thread.
"""

import argparse
import random
import sys
import time
from itertools import combinations
from pathlib import Path

import cv2
from duplicates_accuracy import SETS, load
from PIL import Image
from relations_accuracy import composite

from medmix.curate.copies import confirm
from medmix.curate.copies.colour_maps import brightness
from medmix.curate.copies.grey import reduced


def ready(images: list[Image.Image]) -> tuple[list[confirm.Prepared], float]:
    """Prepare images for comparison, and give the seconds that it takes for one."""
    started = time.process_time()
    prepared = [confirm.prepare(reduced(brightness(image), 2 * confirm.SIDE)) for image in images]
    kept = [one for one in prepared if one is not None]
    for one in kept:  # calculated when the first comparison asks for it, once for all
        picture = one.aligned
        _ = picture.points, picture.coarse, picture.middle, picture.fine, picture.is_drawing, picture.parts
        _ = picture.fine_points if picture.layout.panels else None
    return kept, (time.process_time() - started) / len(images)


def decoded(paths: list[Path]) -> float:
    """Give the seconds that the grey decode of one file takes."""
    started = time.process_time()
    for path in paths:
        with Image.open(path) as image:
            image.draft("L", image.size)
            image.convert("L")
    return (time.process_time() - started) / len(paths)


def main() -> None:
    """Print one line per set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--images", type=int, default=24)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    draws = random.Random(4)
    paths = {
        name: draws.sample(sorted(arguments.data.glob(pattern)), arguments.images) for name, pattern in SETS.items()
    }
    sets = {name: ([load(path) for path in some], decoded(some)) for name, some in paths.items()}
    every = [image for images, _ in sets.values() for image in images]
    sets["figures"] = [composite(draws.sample(every, 4), 2, 2, 6 * (number % 2)) for number in range(24)], 0.0
    sets["all sets, mixed"] = draws.sample(every, 40), 0.0
    print("set              pairs  related  decode, ms  make ready, ms  compare, ms")
    for name, (images, decode) in sets.items():
        kept, prepare = ready(images)
        pairs = list(combinations(kept, 2))
        started = time.process_time()
        related = sum(confirm.compare(one, other).kind != "unrelated" for one, other in pairs)
        compare = (time.process_time() - started) / len(pairs)
        print(f"{name:16} {len(pairs):5} {related:8} {1e3 * decode:11.1f} {1e3 * prepare:15.1f} {1e3 * compare:12.1f}")


if __name__ == "__main__":
    sys.exit(main())
