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
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from random import Random

import imagehash
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from medmix.curate.copies import confirm
from medmix.curate.copies.fingerprints import FINGERPRINT, fingerprint
from medmix.curate.copies.neighbours import candidates
from medmix.curate.copies.sketch import sketch
from medmix.curate.measure.images import decode_rgb

Alteration = Callable[[Image.Image], Image.Image]
BUDGET = 200_000_000
MIN_KEYPOINTS = 8
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


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Encode and decode."""
    out = BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Resize both sides."""
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def toned(image: Image.Image, gamma: float) -> Image.Image:
    """Change the gamma."""
    return image.point([round(255 * (level / 255) ** gamma) for level in range(256)] * 3)


def letterboxed(image: Image.Image, level: int) -> Image.Image:
    """Put even bars above and below, 15 % each."""
    box = Image.new("RGB", (image.width, round(image.height * 1.3)), (level,) * 3)
    box.paste(image, (0, round(image.height * 0.15)))
    return box


def framed(image: Image.Image, level: int) -> Image.Image:
    """Burn in an even frame of 3 % of the shorter side, and a letter."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    draw.rectangle((0, 0, image.width - 1, image.height - 1), outline=(level,) * 3, width=round(0.03 * min(image.size)))
    draw.text((image.width // 20, image.height // 20), "R", fill=(255, 255, 255))
    return copy


def marked(image: Image.Image) -> Image.Image:
    """Burn in an arrow and a letter."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    width, height = image.size
    tip = 0.55 * width, 0.5 * height
    draw.line((0.35 * width, 0.3 * height, *tip), fill=(255, 255, 255), width=max(1, width // 60))
    draw.polygon([tip, (tip[0] - 0.05 * width, tip[1]), (tip[0], tip[1] - 0.06 * height)], fill=(255, 255, 255))
    draw.text((width // 20, height // 20), "L", fill=(255, 255, 255))
    return copy


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut off shares of width and height."""
    width, height = image.size
    box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    return image.crop(tuple(round(side) for side in box))


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """Turn and cut off the empty corners, proportions kept."""
    angle = np.deg2rad(abs(degrees))
    longer = max(image.size) / min(image.size)
    cut = (1 - 1 / (longer * np.sin(angle) + np.cos(angle))) / 2
    return cropped(image.rotate(degrees, Image.Resampling.BICUBIC), cut, cut, cut, cut)


def transposed(image: Image.Image, kind: Image.Transpose) -> Image.Image:
    """Mirror or turn by a right angle."""
    return image.transpose(kind)


def changed(image: Image.Image, kind: type, factor: float) -> Image.Image:
    """Change brightness or contrast."""
    return kind(image).enhance(factor)


def grey(image: Image.Image) -> Image.Image:
    """Take the colour away."""
    return image.convert("L").convert("RGB")


CLASSES: dict[str, tuple[float, dict[str, Alteration]]] = {
    "JPEG": (0.99, {f"q{q}": partial(jpeg, quality=q) for q in (50, 70, 85, 95)}),
    "resize": (0.99, {f"x{f}": partial(scaled, factor=f) for f in (0.5, 0.75, 1.5, 2)}),
    "grey": (0.99, {"grey": grey}),
    "brightness": (0.99, {f"{f}": partial(changed, kind=ImageEnhance.Brightness, factor=f) for f in (0.8, 1.2)}),
    "contrast": (0.99, {f"{f}": partial(changed, kind=ImageEnhance.Contrast, factor=f) for f in (0.8, 1.2)}),
    "gamma": (0.99, {f"{f}": partial(toned, gamma=f) for f in (0.8, 1.25)}),
    "letterbox": (0.99, {f"{level}": partial(letterboxed, level=level) for level in (0, 255)}),
    "burnt-in frame": (0.99, {f"{level}": partial(framed, level=level) for level in (0, 255)}),
    "arrow, letter": (0.99, {"arrow": marked}),
    "crop 2.5-5 %": (0.97, {f"{c}": partial(cropped, left=c, top=c, right=c, bottom=c) for c in (0.025, 0.05)}),
    "crop 10 %": (0.9, {"0.1": partial(cropped, left=0.1, top=0.1, right=0.1, bottom=0.1)}),
    "crop off centre": (
        0.9,
        {
            "corner": partial(cropped, left=0.1, top=0.1, right=0, bottom=0),
            "shifted": partial(cropped, left=0.2, top=0.1, right=0, bottom=0.1),
            "side": partial(cropped, left=0, top=0, right=0.1, bottom=0),
        },
    ),
    "flip": (0.97, {"flip": partial(transposed, kind=Image.Transpose.FLIP_LEFT_RIGHT)}),
    "90 degrees": (
        0.97,
        {
            f"{kind.name}": partial(transposed, kind=kind)
            for kind in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)
        },
    ),
    "2-5 degrees": (0.9, {f"{degrees}": partial(turned, degrees=degrees) for degrees in (-5, 2, 5)}),
}


@dataclass(frozen=True)
class Held:
    """What is kept of an image: its fingerprint and its pHash."""

    print: np.ndarray
    phash: int


def load(path: Path) -> Image.Image:
    """Decode as a build does."""
    return decode_rgb(path.read_bytes(), BUDGET)


def held(image: Image.Image) -> Held:
    """Measure an image."""
    pixels = np.asarray(image.convert("L"))
    return Held(fingerprint(pixels), int(str(imagehash.phash(image)), 16))


@dataclass(frozen=True)
class Ready:
    """An image made ready for confirmation, as it is, against a sketch, and as a sketch."""

    plain: confirm.Prepared | None
    whitened: confirm.Prepared | None
    sketch: confirm.Prepared | None


def prepared(image: Image.Image) -> Ready:
    """Make an image ready for confirmation at reduced size, as a build does."""
    small = image.convert("L")
    small.thumbnail((256, 256), Image.Resampling.BOX)
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
                match.likeness if match.same else 0.0,
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
    pairs = candidates(np.array([one.print for one in kept], FINGERPRINT)).tolist()
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
            plain = [path for path in single if base[path].print["count"] < MIN_KEYPOINTS]
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
    prints = np.array([one.print for one in base.values()], FINGERPRINT)
    place = {path: number for number, path in enumerate(base)}
    theirs = peer_hashes(peer, {f"{place[path]}": load(path) for path in sampled}) if peer else {}
    print("\nAltered copies found: ours over all sets, the worst set; candidates alone; pHash-64; imagededup")
    everything: list[float] = []
    seconds = [took for result in results.values() for *_, took in result.values()]
    for name, (wanted, alterations) in CLASSES.items():
        ours, by_sketch, proposed, plain, dedup = [], [], [], [], []
        where: dict[str, list[bool]] = {}
        for kind, alteration in alterations.items():
            copies = np.array([results[path][name, kind][0].print for path in sampled], FINGERPRINT)
            found = candidates(np.concatenate([prints, copies])).tolist()
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
