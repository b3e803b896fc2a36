"""Peak memory and wall time of `medmix build` on generated image records, for one size and its double.

Run: python benchmarks/memory.py [--records 20000] [--side 256] [--workers 2]
A build of millions of records needs memory that stays flat when the records double.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

QUESTION = "Which organ is shown in picture {}?"


def write_slake(folder: Path, records: int, side: int) -> int:
    """Write a SLAKE tree with one image per record and give the bytes of its images."""
    draws = np.random.default_rng(0)
    rows, size = [], 0
    for number in range(records):
        coarse = draws.integers(0, 256, (side // 8, side // 8), dtype=np.uint8)
        buffer = BytesIO()
        Image.fromarray(coarse).resize((side, side)).save(buffer, "JPEG", quality=90)
        path = folder / "Slake1.0" / "imgs" / f"xmlab{number}" / "source.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(buffer.getvalue())
        size += len(buffer.getvalue())
        rows.append(
            {
                "img_id": number,
                "img_name": f"xmlab{number}/source.jpg",
                "question": QUESTION.format(number),
                "answer": "Lung",
                "q_lang": "en",
                "location": "Chest",
                "modality": "CT",
                "answer_type": "OPEN",
                "base_type": "vqa",
                "content_type": "Organ",
                "triple": ["vhead", "_", "_"],
                "qid": number,
            }
        )
    (folder / "Slake1.0" / "train.json").write_text(json.dumps(rows))
    return size


def measure(records: int, side: int, workers: int) -> tuple[float, float, float, float]:
    """Build a mix of generated records; give MB of images, seconds, and peak MiB of the parent and of a worker."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        size = write_slake(folder / "sources" / "slake", records, side)
        command = [sys.executable, __file__, "--child", scratch, "--workers", str(workers)]
        started = time.monotonic()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.monotonic() - started
        parent, worker = json.loads(done.stdout.splitlines()[-1])
    return size / 1e6, seconds, parent, worker


def build_and_report(scratch: Path, workers: int) -> None:
    """Build in this process and print the peak resident MiB of it and of its largest worker."""
    from medmix.curate.build import BuildOptions, build
    from medmix.curate.mixtures import load

    build(load("v1"), scratch / "sources", scratch / "mix", BuildOptions(only=("slake",), workers=workers))
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps(peaks))


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=256, help="of the images, in pixels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        build_and_report(arguments.child, arguments.workers)
        return
    print("records  images MB  seconds  records/s  parent MiB  largest worker MiB")
    for records in (arguments.records, 2 * arguments.records):
        size, seconds, parent, worker = measure(records, arguments.side, arguments.workers)
        print(f"{records:7}  {size:9.0f}  {seconds:7.1f}  {records / seconds:9.0f}  {parent:10.0f}  {worker:18.0f}")


if __name__ == "__main__":
    main()
