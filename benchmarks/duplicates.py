"""Time and memory of the search for copies among generated fingerprints, and of what it finds.

Run: python benchmarks/duplicates.py [--sizes 100000 1000000 3350000] [--workers 2] [--peer PYTHON]
Half of the images are chest-like: they share many of their keys and, within bits, their hash; a tenth is near-black,
with few keypoints; a twentieth shows one placeholder; 2 % are altered copies of others, whose recall is printed.
Each image has another view (its middle), seven in ten a second one (squeezed to a square), like its whole in kind.
"Against all" searches 1 % new images against the rest. Memory is that of a fresh process, fingerprints included.
With `--peer`, the Python of an environment that has imagededup, its search (64-bit hashes, defaults) runs on as many
hashes as ours on fingerprints, first of all and at a smaller size, since its work grows with the square.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

from medmix.curate.copies.clusters import greedy_clusters
from medmix.curate.copies.fingerprints import BITS, FINGERPRINT, KEYPOINTS, Fingerprints, Views
from medmix.curate.copies.neighbours import candidates

PART = 50_000
CHEST, BLACK, PLACEHOLDER, COPIES = 0.5, 0.1, 0.05, 0.02
KEPT = 0.35
"""Share of an altered copy's keys that are unchanged: what a JPEG at quality 75 of a crop of 5 % leaves."""


def generate(size: int, seed: int = 0, placeholder: float = PLACEHOLDER) -> tuple[Fingerprints, np.ndarray]:
    """Make `size` fingerprints in random order, and (original, copy) places."""
    draws = np.random.default_rng(seed)
    prints = np.zeros(size, FINGERPRINT)
    # the keys that chest films share, drawn by rank: on real films two strangers share a key once in 240 pairs
    common = draws.integers(0, 1 << BITS, 3_000_000, np.uint32)
    chest_hash = draws.integers(0, 2, 256, np.uint8)
    dark = draws.integers(0, 2, (500, 256), np.uint8)
    for start in range(0, size, PART):
        part = prints[start : start + PART]
        kind = draws.random(len(part))
        _fill(part, draws)
        chest = kind < CHEST
        ranks = (draws.pareto(0.6, (chest.sum(), KEYPOINTS)) * 6000).astype(np.int64) % len(common)
        shared = draws.random(ranks.shape) < 0.25
        part["keys"][chest] = np.where(shared, common[ranks], part["keys"][chest])
        flips = draws.random((chest.sum(), 256)) < np.linspace(0.08, 0.45, 256)
        part["hash"][chest] = np.packbits(chest_hash ^ flips, axis=1).view("<u8")
        black = (kind >= CHEST) & (kind < CHEST + BLACK)
        part["count"][black] = draws.integers(0, 10, black.sum())
        noise = draws.random((black.sum(), 256)) < 0.12
        part["hash"][black] = np.packbits(dark[draws.integers(0, len(dark), black.sum())] ^ noise, axis=1).view("<u8")
    same = draws.random(size) < placeholder
    prints[same] = prints[0]
    for name in ("keys", "places", "doubts"):
        prints[name][np.arange(KEYPOINTS) >= prints["count"][:, None]] = 0
    return prints, _copies(prints, np.flatnonzero(~same), draws)


SQUEEZED = 0.7


def generate_views(size: int) -> tuple[Views, np.ndarray]:
    """Make the views of `size` images, and (original, copy) places."""
    whole, truth = generate(size)
    middles, squares = (generate(size, seed, placeholder=0)[0] for seed in (1, 2))
    places = np.arange(size)
    squeezed = places[places % 10 < 10 * SQUEEZED]
    owner = np.concatenate([places, squeezed])
    order = np.argsort(owner, kind="stable")
    return Views(whole, np.concatenate([middles, squares[squeezed]])[order], owner[order]), truth


def _fill(part: Fingerprints, draws: np.random.Generator) -> None:
    part["width"], part["height"] = 142, 116
    part["count"] = KEYPOINTS
    part["hash"] = draws.integers(0, 1 << 64, part["hash"].shape, np.uint64, endpoint=False)
    part["keys"] = draws.integers(0, 1 << BITS, part["keys"].shape, np.uint32)
    part["places"] = draws.integers(0, 256, part["places"].shape, np.uint8)
    part["places"][:, :, 2] = draws.integers(32, 100, part["places"].shape[:2], np.uint8)
    part["doubts"] = draws.integers(0, BITS - 1, part["doubts"].shape, np.uint8)
    part["doubts"] |= draws.integers(0, 2, part["doubts"].shape, np.uint8) << 7


