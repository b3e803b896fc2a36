"""Time to read what the search for copies needs of a JPEG, beside imagehash and the bare grey decode.

Run: python benchmarks/scan.py [--images 40]
Ours is all of it: open, read the whole stream, digest the bytes, take the fingerprint. One core but for the last
line; all loops run in turn in one process, the best of five.
"""

import argparse
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context

import imagehash
import numpy as np
from PIL import Image

from medmix.curate.copies.fingerprints import fingerprint
from medmix.curate.images import reduced

ROUNDS = 5
BUDGET = 200_000_000


def pictures(count: int, width: int, height: int) -> list[bytes]:
    """Make JPEGs of quality 90 with detail at all scales."""
    draws = np.random.default_rng(0)
    made = []
    for _ in range(count):
        total = np.zeros((height, width), np.float32)
        for cells in (6, 24, 96, 384):
            layer = Image.fromarray(draws.normal(size=(cells * height // width, cells)).astype(np.float32))
            total += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC)) * (24 / cells) ** 0.7
        out = BytesIO()
        grey = Image.fromarray(np.clip(total * 30 + 128, 0, 255).astype(np.uint8))
        grey.convert("RGB").save(out, "JPEG", quality=90)
        made.append(out.getvalue())
    return made


def ours(data: bytes) -> None:
    """Scan an image."""
    hashlib.sha256(data).hexdigest()
    fingerprint(np.asarray(reduced(data, BUDGET)))


def theirs(data: bytes) -> None:
    """Take a 64-bit pHash."""
    imagehash.phash(Image.open(BytesIO(data)))


def full(data: bytes) -> None:
    """Decode to grey at full size."""
    Image.open(BytesIO(data)).convert("L").load()


def floor(data: bytes) -> None:
    """Decode to grey at full size and let the decoder leave the colour out."""
    image = Image.open(BytesIO(data))
    image.draft("L", image.size)
    image.load()


def milliseconds(loops: list[Callable[[bytes], None]], images: list[bytes]) -> list[float]:
    """Time loops in turn and give the best of each, per image."""
    best = [float("inf")] * len(loops)
    for _ in range(ROUNDS):
        for place, loop in enumerate(loops):
            started = time.perf_counter()
            for data in images:
                loop(data)
            best[place] = min(best[place], (time.perf_counter() - started) / len(images) * 1e3)
    return best


def several(images: list[bytes]) -> float:
    """Scan in one of several processes, after a first image, and give the seconds."""
    ours(images[0])
    started = time.perf_counter()
    for data in images:
        ours(data)
    return time.perf_counter() - started


def main() -> None:
    """Print one line per size, then the gain of a second worker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40)
    arguments = parser.parse_args()
    print("size         ours ms  grey decode  RGB decode and grey  imagehash  ours/decode  imagehash/ours")
    for width, height in ((1024, 800), (2048, 2500)):
        images = pictures(max(4, arguments.images * 800_000 // (width * height)), width, height)
        mine, bare, colour, peer = milliseconds([ours, floor, full, theirs], images)
        print(
            f"{width}x{height:5}  {mine:8.2f}  {bare:11.2f}  {colour:19.2f}  {peer:9.2f}  "
            f"{mine / bare:11.2f}  {peer / mine:14.2f}"
        )
    images = pictures(arguments.images, 1024, 800) * 5
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        alone = min(pool.submit(several, images).result() for _ in range(2))
        together = max(pool.map(several, [images, images]))
    print(f"two workers: {2 * alone / together:.2f} times one")


if __name__ == "__main__":
    main()
