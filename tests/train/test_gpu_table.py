"""`benchmarks/gpu.sh` gives a table whatever happens to its parts, which a script stands in for here."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PARTS = [
    "mix", "attention", "memory", "packed", "packed-checkpointing", "packed-compiled", "padded", "padded-checkpointing",
    "resume", "generation", "padded-compiled",
]  # fmt: skip
ROW = {"tokens_per_second": 14110.4, "mfu": 0.4512, "memory_gib": 60.0, "predicted_gib": 50.0, "note": "1.2 s"}

PART = """\
#!{python}
import json, os, signal, sys
from pathlib import Path

if sys.argv[1].endswith("gpu_table.py"):
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
row = Path(sys.argv[sys.argv.index("--row") + 1])
name = row.stem
if name == "attention":
    row.write_text('{{"tokens_per_second": 1, "note"')  # half of it
    print("Traceback\\nOutOfMemoryError: CUDA out of memory")
    sys.exit(1)
if name == "packed":
    print("training", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if name == os.environ.get("STOP_AT"):
    print("about to be stopped", flush=True)
    os.kill(int(os.environ["RUN_PID"]), int(os.environ["SIGNAL"]))
    signal.pause()
row.write_text(json.dumps({row}))
"""


def run(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, list[list[str]]]:
    """Run the script; give its exit code and the cells of its table, by two blanks or more."""
    stub = tmp_path / "python"
    stub.write_text(PART.format(python=sys.executable, row=ROW))
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    command = 'RUN_PID=$$ exec bash "$0" "$@"'  # the script keeps the id
    done = subprocess.run(
        ["bash", "-c", command, str(BENCHMARKS / "gpu.sh"), *arguments, str(tmp_path / "out")],
        env={**os.environ, "PYTHON": str(stub), **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize("tiny", [True, False])
def test_failing_and_killed_parts_have_rows(tmp_path: Path, tiny: bool) -> None:
    code, (header, *rows) = run(tmp_path, *(["--tiny"] if tiny else []))
    assert code == 0
    assert header == ["part", "state", "tokens/s", "MFU", "peak", "GiB", "predicted", "ratio"]
    assert [row[0] for row in rows] == PARTS
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["mix"] == ["ok", "14110", "45.1%", "60.00", "50.00", "1.20", "1.2", "s"]
    assert by_name["attention"] == ["exit", "1", *["-"] * 5, "OutOfMemoryError:", "CUDA", "out", "of", "memory"]
    assert by_name["packed"] == ["killed", *["-"] * 5, "training"]


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_has_a_table(tmp_path: Path, number: int, expected: int) -> None:
    code, (_, *rows) = run(tmp_path, STOP_AT="padded", SIGNAL=str(int(number)))
    assert code == expected
    assert [row[0] for row in rows] == PARTS[: PARTS.index("padded") + 1]
    assert rows[-1] == ["padded", "stopped", *["-"] * 5, "about", "to", "be", "stopped"]


def test_parts_without_time_left_are_skipped(tmp_path: Path) -> None:
    code, (_, *rows) = run(tmp_path, BUDGET="0")
    assert code == 0
    assert [row[:2] for row in rows] == [[name, "skipped"] for name in PARTS]
    assert rows[0][-5:] == ["-", "no", "time", "was", "left"]


def test_an_empty_folder_gives_a_header(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu_table.py"), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("part  state") and len(done.stdout.splitlines()) == 1


def test_the_table_needs_no_torch(tmp_path: Path) -> None:
    """It is written even where the environment of the parts is broken."""
    (tmp_path / "parts").write_text("packed\n")
    (tmp_path / "packed.rc").write_text("0")
    (tmp_path / "packed.row").write_text(json.dumps(ROW))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(BENCHMARKS / "gpu_table.py"), str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[1].startswith("packed  ok")
