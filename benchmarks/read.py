"""Speed of our readers beside a bare loop of json.loads or csv.reader over the same file, and their peak memory.

Run: python benchmarks/read.py [--rows 300000] [--many 1650000]
All loops run in the same process, the best of three. "Our rows" are parsed values, "records" what a build reads.
Memory is that of a fresh process that reads `--many` rows of PMC-OA, the size of the real one.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from medmix.curate import tables
from medmix.curate.sources import layouts

Loop = Callable[[Path], Iterator[object]]

CAPTION = (
    "Axial contrast-enhanced CT of the abdomen in patient {} shows a mass of {} mm in the left kidney (arrow). " * 3
)
QUESTION = "What is the most likely diagnosis of the lesion that the arrow marks in figure {}?"
OPTIONS = ("Renal cell carcinoma", "Angiomyolipoma", "Simple cyst of the kidney", "Metastasis of a melanoma")
ROUNDS = 3


def write_pmc_oa(folder: Path, rows: int) -> Path:
    """Write a `pmc_oa.jsonl` of upstream's columns and length."""
    path = folder / "pmc_oa.jsonl"
    with path.open("w") as file:
        for row in range(rows):
            line = {"image": f"PMC{1000000 + row // 4}_Fig{row % 4}_1.jpg", "caption": CAPTION.format(*[row % 997] * 6)}
            file.write(json.dumps(line) + "\n")
    return path


def write_pmc_vqa(folder: Path, rows: int) -> Path:
    """Write a `train.csv` of upstream's columns and length."""
    path = folder / "train.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["Figure_path", "Question", "Answer", *(f"Choice {letter}" for letter in "ABCD"), "Answer_label"])
        choices = [f" {letter}:{option} " for letter, option in zip("ABCD", OPTIONS, strict=True)]
        for row in range(rows):
            out.writerow([f"PMC{row}_F1.jpg", QUESTION.format(row), OPTIONS[row % 4], *choices, "ABCD"[row % 4]])
    return path


def bare_json(path: Path) -> Iterator[object]:
    """Parse each line and no more."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def bare_csv(path: Path) -> Iterator[object]:
    """Parse each record and no more."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file)


def json_rows(path: Path) -> Iterator[object]:
    """Read the rows with what our readers stand on."""
    return tables.json_lines(path)


def csv_rows(path: Path) -> Iterator[object]:
    """Read the rows with what our readers stand on."""
    return tables.csv_fields(path, ())


def records(path: Path) -> Iterator[object]:
    """Read the rows of the source that the folder is named after as records; cutting the file counts as reading."""
    layout = next(layout for layout in layouts(path.parent.name) if layout.name == "original")
    for shard in layout.shards(path.parent):
        yield from layout.read(path.parent, shard)


def best_seconds(path: Path, loops: list[Loop]) -> list[float]:
    """Time loops in turn, so that a busy moment of the machine meets all of them; give the best of each."""
    seconds = [float("inf")] * len(loops)
    for _ in range(ROUNDS):
        for place, loop in enumerate(loops):
            started = time.perf_counter()
            deque(loop(path), maxlen=0)
            seconds[place] = min(seconds[place], time.perf_counter() - started)
    return seconds


def peak_mib(path: Path) -> float:
    """Read a file in a fresh process and give its peak resident MiB."""
    command = [sys.executable, __file__, "--child", str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(source: str, write: Callable[[Path, int], Path], loops: list[Loop], rows: int) -> None:
    """Print one line: speed of the bare loop, of our reader of rows and of our reader of records."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, source)
        folder.mkdir()
        path = write(folder, rows)
        bare, read, made = best_seconds(path, [*loops, records])
        print(
            f"{source:8} {path.stat().st_size / 1e6:5.0f}  {rows / bare:11.0f}  "
            f"{rows / read:11.0f} {bare / read:5.2f}  {rows / made:11.0f} {bare / made:5.2f}"
        )


def main() -> None:
    """Print one line per source, then one on memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--many", type=int, default=1_650_000)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        deque(records(arguments.child), maxlen=0)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    print("source      MB  bare rows/s  our rows/s /bare  records/s   /bare")
    compare("pmc_oa", write_pmc_oa, [bare_json, json_rows], arguments.rows)
    compare("pmc_vqa", write_pmc_vqa, [bare_csv, csv_rows], arguments.rows)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pmc_oa")
        folder.mkdir()
        few, many = (peak_mib(write_pmc_oa(folder, rows)) for rows in (1000, arguments.many))
    print(f"peak memory of pmc_oa: {few:.0f} MiB for 1000 rows, {many:.0f} MiB for {arguments.many}")


if __name__ == "__main__":
    main()
