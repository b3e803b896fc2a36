"""How many altered copies of real medical images are found, and how many different images are merged.

Run: python benchmarks/duplicates_accuracy.py [--data DIR] [--per-set 40] [--workers 2] [--peer PYTHON]
Beside ours: a 64-bit pHash within 10 bits (`imagehash`), and imagededup's PHash with its defaults where `--peer` is
the Python of an environment that has it. Intervals are Wilson's at 95 %. Images without a fingerprint or with fewer
than 8 keypoints count as near-uniform; they are left out of the recall, and counted.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random

import imagehash
import numpy as np
from alterations import CLASSES
from PIL import Image

from medmix.curate.copies import confirm
from medmix.curate.copies.colour_maps import brightness
from medmix.curate.copies.fingerprints import Fingerprints, Views, view_fingerprints
from medmix.curate.copies.neighbours import candidates
from medmix.curate.copies.sketch import sketch
from medmix.curate.measure.images import decode_rgb

BUDGET = 200_000_000
MIN_KEYPOINTS = 8
FOUND = ("copy", "panel")
"""Kinds that count as found: a narrow crop is a part."""

NEAR = 10
"""Bits: imagededup's default, and the usual choice for a 64-bit pHash."""

SETS = {
    "chest 64 px": "chestxray14_nih1000_64px/**/*.png",
    "chest": "covid19_image_repository/png/*.png",
    "brain MRI": "brain_tumor_mri/**/*.jpg",
    "ultrasound": "busi/**/*.png",
    "dermoscopy": "ham10000/HAM10000_images_part_1/*.jpg",
    "histology": "histology_tiles/*.tif",
    "PathVQA": "pathvqa/images/*/*.jpg",
    "VQA-RAD": "vqa_rad/data_RAD/images/*.jpg",
}

PEER = """
import json, sys
from imagededup.methods import PHash
print(json.dumps(PHash(verbose=False).encode_images(sys.argv[1], num_enc_workers=0)))
"""


@dataclass(frozen=True)
class Held:
    """What is kept of an image: the fingerprints of its views and its pHash."""

    prints: Fingerprints
    phash: int


def load(path: Path) -> Image.Image:
    """Decode as a build does."""
    return decode_rgb(path.read_bytes(), BUDGET)


def held(image: Image.Image) -> Held:
    """Measure an image."""
    return Held(view_fingerprints(brightness(image)), int(str(imagehash.phash(image)), 16))


@dataclass(frozen=True)
class Ready:
    """An image made ready for confirmation, as it is, against a sketch, and as a sketch."""

    plain: confirm.Prepared | None
    whitened: confirm.Prepared | None
    sketch: confirm.Prepared | None