def _copies(prints: Fingerprints, places: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Overwrite some images by altered copies of others: keys lost, places moved by up to 2 %, hash bits turned."""
    chosen = draws.permutation(places)[: 2 * int(COPIES * len(prints))].reshape(-1, 2)
    chosen = chosen[prints["count"][chosen[:, 0]] == KEYPOINTS]
    original, copy = chosen.T
    made = prints[original]
    lost = draws.random(made["keys"].shape) > KEPT
    made["keys"] = np.where(lost, draws.integers(0, 1 << BITS, lost.shape, np.uint32), made["keys"])
    moved = made["places"][:, :, :2].astype(np.int16) + draws.integers(-5, 6, (*lost.shape, 2), np.int16)
    made["places"][:, :, :2] = np.clip(moved, 0, 255)
    flips = np.packbits(draws.random((len(made), 256)) < 0.3, axis=1).view("<u8")
    made["hash"] ^= flips
    prints[copy] = made
    return np.sort(chosen, axis=1)


def measure(size: int, workers: int) -> dict[str, float]:
    """Search and cluster in this process."""
    views, truth = generate_views(size)
    prints = views.whole
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, busy = time.monotonic(), time.process_time()
    pairs = candidates(views, workers=workers)
    searched, busy = time.monotonic(), time.process_time() - busy
    alone = len(np.unique(greedy_clusters(pairs, np.arange(size))))
    clustered = time.monotonic()
    new = candidates(views, known=size - size // 100, workers=workers)
    ended = time.monotonic()
    found = np.isin(truth[:, 0] << 32 | truth[:, 1], pairs[:, 0] << 32 | pairs[:, 1])
    placeholder = int((prints["hash"] == prints["hash"][0]).all(axis=1).sum()) - 1
    return {
        "search": searched - started,
        "cpu": busy,
        "cluster": clustered - searched,
        "against": ended - clustered,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "generated": before / 1024,
        "pairs": len(pairs) - placeholder,
        "true": len(truth),
        "recall": float(found.mean()),
        "clusters": alone,
        "new": len(new),
    }


PEER_SIZE = 20_000
PEER = """
import json, sys, time
from imagededup.methods import PHash
hashes = json.load(open(sys.argv[1]))
started = time.monotonic()
PHash(verbose=False).find_duplicates(encoding_map=hashes, num_dist_workers=int(sys.argv[2]))
print(time.monotonic() - started)
"""


def compare_with_imagededup(python: str, workers: int) -> None:
    """Print the time of our search and of imagededup's on the hashes of the same images."""
    views, _ = generate_views(PEER_SIZE)
    prints = views.whole
    started = time.monotonic()
    candidates(views, workers=workers)
    mine = time.monotonic() - started
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({str(place): f"{int(word):016x}" for place, word in enumerate(prints["hash"][:, 0])}, file)
        file.flush()
        command = [python, "-c", PEER, file.name, str(workers)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    print(f"{PEER_SIZE} images: ours {mine:.1f} s, imagededup {float(done.stdout.splitlines()[-1]):.1f} s")


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 3_350_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--peer", help="a Python that has imagededup")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.sizes[0], arguments.workers)))
        return
    if arguments.peer:
        compare_with_imagededup(arguments.peer, arguments.workers)
    print("  images  search s  its CPU s  cluster s  1 % new s  peak MiB     pairs  true copies  found  generating MiB")
    for size in arguments.sizes:
        command = [sys.executable, __file__, "--child", "--sizes", str(size), "--workers", str(arguments.workers)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        got = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{size:8}  {got['search']:8.1f}  {got['cpu']:9.1f}  {got['cluster']:9.1f}  {got['against']:9.1f}  "
            f"{got['mib']:8.0f}  "
            f"{got['pairs']:8}  {got['true']:11}  {got['recall']:5.3f}  {got['generated']:14.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
