"""The tail of a full v1 mix: how long workers idle at the end when tasks start longest first, and in their order.

Scans and shards of the sizes of the real upstreams, scheduled on workers by the order that the engine starts tasks in.
Nothing is read: the files are empty ones of the real lengths, and a task takes its rows or bytes at a measured speed.
The tail is 1 - busy time / (workers * time until the last task ends).

    python benchmarks/tail.py --workers 8
"""

import argparse
import heapq
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from medmix.curate.engine import start_order  # noqa: E402
from medmix.curate.measure.scans import rough_rows  # noqa: E402
from medmix.curate.sources import SHARD_ROWS, Shard  # noqa: E402
from medmix.curate.tables import Piece  # noqa: E402
from medmix.curate.write.materialise import start_size  # noqa: E402

SECONDS = {"figure": 0.008, "film": 0.018, "text": 0.0003}
"""Of one image of a scan, or of one row without an image."""

RECORDS_A_SECOND, BYTES_A_SECOND = 1_113, 52e6
"""Of writing; a shard takes the longer of the two."""

SHARD_BYTES = 256_000_000
MEGABYTE = 1_000_000


class File(NamedTuple):
    """An upstream file, or `count` equal ones: megabytes, rows and images of each; `pieces` if long ones are cut."""

    source: str
    name: str
    megabytes: float
    rows: int
    images: int
    kind: str
    count: int = 1
    pieces: bool = False
    parts: int = 1


FILES = (  # in the order of the mixture; sizes that no public place names are those of rows of about 300 bytes
    File("vqa_rad", "all.json", 1.5, 2_248, 314, "figure"),
    File("slake", "train.json", 3.0, 9_835, 586, "figure"),
    File("slake", "validation.json", 0.6, 2_099, 174, "figure"),
    File("slake", "test.json", 0.6, 2_094, 180, "figure"),
    File("pathvqa", "data.parquet", 260, 10_877, 1_430, "figure", count=3),
    File("vqa_med_2019", "train.txt", 1.3, 12_792, 3_200, "figure"),
    File("vqa_med_2019", "validation.txt", 0.2, 2_000, 500, "figure"),
    File("vqa_med_2019", "test.txt", 0.05, 500, 500, "figure"),
    File("roco", "radiology/train.txt", 10, 65_448, 65_448, "figure"),
    File("roco", "radiology/rest.txt", 1.2, 8_180, 8_180, "figure", count=2),
    File("roco", "other/train.txt", 0.8, 4_895, 4_895, "figure"),
    File("pmc_oa", "pmc_oa.jsonl", 600, 1_646_592, 1_646_592, "figure", pieces=True),
    File("pmc_vqa", "train.csv", 38.1, 176_948, 116_000, "figure", pieces=True),
    File("pmc_vqa", "test.csv", 10.7, 50_000, 33_000, "figure", pieces=True),
    File("pmc_vqa", "train_2.csv", 56.7, 152_603, 130_000, "figure", pieces=True),
    File("pmc_vqa", "test_2.csv", 12.4, 33_430, 28_000, "figure", pieces=True),
    File("iu_xray", "reports.csv", 2, 3_851, 7_466, "film"),
    File("mimic_cxr", "studies.csv.gz", 2.5, 22_783, 37_711, "film", parts=10),
    File("omnimedvqa", "RadImageNet.json", 25, 56_697, 55_400, "figure"),
    File("omnimedvqa", "set.json", 0.35, 788, 650, "figure", count=41),
    File("ubench", "ubench.arrow", 514, 2_474, 2_474, "figure", count=7),
    File("medqa", "questions.jsonl", 15, 12_723, 0, "text"),
    File("medmcqa", "train.parquet", 86, 182_822, 0, "text"),
    File("pubmedqa", "ori_pqaa.json", 530, 211_269, 0, "text"),
)

MIX = {  # gigabytes, records
    **{"roco": (7.0, 81_807), "pmc_oa": (22.7, 1_646_592), "pmc_vqa": (21.1, 412_981), "iu_xray": (14.0, 3_851)},
    **{"mimic_cxr": (570.0, 227_827), "omnimedvqa": (10.7, 88_996), "ubench": (3.6, 95_846), "pathvqa": (0.8, 32_632)},
    **{"slake": (0.2, 14_028), "medqa": (0.015, 12_723), "medmcqa": (0.1, 187_005), "pubmedqa": (0.5, 211_269)},
}


class Timed(NamedTuple):
    """A task: its size by which the engine orders it, and the seconds that it takes."""

    size: int
    seconds: float


def scan_tasks(folder: Path) -> Iterator[Timed]:
    """Give the scans of all sources in their order, sized by what the build knows of them before it reads them."""
    for file in FILES:
        (folder / file.source / file.name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / file.source / file.name).open("wb") as empty:
            empty.truncate(int(file.megabytes * MEGABYTE))
        whole = Shard((file.name,))
        seconds = file.images * SECONDS[file.kind] + file.rows * SECONDS["text"]
        if file.pieces:
            for start in range(0, file.rows, SHARD_ROWS):
                piece = Piece(start, min(start + SHARD_ROWS, file.rows), 0)
                size = rough_rows(folder / file.source, Shard((file.name,), piece=piece))
                yield Timed(size, seconds * (piece.stop - piece.start) / file.rows)
        else:
            yield from [Timed(rough_rows(folder / file.source, whole), seconds)] * (file.count * file.parts)


def write_tasks() -> Iterator[Timed]:
    """Give the shards of the mix in their order: full ones of a source, then what is left of it."""
    for gigabytes, records in MIX.values():
        total = int(gigabytes * 1e9)
        for start in range(0, total, SHARD_BYTES):
            size = min(SHARD_BYTES, total - start)
            share = records * size // total
            yield Timed(start_size(size, share), max(size / BYTES_A_SECOND, share / RECORDS_A_SECOND))


def makespan(tasks: Sequence[Timed], order: Sequence[int], workers: int) -> float:
    """Give the second in which the last task ends: each starts in its turn on the worker that is free first."""
    free = [0.0] * workers
    for place in order:
        heapq.heapreplace(free, free[0] + tasks[place].seconds)
    return max(free)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=8)
    workers = parser.parse_args().workers
    with tempfile.TemporaryDirectory() as folder:
        passes = {"scan": list(scan_tasks(Path(folder))), "write": list(write_tasks())}
    print("| pass | tasks | largest, s | busy, s a worker | tail, in order | tail, longest first |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, tasks in passes.items():
        busy = sum(task.seconds for task in tasks) / workers
        orders = (range(len(tasks)), start_order([task.size for task in tasks]))
        tails = [f"{1 - busy / makespan(tasks, order, workers):.1%}" for order in orders]
        largest = max(task.seconds for task in tasks)
        print(f"| {name} | {len(tasks)} | {largest:,.0f} | {busy:,.0f} | {' | '.join(tails)} |")


if __name__ == "__main__":
    main()
