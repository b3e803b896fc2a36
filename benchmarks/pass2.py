"""Time and memory of pass 2 (load, search, decide, ledger) over generated scans, in a fresh process for each size.

Run: python benchmarks/pass2.py [--rows 300000 1000000] [--folder DIR] [--no-search] [--short] [--no-decide]
Nothing is read of images and no pair is compared: the search ends with the pairs that it proposes, and `decide` gets
drawn pairs of copies, 2 % of the images. For each step: seconds, by the clock and of
processors; the peak of anonymous memory (sampled each 20 ms),
which is what a machine must have; and the peak of resident memory, which counts mapped files, whose pages the system
takes back when it needs them. The last lines give the growth between the smallest and the largest size, in bytes a row.
With `--no-search` the scans have no fingerprints and the search is left out; with `--short` texts have a few words,
so that no item has n-grams and the n-gram match, whose memory does not grow but which takes nearly all the time, is
left out too.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from pass2_scans import SOURCES, generate

from medmix.curate import facts, mixtures
from medmix.curate.build import BuildOptions, Context, copy_search, load_records, plan_shards
from medmix.curate.decide.copy_search import ALTERED, NO_COPIES, Copies
from medmix.curate.decide.leaks import NO_EXTERNAL_ITEMS
from medmix.curate.decide.scan_texts import ScanTexts
from medmix.curate.decide.stages import decide
from medmix.curate.measure.scans import ScanFile
from medmix.curate.read.inputs import Input
from medmix.curate.write import ledger

STEPS = ("load", "fingerprints", "search", "decide", "ledger", "plan")
MIB = 1 << 20


def _memory(field: str) -> int:
    """Read a field of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


class Meter:
    """Seconds and peaks of memory of steps."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, float]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure one step."""
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident now
        peak, ended = [_memory("RssAnon:")], threading.Event()

        def sample() -> None:
            while not ended.wait(0.02):
                peak[0] = max(peak[0], _memory("RssAnon:"))

        sampler = threading.Thread(target=sample)
        sampler.start()
        started, busy = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            seconds, busy = time.monotonic() - started, time.process_time() - busy
            ended.set()
            sampler.join()
        self.steps[name] = {"seconds": seconds, "processor": busy, "anonymous": peak[0], "resident": _memory("VmHWM:")}


def measure(folder: Path, workers: int, with_search: bool, with_decide: bool = True) -> dict[str, dict[str, float]]:
    """Run pass 2 on the scans of a folder, in this process."""
    mixture = mixtures.load("v1")
    order = list(mixture.sources)
    paths = sorted((folder / "scans").glob("*.parquet"), key=lambda path: (order.index(_source(path)), path.name))
    scans = [ScanFile(_source(path), path) for path in paths]
    inputs = [Input(source, folder, facts.load(source), "original", (), ()) for source in order if source in SOURCES]
    context = Context(mixture, BuildOptions(workers=workers), folder, folder, inputs, scans, {})
    meter = Meter()
    with meter.step("load"):
        records, _ = load_records(context, [])
    if with_search:
        with meter.step("fingerprints"):
            search = copy_search(records, context)
        with meter.step("search"):
            pairs = [search.propose("equal", NO_COPIES), search.propose("compare", NO_COPIES)]
        del search, pairs
    meter.steps["rows"] = {"rows": records.height}
    meter.steps["table"] = {"bytes": records.estimated_size()}
    if not with_decide:
        return meter.steps
    copies = _copies(int(records["images"].list.max().max() or 0) + 1)
    with meter.step("decide"):
        decided = decide(records, mixture, ScanTexts(scans, {}), copies, NO_EXTERNAL_ITEMS).records
    del records
    with meter.step("ledger"):
        ledger.write(folder / "ledger.parquet", decided)
    with meter.step("plan"):
        plan_shards(decided, mixture)
    meter.steps["table"] = {"bytes": decided.estimated_size()}
    return meter.steps


def _source(path: Path) -> str:
    return path.name.rsplit("-", 1)[0]


def _copies(images: int) -> Copies:
    """Draw pairs of copies, 2 % of the images."""
    draws = np.random.default_rng(1)
    pairs = np.unique(np.sort(draws.choice(images, (images // 100, 2), replace=False), axis=1), axis=0)
    plain = {"kind": "copy", "similarity": 0.9, "share": 1.0, "flipped": False, "turn": 0, "zoom": 1.0}
    box = {"left": 0.0, "top": 0.0, "right": 1.0, "bottom": 1.0}
    table = (
        pl.DataFrame({"image": pairs[:, 0], "other": pairs[:, 1]})
        .with_columns(**{name: pl.lit(value) for name, value in (plain | box).items()})
        .cast(ALTERED)
    )
    return NO_COPIES._replace(altered=table)


def _run(arguments: list[str]) -> str:
    return subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Print a line for each step of each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[300_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="for the scans; those of a size are used again if they are there")
    parser.add_argument("--no-search", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--no-decide", action="store_true", help="end after the search")
    parser.add_argument("--child", choices=("generate", "measure"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child == "generate":
        generate(arguments.folder / "scans", arguments.rows[0], not arguments.no_search, arguments.short)
        return
    if arguments.child == "measure":
        print(
            json.dumps(measure(arguments.folder, arguments.workers, not arguments.no_search, not arguments.no_decide))
        )
        return
    with tempfile.TemporaryDirectory(prefix="medmix-pass2-") as scratch:
        flags = {"--no-search": arguments.no_search, "--short": arguments.short}
        only_search = ["--no-decide"] if arguments.no_decide else []
        extra = [flag for flag, is_set in flags.items() if is_set]
        compare_sizes(arguments.folder or Path(scratch), arguments.rows, arguments.workers, extra, only_search)


def compare_sizes(folder: Path, sizes: list[int], workers: int, extra: list[str], only_search: list[str]) -> None:
    """Generate and measure each size in processes of their own; print steps and growth."""
    found: dict[int, dict[str, dict[str, float]]] = {}
    print("|     rows | step         | seconds | processor s | anonymous MiB | resident MiB |")
    print("| -------: | ------------ | ------: | ----------: | ------------: | -----------: |")
    for size in sizes:
        place = folder / "".join([str(size), *(flag[1:] for flag in extra)])
        place.mkdir(parents=True, exist_ok=True)
        if not (place / "complete").exists():
            _run(["--child", "generate", "--rows", str(size), "--folder", str(place), *extra])
            (place / "complete").touch()
        got = json.loads(
            _run(["--child", "measure", "--folder", str(place), "--workers", str(workers), *extra, *only_search])
        )
        found[int(got["rows"]["rows"])] = got
        for name in filter(got.__contains__, STEPS):
            step = got[name]
            memory = f"{step['anonymous'] / MIB:13.0f} | {step['resident'] / MIB:12.0f}"
            print(
                f"| {size:8} | {name:12} | {step['seconds']:7.1f} | {step['processor']:11.1f} | {memory} |", flush=True
            )
        print(
            f"| {size:8} | table        | {'':7} | {'':11} | {got['table']['bytes'] / MIB:13.0f} | {'':12} |",
            flush=True,
        )
    small, large = min(found), max(found)
    for name in filter(found[small].__contains__, STEPS if large > small else ()):
        grown = (found[large][name]["anonymous"] - found[small][name]["anonymous"]) / (large - small)
        print(f"{name}: {grown:.0f} bytes a row from {small} to {large} rows")


if __name__ == "__main__":
    main()
