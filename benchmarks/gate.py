"""The gate of `medmix push` on finished mixes: findings on clean ones, and its time beside the physical limits.

    python benchmarks/gate.py MIX [MIX ...] [--workers 2]

The limits are one SHA-256 of the files that would go, and one decode of their images at reduced scale. Needs no Hub.
Each finding is a false alarm, if the mix is clean.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from medmix.curate.measure import images  # noqa: E402
from medmix.curate.publish import plan, release, versions  # noqa: E402
from medmix.curate.publish.gate.check import check  # noqa: E402
from medmix.curate.shards import file_sha256  # noqa: E402
from medmix.curate.write import manifest  # noqa: E402


def timed(call: Callable[[], object]) -> tuple[float, float, object]:
    """Give seconds, processor seconds of this process, and the result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - processor, result


def decode_all(shards: list[Path]) -> int:
    """Decode every image at reduced scale and give their number."""
    count = 0
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(64, columns=["images"]):
            for held in batch["images"].to_pylist():
                for image in held:
                    images.decode_reduced(image["bytes"], 1 << 30)
                    count += 1
    return count


def measure(mix: Path, workers: int) -> None:
    """Print a row for one mix."""
    full = manifest.read(mix)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepared = release.prepare_release(
            mix, full, "owner/name", versions.changelog(None, None, full["mixture"]["version"]), work
        )
        files = plan.local_files(prepared)
        shards = [local.path for name, local in files.items() if name.startswith("data/")]
        hashed, _, _ = timed(lambda: [file_sha256(local.path) for local in files.values()])
        decoded, _, count = timed(lambda: decode_all(shards))
        wall, processor, findings = timed(lambda: check(prepared, files, mix, workers))
        size = sum(local.bytes for local in files.values())
        restricted = full["totals"]["kept"] - prepared.document["totals"]["kept"]
        print(
            f"| {full['mixture']['name']} | {prepared.document['totals']['kept']:,} | {restricted:,} | {count:,} | "
            f"{size / 1e6:.1f} | {hashed:.2f} | {decoded:.2f} | {wall:.2f} | {processor:.2f} | {len(findings)} |"  # type: ignore[arg-type]
        )
        for finding in findings:  # type: ignore[attr-defined]
            print(f"  {finding}", file=sys.stderr)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mixes", type=Path, nargs="+", metavar="MIX")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    print("| mix | published | withheld | images | MB | SHA-256 s | decode s | gate s | its processor s | findings |")
    print("| --- " * 10 + "|")
    for mix in arguments.mixes:
        measure(mix, arguments.workers)


if __name__ == "__main__":
    main()
