"""A whole mix of v1's shape, from generated upstream trees, end to end by the real command.

Run: python benchmarks/full.py --records 10000 30000 [--workers 2] [--folder DIR] [--keep] [--only-first]
Writes for each size all sources of mixture v1 in upstream's layouts and proportions, and its evaluation sets, and
runs `medmix build` on them; then again after one change each. Prints Markdown: seconds and processor seconds by stage,
peak memory by /proc (VmHWM, shared pages included), bytes by kind, and what the whole of 3.35 M records would take.
Pictures are smaller than upstream's: films 1024 x 832 (upstream 3056 x 2544), figures about 0.1 megapixels.
"""

import argparse
import json
import math
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from full_size.counts import FULL
from full_size.rebuilds import Builds
from full_size.sampling import Run
from full_size.tree import write_tree

LINEAR = ("scan", "write", "end", "other")
"""Stages that take records one by one; the others are extrapolated by the power of the last two sizes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The first build of a size, and bytes by kind."""

    records: int
    first: Run
    sizes: dict[str, int]


def size_of(folder: Path) -> int:
    """Give the bytes of all files below a folder; a file with several names counts once."""
    seen: dict[int, int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            state = Path(parent, name).lstat()
            seen[state.st_ino] = state.st_size
    return sum(seen.values())


def measure(records: int, folder: Path, arguments: argparse.Namespace) -> Measured:
    """Make the tree of a size, build it, and print."""
    root, out = folder / "tree", folder / "mix"
    if not (folder / "tree.json").exists():
        shutil.rmtree(root, ignore_errors=True)
        started = time.monotonic()
        write_tree(root, records, arguments.workers, members=arguments.members)
        (folder / "tree.json").write_text(json.dumps({"seconds": time.monotonic() - started}))
    made = json.loads((folder / "tree.json").read_text())["seconds"]
    print(f"\n## {records:,} records, {arguments.workers} workers, load {os.getloadavg()[0]:.1f}\n", flush=True)
    builds = Builds(root, out, folder, arguments.workers)
    first = builds.build()
    work = out / ".work"
    sizes = {"tree": size_of(root), "mix and .work": size_of(out)}
    sizes |= {f".work/{place.name}": size_of(place) for place in sorted(work.iterdir()) if place.is_dir()}
    measured = Measured(records, first, sizes)
    print_first(measured, made)
    print_counts(out)
    if not arguments.only_first:
        print_rebuilds(builds, first, out)
    return measured


def print_first(measured: Measured, made: float) -> None:
    """Print stages, memory and bytes of the first build."""
    first = measured.first
    print("| stage | seconds | processor s | ms of processor a record |\n| --- | --- | --- | --- |")
    for name, (seconds, processor) in [*first.stages.items(), ("all", (first.seconds, first.processor))]:
        print(f"| {name} | {seconds:.1f} | {processor:.1f} | {processor / measured.records * 1000:.2f} |")
    print(f"\nPeak memory: parent {first.parent_mib:.0f} MiB, largest worker {first.worker_mib:.0f} MiB.")
    print(f"Tree made in {made:.0f} s. Load at the end {os.getloadavg()[0]:.1f}.")
    print("MB: " + ", ".join(f"{name} {size / 1e6:.1f}" for name, size in measured.sizes.items()) + ".")
    loops = ", ".join(f"{label} {count} in {seconds:.1f} s" for label, (count, seconds) in first.loops.items())
    print(f"Loops: {loops}.", flush=True)


def print_counts(out: Path) -> None:
    """Print how many records were read, kept and dropped, and the related pairs of images."""
    document = json.loads((out / "manifest.json").read_text())
    reasons: dict[str, int] = {}
    for source in document["sources"].values():
        for reason, count in source["dropped_by_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    totals = document["totals"]
    print(f"Read {totals['read']:,}, kept {totals['kept']:,}; dropped {json.dumps(reasons)}.")
    print(f"Pairs of images: {json.dumps(document['copies'])}.", flush=True)


def scans_of(out: Path) -> set[tuple[str, int]]:
    """Give the names and times of the scans of a mix."""
    return {(path.name, path.stat().st_mtime_ns) for path in (out / ".work/scans").glob("*.parquet")}


def print_rebuilds(builds: Builds, first: Run, out: Path) -> None:
    """Print a row for each change."""
    print("\n| changed | seconds | of the first | scans made | comparisons | written | linked | stages |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    scans = scans_of(out)
    for change, again in builds.again():
        before, scans = scans, scans_of(out)
        read = len(scans - before)
        compared, shards = (again.loops.get(name, (0, 0.0))[0] for name in ("comparing images", "writing"))
        stages = ", ".join(f"{name} {seconds:.1f}" for name, (seconds, _) in again.stages.items())
        cells = (f"{again.seconds:.1f}", f"{again.seconds / first.seconds:.1%}", read, compared, shards - again.linked)
        print(f"| {change} | {' | '.join(map(str, cells))} | {again.linked} | {stages} |", flush=True)


def extrapolate(name: str, sizes: list[Measured]) -> tuple[float, float, str]:
    """Give seconds and processor seconds of a stage of the whole, and how they were found."""
    last = sizes[-1]
    values, scale = last.first.stages[name], FULL / last.records
    if len(sizes) == 1:
        return values[0] * scale, values[1] * scale, "in proportion"
    before, factor = sizes[-2].first.stages[name], last.records / sizes[-2].records
    if name in LINEAR:
        growth = [
            max(0.0, new - old) / (last.records - sizes[-2].records) for old, new in zip(before, values, strict=True)
        ]
        seconds, busy = (value + (FULL - last.records) * each for value, each in zip(values, growth, strict=True))
        return seconds, busy, "line"
    power = max(1.0, math.log(values[1] / before[1]) / math.log(factor)) if min(before[1], values[1]) > 0 else 1.0
    return values[0] * scale**power, values[1] * scale**power, f"power {power:.2f}"


def print_whole(sizes: list[Measured]) -> None:
    """Print what the whole would take, stage by stage."""
    print(f"\n## {FULL:,} records, extrapolated from {' and '.join(f'{size.records:,}' for size in sizes[-2:])}\n")
    print("| stage | hours | processor hours | by |\n| --- | --- | --- | --- |")
    found = {name: extrapolate(name, sizes) for name in sizes[-1].first.stages}
    for name, (seconds, busy, how) in found.items():
        print(f"| {name} | {seconds / 3600:.2f} | {busy / 3600:.2f} | {how} |")
    seconds, busy = (sum(values[place] for values in found.values()) for place in (0, 1))
    print(f"| all | {seconds / 3600:.2f} | {busy / 3600:.2f} | |")
    print(f"\nMeasured is {sizes[-1].records / FULL:.1%} of it; the rest is arithmetic.", flush=True)


def main() -> None:
    """Measure each size, and extrapolate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 30_000], help="sizes, smallest first")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to make trees and mixes")
    parser.add_argument("--keep", action="store_true", help="keep trees and mixes; a tree that is kept is used again")
    parser.add_argument("--only-first", action="store_true", help="leave out the builds after a change")
    parser.add_argument("--members", type=int, default=0, help="so many members at least in PMC-OA's archive")
    arguments = parser.parse_args()
    measured = []
    with tempfile.TemporaryDirectory() as scratch:
        for records in arguments.records:
            folder = (arguments.folder or Path(scratch)).resolve() / str(records)
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("mix", "package", "mixture"):
                shutil.rmtree(folder / name, ignore_errors=True)
            measured.append(measure(records, folder, arguments))
            if not arguments.keep:
                shutil.rmtree(folder)
    print_whole(measured)


if __name__ == "__main__":
    main()
