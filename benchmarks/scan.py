"""Time to scan a JPEG, beside imagehash, imagededup and the bare grey decode.

Run: python benchmarks/scan.py [--images 40] [--peer PYTHON]
Ours is all that a build does to an image: open, read the whole stream, digest the bytes, take the fingerprint with all
its hashes (`images.measure`). One core but for the last line; the loops run in turn in one process, the best of five;
imagededup's PHash runs on the same files right after them, in the environment that `--peer` names.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from medmix.curate.measure.images import measure

ROUNDS = 5
PEER = """
import glob, sys, time
from imagededup.methods import PHash
files, method, best = sorted(glob.glob(sys.argv[1] + "/*.jpg")), PHash(verbose=False), float("inf")
for _ in range(5):
    started = time.perf_counter()
    for file in files:
        method.encode_image(file)
    best = min(best, (time.perf_counter() - started) / len(files) * 1e3)
print(best)
"""
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
    measure(data, BUDGET)


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


def peer_milliseconds(python: str, images: list[bytes]) -> float:
    """Time imagededup on the same images, per image."""
    with tempfile.TemporaryDirectory() as folder:
        for place, data in enumerate(images):
            Path(folder, f"{place}.jpg").write_bytes(data)
        done = subprocess.run([python, "-c", PEER, folder], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


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
    parser.add_argument("--peer", help="a Python that has imagededup")
    arguments = parser.parse_args()
    print("size         ours ms  grey decode  RGB decode and grey  imagehash  imagededup  ours/decode  imagehash/ours")
    for width, height in ((1024, 800), (2048, 2500)):
        images = pictures(max(4, arguments.images * 800_000 // (width * height)), width, height)
        mine, bare, colour, peer = milliseconds([ours, floor, full, theirs], images)
        other = f"{peer_milliseconds(arguments.peer, images):10.2f}" if arguments.peer else f"{'-':>10}"
        print(
            f"{width}x{height:5}  {mine:8.2f}  {bare:11.2f}  {colour:19.2f}  {peer:9.2f}  {other}  "
            f"{mine / bare:11.2f}  {peer / mine:14.2f}"
        )
    images = pictures(arguments.images, 1024, 800) * 5
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        alone = min(pool.submit(several, images).result() for _ in range(2))
        together = max(pool.map(several, [images, images]))
    print(f"two workers: {2 * alone / together:.2f} times one")


if __name__ == "__main__":
    main()
