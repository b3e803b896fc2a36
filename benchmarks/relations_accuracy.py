"""What different images with much in common are taken for: figures, panels, films, slices, tiles, small images.

Run: python benchmarks/relations_accuracy.py [--data DIR] [--volume FILE.npy ...] [--plot FILE.png] [--workers 2]
Charts are drawn by matplotlib (`figures`), composites, panels and tiles are made of the real samples, films are the
serial films of one patient in them. A volume is an array of three axes (`numpy.save`); its slices and windows are
compared. Pairs are compared as a build does it, whether or not the search would propose them; panels and tiles are
counted where it does. Intervals are Wilson's at 95 %.
"""

import argparse
import csv
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, combinations
from pathlib import Path
from typing import NamedTuple

import figures
import numpy as np
from duplicates_accuracy import SETS, load, wilson
from PIL import Image

from medmix.curate.copies import confirm
from medmix.curate.copies.colour_maps import brightness
from medmix.curate.copies.fingerprints import Views, view_fingerprints
from medmix.curate.copies.grey import reduced
from medmix.curate.copies.neighbours import candidates


class Case(NamedTuple):
    """Two images of a family, the kinds that would be right, and whether the search must propose the pair."""

    family: str
    one: Image.Image
    other: Image.Image
    right: tuple[str, ...]
    proposed: bool = False


APART = ("unrelated", "sequence", "overlap", "panel")
"""Kinds that never drop a record as a duplicate."""


def charts() -> Iterator[Case]:
    """Give figures of one family with other data: 190 pairs each."""
    for family in figures.FAMILIES:
        drawn = [figures.draw(family, seed) for seed in range(20)]
        yield from (Case(f"chart: {family}", one, other, APART) for one, other in combinations(drawn, 2))


