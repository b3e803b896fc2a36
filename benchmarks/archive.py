"""Seconds and peak memory of opening a zip archive of upstream's size, by its whole directory and by an index.

Run: python benchmarks/archive.py [--members 1650000] [--reads 1000] [--scratch DIR]
Makes an archive of tiny stored members with names like those of PMC-OA in a temporary folder. Each measurement runs in
a process of its own; the first line is such a process that opens nothing.
"""

import argparse
import json
import random
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

from medmix.curate.read import zip_index
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef

NAME = "images.zip"


def name_of(number: int) -> str:
    """Give the name of a member."""
    return f"images/PMC{1_000_000 + number // 4}_Fig{number // 2 % 2 + 1}_{number % 2 + 1}.jpg"


def write_archive(path: Path, members: int) -> None:
    """Write the archive; its directory needs zip64's records from 65,536 members on."""
    directory, place = bytearray(), 0
    with path.open("wb") as file:
        for number in range(members):
            name = name_of(number).encode()
            sizes = (zlib.crc32(name), len(name), len(name), len(name), 0)
            local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, *sizes) + name * 2
            rest = (0, 0, 0, 0, place)
            directory += struct.pack("<4s6H3L2H3H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, *sizes, *rest) + name
            file.write(local)
            place += len(local)
        file.write(directory)
        end = place + len(directory)
        counts = (members, members, len(directory), place)
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *counts))
        file.write(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65_535, 65_535, 2**32 - 1, 2**32 - 1, 0))


def read_members(folder: Path, members: int, reads: int) -> None:
    """Read members at random through an image store, and check them."""
    with ImageStore(folder, folder / "indexes") as store:
        for number in random.Random(0).sample(range(members), reads):
            name = name_of(number)
            if store.read(ImageRef(NAME, member=name)) != name.encode():
                raise SystemExit(f"{name}: other bytes")


def peak_mib() -> float:
    """Give the peak memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def child(folder: Path, what: str, members: int, reads: int) -> None:
    """Run one measurement; print seconds and peak memory."""
    actions = {
        "nothing": lambda: None,
        "make": lambda: write_archive(folder / NAME, members),
        "zipfile": lambda: zipfile.ZipFile(folder / NAME),
        "build": lambda: zip_index.open_indexed(folder / NAME, folder / "indexes"),
        "open": lambda: zip_index.open_indexed(folder / NAME, folder / "indexes"),
        "read": lambda: read_members(folder, members, reads),
    }
    started = time.perf_counter()
    result = actions[what]()
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, peak_mib()]))
    del result


def main() -> None:
    """Print one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_650_000)
    parser.add_argument("--reads", type=int, default=1000)
    parser.add_argument("--scratch", type=Path, help="where to make the archive; it is removed at the end")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.scratch, arguments.child, arguments.members, arguments.reads)
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        print("what      seconds  peak MiB")
        for what in ("make", "nothing", "zipfile", "build", "open", "read"):
            options = ["--members", str(arguments.members), "--reads", str(arguments.reads), "--scratch", scratch]
            command = [sys.executable, __file__, "--child", what, *options]
            seconds, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{what:8}  {seconds:7.4f}  {peak:8.0f}", flush=True)
        archive = Path(scratch, NAME).stat().st_size
        indexes = sum(file.stat().st_size for file in Path(scratch, "indexes").iterdir())
        print(f"{arguments.members} members, {arguments.reads} reads; MiB: archive {archive / 2**20:.0f}", end=", ")
        print(f"index {indexes / 2**20:.0f}")


if __name__ == "__main__":
    main()
