"""How quickly a command answers that has nothing to do: processor seconds, beside an interpreter that imports click.

    python benchmarks/startup.py --runs 5

The limit is `python -c "import click"`, measured in turn with the commands.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile

MEDMIX = ["-m", "medmix"]
COMMANDS = {
    "python -c 'import click'": ["-c", "import click"],
    "medmix": MEDMIX,
    "medmix --help": [*MEDMIX, "--help"],
    "medmix build --help": [*MEDMIX, "build", "--help"],
    "medmix build --wokers 2": [*MEDMIX, "build", "--wokers", "2"],
    "medmix build --mixture v2": [*MEDMIX, "build", "--mixture", "v2"],
    "medmix licences --mixture v2": [*MEDMIX, "licences", "--mixture", "v2"],
    "medmix train --mixture v2": [*MEDMIX, "train", "--mixture", "v2"],
    "medmix train --mixture . --recipe tiny": [*MEDMIX, "train", "--mixture", ".", "--recipe", "tiny"],
    "medmix eval runs/none": [*MEDMIX, "eval", "runs/none"],
    "medmix export runs/none": [*MEDMIX, "export", "runs/none", "--out", "models/none"],
    "medmix sources": [*MEDMIX, "sources"],
}
SLOW = ("torch", "transformers", "datasets")


def processor_seconds(arguments: list[str], folder: str) -> float:
    """Run Python with these arguments in a folder and give the user and system seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imported(arguments: list[str], folder: str) -> list[str]:
    """List the slow packages that a run of Python imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    lines = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr.splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    return [name for name in SLOW if name in names]


def main() -> None:
    """Measure all commands in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        times = {name: [] for name in COMMANDS}  # type: dict[str, list[float]]
        for _ in range(runs + 1):
            for name, arguments in COMMANDS.items():
                times[name].append(processor_seconds(arguments, folder))
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}; {runs} runs")
        print("| command | median s | most s | imports |")
        print("| --- | ---: | ---: | --- |")
        for name, seconds in times.items():
            counted = seconds[1:]  # the first run reads files that are in no cache yet
            slow = ", ".join(imported(COMMANDS[name], folder)) or "-"
            print(f"| `{name}` | {statistics.median(counted):.2f} | {max(counted):.2f} | {slow} |")


if __name__ == "__main__":
    main()