def composite(panels: list[Image.Image], rows: int, columns: int, gap: int) -> Image.Image:
    """Set panels of 256 pixels in a grid, white between them."""
    cell = 256 + gap
    figure = Image.new("RGB", (columns * cell - gap, rows * cell - gap), (255, 255, 255))
    for place, panel in enumerate(panels):
        figure.paste(
            panel.resize((256, 256), Image.Resampling.BICUBIC), (place % columns * cell, place // columns * cell)
        )
    return figure


def exchanged(images: list[Image.Image]) -> Iterator[Case]:
    """Give composites of which one panel is another."""
    draws = random.Random(5)
    for rows, columns in ((1, 2), (2, 2), (3, 3)):
        for number in range(28):
            *panels, new = draws.sample(images, rows * columns + 1)
            place = draws.randrange(len(panels))
            other = [*panels[:place], new, *panels[place + 1 :]]
            gap = 6 * (number % 2)
            pair = (composite(some, rows, columns, gap) for some in (panels, other))
            yield Case(f"one panel exchanged, {rows} x {columns}", *pair, APART)


def panels(images: list[Image.Image]) -> Iterator[Case]:
    """Give figures and one of their panels."""
    draws = random.Random(6)
    for rows, columns in ((1, 2), (1, 3), (2, 2)):
        for number in range(28):
            chosen = draws.sample(images, rows * columns)
            figure = composite(chosen, rows, columns, 6 * (number % 2))
            yield Case(f"panel of {rows} x {columns}", figure, chosen[number % len(chosen)], ("panel",), True)


def tiles(images: list[Image.Image]) -> Iterator[Case]:
    """Give the left and the right tile of an image, which overlap."""
    for share in (0.5, 0.6, 0.75):
        for image in images:
            width = int(image.width / (2 - share))
            left = image.crop((0, 0, width, image.height))
            right = image.crop((image.width - width, 0, image.width, image.height))
            yield Case(f"tiles that share {share}", left, right, ("overlap",), True)


def films(data: Path) -> Iterator[Case]:
    """Give the films of one patient."""
    by_patient = defaultdict(list)
    with (data / "covid19_image_repository/data.csv").open() as file:
        for row in csv.DictReader(file):
            by_patient[row["patient_id"]].append(data / f"covid19_image_repository/png/{row['image_id']}.png")
    for path in sorted(data.glob(SETS["chest 64 px"])):
        by_patient[path.stem[:8]].append(path)
    for paths in by_patient.values():
        for one, other in combinations(sorted(paths), 2):
            family = (
                "films of one patient, 64 px" if one.parent.name.startswith(("0_", "1_")) else "films of one patient"
            )
            yield Case(family, load(one), load(other), APART)


def windowed(slice_: np.ndarray, low: float, high: float) -> Image.Image:
    """Show a slice between two percentiles of what is not empty."""
    dark, bright = np.percentile(slice_[slice_ > slice_.min()], [low, high])
    return Image.fromarray((np.clip((slice_ - dark) / (bright - dark + 1e-6), 0, 1) * 255).astype(np.uint8))


def volumes(paths: list[Path]) -> Iterator[Case]:
    """Give neighbouring slices, and one slice in two windows."""
    for volume in map(np.load, paths):
        for axis in range(3):
            for place in np.linspace(0.35, 0.65, 10) * volume.shape[axis]:
                here = np.take(volume, int(place), axis)
                for apart in (1, 2):
                    other = np.take(volume, int(place) + apart, axis)
                    pair = (windowed(slice_, 1, 99.5) for slice_ in (here, other))
                    yield Case(f"slices {apart} apart", *pair, APART)
                yield Case("other window", windowed(here, 1, 99.5), windowed(here, 40, 95), ("copy",))
                yield Case("window that shares a third", windowed(here, 1, 70), windowed(here, 40, 99.5), ("copy",))


def small(data: Path) -> Iterator[Case]:
    """Give images of 28 pixels, enlarged or encoded again, and strangers."""
    images = [Image.fromarray(one) for one in np.load(data / "medmnist/breastmnist.npz")["train_images"][:60]]
    for one in images:
        for size in (32, 64, 224):
            yield Case("28 px, enlarged", one, one.resize((size, size), Image.Resampling.BICUBIC), ("copy",), True)
        darker = one.point(lambda level: round(0.9 * level))
        yield Case("28 px, darker", one, darker, ("copy",), True)
    for one, other in combinations(images[:12], 2):
        yield Case("28 px, strangers", one, other, APART)


def measured(case: Case) -> tuple[str, bool, bool, str, float, float]:
    """Give family, whether the two are of one image, whether the kind is right, the kind, likeness and seconds."""
    one, other = (reduced(brightness(image), 2 * confirm.SIDE) for image in (case.one, case.other))
    started = time.perf_counter()
    found = confirm.compare(confirm.prepare(one), confirm.prepare(other))
    seconds = time.perf_counter() - started
    right = found.kind in case.right
    if right and case.proposed:
        right = len(candidates(Views.of([view_fingerprints(one), view_fingerprints(other)]))) == 1
    return case.family, case.right != APART, right, found.kind, found.likeness, seconds


def plot(likenesses: dict[bool, list[float]], path: Path) -> None:
    """Draw how often each likeness occurs, among pairs that are the same and pairs that are not."""
    figure = figures.Figure((7, 3.5), dpi=120)
    axes = figure.subplots()
    for same, name in ((False, "different"), (True, "the same, altered")):
        axes.hist(likenesses[same], bins=np.linspace(0, 1, 51), alpha=0.7, label=name, density=True)
    axes.set(xlabel="agreement that three in four strong regions reach", ylabel="density", yscale="log")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Print one line per family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--volume", type=Path, nargs="*", default=[])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    draws = random.Random(1)
    chosen = [
        draws.sample(sorted(arguments.data.glob(pattern)), 6) for name, pattern in SETS.items() if "64" not in name
    ]
    loaded = [load(path) for path in chain.from_iterable(chosen)]
    images = [image for image in loaded if np.asarray(image.convert("L")).std() > 12][:32]
    made = chain(charts(), exchanged(images), panels(images), tiles(images), films(arguments.data))
    cases = chain(made, volumes(arguments.volume), small(arguments.data))
    results: dict[str, list[tuple[bool, str, float]]] = defaultdict(list)
    likenesses: dict[bool, list[float]] = {True: [], False: []}
    with ProcessPoolExecutor(arguments.workers) as pool:
        for family, same, right, kind, likeness, seconds in pool.map(measured, cases, chunksize=8):
            results[family].append((right, kind, seconds))
            likenesses[same].append(likeness)
    print(f"{'family':36} {'pairs':>6} {'right':>6}  95 % interval    ms  kinds")
    for family, found in results.items():
        right = sum(one[0] for one in found)
        low, high = wilson(right, len(found))
        milliseconds = 1e3 * float(np.mean([one[2] for one in found]))
        kinds = ", ".join(f"{kind} {count}" for kind, count in Counter(one[1] for one in found).most_common())
        print(
            f"{family:36} {len(found):6} {right:6}  [{low:.3f}, {high:.3f}]  {milliseconds:4.0f}  {kinds}", flush=True
        )
    if arguments.plot:
        plot(likenesses, arguments.plot)


if __name__ == "__main__":
    sys.exit(main())
