"""A process that is killed or told to stop: with packs, several rounds a step, workers and dropout."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medmix.train.run import checkpoint, loop
from medmix.train.run.state import find_checkpoint

from ..conftest import TINY, tiny_recipe

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = (
    "run.steps=7", "run.checkpoint_every=2", "run.pack_tokens=160", "run.workers=1", "lora.dropout=0.2",
)  # fmt: skip
KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
from medmix.cli import main

save, written = torch.save, []

def dies(state, path):
    save(state, path)
    written.append(path)
    if len(written) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = dies
torch.set_num_threads(1)
main(json.loads(sys.argv[1]))
"""
SIGNALLED = """
import json, multiprocessing, os, signal, sys
from pathlib import Path
import torch
from medmix.cli import main
from medmix.train.run import loop, signals

arguments, at, numbers, signals.REPEAT_SECONDS = json.loads(sys.argv[1])
train_step, done = loop.train_step, []

def signalled(*arguments):
    done.append(1)
    for worker in multiprocessing.active_children() if len(done) == at else ():
        print(Path(f"/proc/{worker.pid}/status").read_text())
    for number in numbers if len(done) == at else ():
        os.killpg(0, number)  # all processes of this run, as Slurm does
    return train_step(*arguments)

loop.train_step = signalled
torch.set_num_threads(1)
main(arguments)
"""


def run(script: str, argument: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, json.dumps(argument)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        start_new_session=True,
    )


def command(mix: Path, out: Path, *more: str) -> list[str]:
    settings = [word for override in (*TINY, *SETTINGS, *more) for word in ("--set", override)]
    return ["train", "--mixture", str(mix), "--recipe", "smoke-cpu", "--out", str(out), *settings]


@pytest.fixture(scope="module")
def whole(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    loop.train(mix, tiny_recipe(*SETTINGS, "run.workers=0"), out, False)
    return out


def assert_same(one: Path, other: Path) -> None:
    logs = [[json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()] for out in (one, other)]
    for key in ("step", "epoch", "loss", "loss_by_source", "grad_norm", "learning_rate", "tokens"):
        assert [entry[key] for entry in logs[0]] == [entry[key] for entry in logs[1]], key
    assert min(entry["tokens"] for entry in logs[0]) > 160  # more than one pack, so more than one round
    mine, theirs = (find_checkpoint(out) for out in (one, other))
    files = sorted(path.relative_to(mine) for path in mine.rglob("*.safetensors"))
    assert len(files) == 4
    for file in files:
        a, b = load_file(mine / file), load_file(theirs / file)
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), file
    assert not list(one.glob(".*"))


def test_it_resumes_bit_for_bit(mix: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run(KILLED, command(mix, out))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in checkpoint.list_checkpoints(out)] == ["step-00000002"]
    assert len((out / "train_log.jsonl").read_text().splitlines()) == 4

    loop.train(mix, tiny_recipe(*SETTINGS, "run.workers=0"), out, False)
    assert_same(out, whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_termination_signal_writes_a_checkpoint_and_exits_with_143(
    mix: Path, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    done = run(SIGNALLED, [command(mix, out), 3, [number, number], 60.0])
    assert done.returncode == 143, done.stderr
    (blocked,) = [int(line.split()[1], 16) for line in done.stdout.splitlines() if line.startswith("SigBlk:")]
    assert all(blocked >> (one - 1) & 1 for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1))
    assert f"{number.name}: stopping after this step or the next, with a checkpoint" in done.stderr
    assert done.stderr.splitlines()[-1] == f"{out}: stopped at step 3 of 7; the same command resumes there"
    assert [path.name for path in checkpoint.list_checkpoints(out)] == ["step-00000002", "step-00000003"]

    loop.train(mix, tiny_recipe(*SETTINGS, "run.workers=0"), out, False)
    assert_same(out, whole)


def test_a_second_termination_signal_stops_at_once(mix: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run(SIGNALLED, [command(mix, out, "run.workers=0"), 3, [signal.SIGUSR1, signal.SIGTERM], 0.0])
    assert done.returncode == 143, done.stderr
    assert [path.name for path in checkpoint.list_checkpoints(out)] == ["step-00000002"]