def prepared(image: Image.Image) -> Ready:
    """Make an image ready for confirmation at about the size at which a build does."""
    small = Image.fromarray(brightness(image))
    small.thumbnail((2 * confirm.SIDE, confirm.SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small)
    kept = sketch(pixels)
    drawn = confirm.prepare_sketch(kept) if kept else None
    return Ready(confirm.prepare(pixels), confirm.prepare(pixels, for_sketch=True), drawn)


def measured(path: Path) -> Held:
    """Load and measure."""
    return held(load(path))


def altered(path: Path) -> dict[tuple[str, str], tuple[Held, float, float, float]]:
    """Give for each alteration what is kept of the copy, two likenesses, and the seconds to compare.

    They are those to the original and to its sketch, 0 if refused.
    """
    image = load(path)
    original = prepared(image)
    found = {}
    for name, (_, alterations) in CLASSES.items():
        for kind, alteration in alterations.items():
            copy = alteration(image)
            ready = prepared(copy)
            started = time.perf_counter()
            match = confirm.compare(original.plain, ready.plain)
            seconds = time.perf_counter() - started
            by_sketch = confirm.compare(original.sketch, ready.whitened)
            found[name, kind] = (
                held(copy),
                match.likeness if match.kind in FOUND else 0.0,
                by_sketch.likeness if by_sketch.same else 0.0,
                seconds,
            )
    return found


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Give Wilson's interval at 95 % (E. B. Wilson, 1927)."""
    z = 1.96
    if not total:
        return 0.0, 1.0
    centre, half = hits + z * z / 2, z * (hits * (total - hits) / total + z * z / 4) ** 0.5
    return (centre - half) / (total + z * z), (centre + half) / (total + z * z)


def share(hits: Iterable[bool]) -> str:
    """Print a share with its interval."""
    values = list(hits)
    low, high = wilson(sum(values), len(values))
    return f"{sum(values) / max(1, len(values)):.4f} [{low:.3f}, {high:.3f}]"


def groups(data: Path) -> dict[str, str]:
    """Give patient or lesion by file stem, where upstream names it."""
    with (data / "covid19_image_repository/data.csv").open() as file:
        known = {row["image_id"]: row["patient_id"] for row in csv.DictReader(file)}
    with (data / "ham10000/HAM10000_metadata.csv").open() as file:
        known |= {row["image_id"]: row["lesion_id"] for row in csv.DictReader(file)}
    return known


def peer_hashes(python: str, images: dict[str, Image.Image]) -> dict[str, int]:
    """Have imagededup hash images in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        for name, image in images.items():
            image.save(Path(folder, name + ".png"), compress_level=1)
        done = subprocess.run([python, "-c", PEER, folder], check=True, capture_output=True, text=True)
    return {
        name.removesuffix(".png"): int(value, 16) for name, value in json.loads(done.stdout.splitlines()[-1]).items()
    }


def close(hashes: list[int], group: list[str]) -> int:
    """Count the pairs of different groups within `NEAR` bits."""
    words = np.array(hashes, np.uint64)
    names = np.array(group)
    near = np.bitwise_count(words[:, None] ^ words) <= NEAR
    return int(np.triu(near & (names[:, None] != names), 1).sum())


def strangers(
    name: str, paths: list[Path], kept: list[Held], group: list[str], peer: str | None
) -> list[tuple[int, int]]:
    """Print what is merged in one set, and give the pairs that were confirmed."""
    pairs = candidates(Views.of([one.prints for one in kept])).tolist()
    started = time.perf_counter()
    ready = {place: prepared(load(paths[place])) for place in sorted(set(chain.from_iterable(pairs)))}
    ready_at = time.perf_counter()
    matches = [confirm.compare(ready[one].plain, ready[two].plain) for one, two in pairs]
    seconds = time.perf_counter() - ready_at
    sketched = [confirm.compare(ready[one].sketch, ready[two].whitened) for one, two in pairs]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    different = [
        (match, one, two) for match, (one, two) in zip(matches, pairs, strict=True) if group[one] != group[two]
    ]
    refused = max((match.likeness for match, _, _ in different if not match.same), default=0.0)
    merged = [(match, one, two) for match, one, two in different if match.same]
    drawn = [match for match, (one, two) in zip(sketched, pairs, strict=True) if group[one] != group[two]]
    likest = max(
        (match.likeness for match, (other, _, _) in zip(drawn, different, strict=True) if not other.same), default=0.0
    )
    names = np.unique(np.array(group), return_counts=True)[1]
    total = (len(paths) ** 2 - int((names**2).sum())) // 2
    hashes = close([one.phash for one in kept], group)
    theirs = ""
    if peer:
        coded = peer_hashes(peer, {str(place): load(path) for place, path in enumerate(paths)})
        theirs = str(close([coded[str(place)] for place in range(len(paths))], group))
    same_bytes = sum(digests[one] == digests[two] for _, one, two in merged)
    print(
        f"{name:12} {len(paths):6} {total:8} {len(different):10} {refused:9.3f} {len(merged):7} {same_bytes:11} "
        f"{sum(match.same for match in drawn):9} {likest:9.3f} "
        f"{hashes:8} {theirs:>10}  {1e3 * (ready_at - started) / max(1, len(ready)):5.1f} "
        f"{1e3 * seconds / max(1, len(pairs)):5.1f}"
    )
    for match, one, two in sorted(merged, key=lambda found: found[0].likeness):
        if digests[one] != digests[two]:
            print(f"    merged: {paths[one].name}, {paths[two].name}: likeness {match.likeness:.3f}")
    return [tuple(pair) for match, pair in zip(matches, pairs, strict=True) if match.same]


def main() -> None:
    """Print strangers first, then recall."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside)
    parser.add_argument("--per-set", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--peer", help="a Python that has imagededup")
    arguments = parser.parse_args()
    known = groups(arguments.data)
    files = {name: sorted(arguments.data.glob(pattern)) for name, pattern in SETS.items()}
    chosen: dict[str, list[Path]] = {}
    base: dict[Path, Held] = {}
    with ProcessPoolExecutor(arguments.workers) as pool:
        print("Different patients, lesions, tiles, slices (`likest`: likeness of the likest pair that was refused)")
        print(
            "set          images    pairs  proposed    likest  merged  same bytes  by sketch    likest  pHash64  "
            "imagededup  ms to prepare, to compare"
        )
        for name, paths in files.items():
            kept = list(pool.map(measured, paths, chunksize=8))
            base |= dict(zip(paths, kept, strict=True))
            group = [path.stem[:8] if name == "chest 64 px" else known.get(path.stem, path.stem) for path in paths]
            merged = strangers(name, paths, kept, group, arguments.peer)
            copies = {two for _, two in merged}
            single = [path for place, path in enumerate(paths) if place not in copies]
            plain = [path for path in single if base[path].prints["count"][0] < MIN_KEYPOINTS]
            if plain:
                print(f"    near-uniform, left out below: {len(plain)}")
            able = [path for path in single if path not in set(plain)]
            chosen[name] = Random(0).sample(able, min(arguments.per_set, len(able)))
        sampled = list(chain.from_iterable(chosen.values()))
        results = dict(zip(sampled, pool.map(altered, sampled, chunksize=2), strict=True))
    report(chosen, base, results, arguments.peer)


def report(chosen: dict[str, list[Path]], base: dict[Path, Held], results: dict, peer: str | None) -> None:
    """Print recall by class and set."""
    sampled = list(chain.from_iterable(chosen.values()))
    prints = [one.prints for one in base.values()]
    place = {path: number for number, path in enumerate(base)}
    theirs = peer_hashes(peer, {f"{place[path]}": load(path) for path in sampled}) if peer else {}
    print("\nAltered copies found: ours over all sets, the worst set; candidates alone; pHash-64; imagededup")
    everything: list[float] = []
    seconds = [took for result in results.values() for *_, took in result.values()]
    for name, (wanted, alterations) in CLASSES.items():
        ours, by_sketch, proposed, plain, dedup = [], [], [], [], []
        where: dict[str, list[bool]] = {}
        for kind, alteration in alterations.items():
            copies = [results[path][name, kind][0].prints for path in sampled]
            found = candidates(Views.of([*prints, *copies])).tolist()
            hits = {(one, two) for one, two in found}
            coded = {}
            if peer:
                coded = peer_hashes(peer, {f"{place[path]}": alteration(load(path)) for path in sampled})
            for number, path in enumerate(sampled):
                copy, likeness, sketched, _ = results[path][name, kind]
                proposed.append((place[path], len(prints) + number) in hits)
                ours.append(proposed[-1] and likeness > 0)
                by_sketch.append(proposed[-1] and sketched > 0)
                everything.append(likeness)
                plain.append((copy.phash ^ base[path].phash).bit_count() <= NEAR)
                if peer:
                    mine = str(place[path])
                    dedup.append((coded[mine] ^ theirs[mine]).bit_count() <= NEAR)
                where.setdefault(next(key for key, paths in chosen.items() if path in paths), []).append(ours[-1])
        worst = min(where, key=lambda key: sum(where[key]) / len(where[key]))
        bad = sum(where[worst]) / len(where[worst])
        print(
            f"{name:16} n={len(ours):5}  ours {share(ours)} (wanted {wanted})  worst {worst} {bad:.3f}  "
            f"proposed {sum(proposed) / len(proposed):.4f}  by sketch {share(by_sketch)}  pHash {share(plain)}  "
            f"imagededup {share(dedup) if dedup else '-'}",
            flush=True,
        )
    right = np.percentile([value for value in everything if value], [0.1, 1, 5, 50])
    print(f"likeness of confirmed copies, 0.1th, 1st, 5th, 50th percentile: {np.round(right, 3).tolist()}")
    print(f"prepare one and compare, ms per copy: {1e3 * np.mean(seconds):.1f}")


if __name__ == "__main__":
    sys.exit(main())
