"""`medmix check`, the tables of records, statistics and diff on a generated mix, beside the physical limit.

The limit is one read of the shards, their SHA-256, one decode of their parquet and the SHA-256 of their images.

    python benchmarks/check.py [--records 20000 100000] [--side 256] [--workers 2] [--folder FOLDER]

Each figure comes from a process of its own. `bytes` are those that its read calls returned, libraries excepted; with
several workers, their modules count too. Memory is the peak of the process and of its largest worker (VmHWM of /proc).
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from memory import write_slake

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from medmix.curate.build import BuildOptions, build  # noqa: E402
from medmix.curate.check import verify  # noqa: E402
from medmix.curate.describe import attribution, cards, croissant, report, statistics  # noqa: E402
from medmix.curate.mixtures import load  # noqa: E402
from medmix.curate.publish import diff, record_digests, record_tables  # noqa: E402
from medmix.curate.shards import write_rows  # noqa: E402
from medmix.curate.write import manifest, record_facts  # noqa: E402
from medmix.curate.write.features import mix_schema  # noqa: E402

SEED_RECORDS = 200
SHARD_BYTES = 256_000_000


def generate(folder: Path, records: int, side: int) -> Path:
    """Write a sound mix of copies of built records, each with an image file and an id of its own."""
    seed, mix = folder / f"seed-{side}", folder / f"mix-{records}-{side}"
    if not seed.exists():
        write_slake(folder / "sources" / "slake", SEED_RECORDS, side)
        build(load("v1"), folder / "sources", seed, BuildOptions(only=("slake",)))
    if (mix / manifest.NAME).exists():
        return mix
    document = manifest.read(seed)
    (shard,) = manifest.shards_of(document)
    rows = pq.read_table(seed / shard).to_pylist()
    times = records // len(rows)
    count = -(-records * sum(len(row["images"][0]["bytes"]) + 1000 for row in rows) // len(rows) // SHARD_BYTES)
    shards = [shard.replace("00000-of-00001", f"{place:05d}-of-{count:05d}") for place in range(count)]
    size = -(-records // count)
    for place, name in enumerate(shards):
        numbers = range(place * size, min((place + 1) * size, times * len(rows)))
        measured: list[pl.DataFrame] = []
        write_rows(mix / name, mix_schema(), copies(rows, numbers), partial(add_facts, measured))
        record_facts.concat(measured).write_parquet(mix / f"{name}.facts")
    old = pl.read_parquet(seed / "ledger.parquet")
    ids = pl.format("slake/{}", pl.int_range(times * old.height, dtype=pl.Int64))
    pl.concat([old] * times).with_columns(id=ids).select(old.columns).write_parquet(mix / "ledger.parquet")
    (mix / "evaluation.parquet").write_bytes((seed / "evaluation.parquet").read_bytes())
    scaled = {**document, "sources": {"slake": multiply(document["sources"]["slake"], times)}}
    scaled["totals"] = multiply(document["totals"], times)
    tables = write_tables(mix, shards)
    scaled["files"] = manifest.file_facts(mix, [*shards, *tables, "ledger.parquet", "evaluation.parquet"])
    scaled["statistics"] = count_facts(mix, shards)
    written = [*cards.write(mix, scaled), *croissant.write(mix, scaled), *report.write(mix, scaled)]
    scaled["files"] |= manifest.file_facts(mix, written)
    facts = mix.with_name(f"{mix.name}-facts")
    for name in shards:  # the tables of facts are no part of a mix
        (facts / name).parent.mkdir(parents=True, exist_ok=True)
        (mix / f"{name}.facts").rename(facts / f"{name}.facts")
    manifest.write(mix, scaled)
    return mix


def add_facts(measured: list[pl.DataFrame], rows: pa.Table) -> None:
    """Measure the records of a row group."""
    measured.append(record_facts.measure(rows))


def copies(rows: list[dict[str, Any]], numbers: range) -> Iterator[tuple[dict[str, Any], int]]:
    """Give copies of records, each with another number at the end of its image file."""
    for number in numbers:
        row = rows[number % len(rows)]
        image = row["images"][0]["bytes"] + number.to_bytes(8)
        changed = {
            "id": f"slake/{number}",
            "group": f"slake/{number}",
            "upstream": {**row["upstream"], "row": number},
            "images": [{**row["images"][0], "bytes": image}],
            "image_sha256": [hashlib.sha256(image).hexdigest()],
        }
        yield {**row, **changed}, len(image) + 1000


def multiply(counts: Any, times: int) -> Any:
    """Multiply all counts of a part of a manifest, but those in the facts of a source."""
    if isinstance(counts, dict):
        return {
            name: value if name in ("facts", "weight") else multiply(value, times) for name, value in counts.items()
        }
    return counts * times if isinstance(counts, int) and not isinstance(counts, bool) else counts


def facts_of(mix: Path, shard: str) -> Path:
    """Give the table of facts of a shard, which a build keeps in its work folder."""
    inside = mix / f"{shard}.facts"
    return inside if inside.exists() else mix.with_name(f"{mix.name}-facts") / f"{shard}.facts"


def write_tables(mix: Path, shards: list[str]) -> list[str]:
    """Write the tables of digests and credits from the facts."""
    read = [pl.read_parquet(facts_of(mix, shard)) for shard in shards]
    own = record_tables.credits_of(manifest.read(next(mix.parent.glob("seed-*"))))
    return [
        record_digests.write(mix, read),
        attribution.write(mix, (attribution.rows_of(table, own) for table in read)),
    ]


def count_facts(mix: Path, shards: list[str]) -> dict[str, Any]:
    """Count the statistics from the facts."""
    with statistics.Statistics() as found:
        for shard in shards:
            found.add(shard, record_facts.read(facts_of(mix, shard), list(record_facts.COUNTED)))
        return found.result()


def limit(mix: Path) -> None:
    """Do what no check can leave out."""
    for shard in manifest.shards_of(manifest.read(mix)):
        data = (mix / shard).read_bytes()
        hashlib.sha256(data).digest()
        for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches(256, use_threads=False):
            for image in batch["images"].flatten().field("bytes"):
                hashlib.sha256(image.as_buffer()).digest()


def check(mix: Path, workers: int) -> None:
    """Check the mix, which must be sound."""
    findings = verify(mix, workers).findings
    if findings:
        raise SystemExit(f"{mix}: not sound: {findings[:3]}")


def work_of(name: str, mix: Path, workers: int) -> Callable[[], object]:
    """Give the work of one figure."""
    shards = manifest.shards_of(manifest.read(mix))
    works: dict[str, Callable[[], object]] = {
        "limit": lambda: limit(mix),
        "check, 1 worker": lambda: check(mix, 1),
        f"check, {workers} workers": lambda: check(mix, workers),
        "statistics, from shards": lambda: statistics.measure(mix, shards),
        "statistics, from facts": lambda: count_facts(mix, shards),
        "digests and credits, from facts": lambda: write_tables(mix, shards),
        "diff with itself": lambda: diff.compare(mix, mix),
    }
    return works[name]


def measure(work: Callable[[], object]) -> dict[str, float]:
    """Do the work; give seconds, processor seconds, megabytes read and peak MiB of this process and of a worker."""
    stop, workers = threading.Event(), [0]

    def watch() -> None:
        while not stop.wait(0.02):
            workers[0] = max(workers[0], *map(peak_of, children()), 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started, before, read = time.perf_counter(), sum(os.times()[:4]), bytes_read()
    work()
    seconds, after = time.perf_counter() - started, sum(os.times()[:4])
    stop.set()
    watcher.join()
    figures = {"seconds": seconds, "processor": after - before, "megabytes": (bytes_read() - read) / 1e6}
    return {**figures, "parent": peak_of(os.getpid()) / 1024, "worker": workers[0] / 1024}


def bytes_read() -> int:
    """Give the bytes that read calls of this process and of its ended children returned."""
    return int(Path("/proc/self/io").read_text().split()[1])


def children() -> list[int]:
    """List the processes that this one has started."""
    tasks = Path("/proc/self/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def peak_of(pid: int) -> int:
    """Give the peak memory of a process in KiB, 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    """Print one table for each number of records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the mixes here")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "MIX"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(work_of(arguments.one[0], Path(arguments.one[1]), arguments.workers))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        for records in arguments.records:
            mix = generate(arguments.folder or Path(scratch), records, arguments.side)
            show(mix, records, arguments.workers)


def show(mix: Path, records: int, workers: int) -> None:
    """Print the figures of one mix."""
    size = sum(path.stat().st_size for path in (mix / "data").rglob("*.parquet")) / 1e6
    machine = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"\n{records:,} records, shards of {size:,.0f} MB, {machine}")
    print(f"{'':34}{'s':>8}{'cpu s':>8}{'MB read':>9}{'parent MiB':>12}{'worker MiB':>12}{'us a record':>13}")
    names = [
        "limit",
        "check, 1 worker",
        f"check, {workers} workers",
        "statistics, from shards",
        "statistics, from facts",
    ]
    for name in (*names, "digests and credits, from facts", "diff with itself"):
        command = [sys.executable, __file__, "--workers", str(workers), "--one", name, str(mix)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name:34}{found['seconds']:8.1f}{found['processor']:8.1f}{found['megabytes']:9.0f}{found['parent']:12.0f}"
            f"{found['worker']:12.0f}{1e6 * found['processor'] / records:13.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
