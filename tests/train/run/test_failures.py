"""Ranks that disagree, fail alone or are told to stop: all end, each error is told once with its rank."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medmix.train.run import agreement, checkpoint
from medmix.train.run.state import find_checkpoint

from ..conftest import TINY, records, write_mix
from .test_ranks import ROOT, free_ports

SCRIPT = """
import json, os, signal, sys, threading
from pathlib import Path
import torch
from medmix.cli import main
from medmix.curate.errors import WorkError
from medmix.train.run import failures, loop

torch.set_num_threads(1)
ports, folder, commands = json.loads(sys.argv[1])
rank = os.environ["RANK"]
train_step = loop.train_step

def second_step(action):
    done = []
    def wrapped(*arguments):
        done.append(1)
        if len(done) == 2:
            action()
        return train_step(*arguments)
    loop.train_step = wrapped

def fail():
    if rank == "1":
        raise WorkError("the disk of this node is full")

def crash():
    if rank == "1":
        raise ZeroDivisionError("a bug")

def hang():
    fail()
    failures.GRACE_SECONDS = 0.0
    threading.Event().wait()  # as a collective operation on a GPU

def stop():
    if rank == "1":
        os.kill(os.getpid(), signal.SIGTERM)

actions = {"stopped": stop, "failed": fail, "crashed": crash, "hung": hang}
for name, arguments in commands:
    os.environ["MASTER_PORT"] = str(ports.pop())
    second_step(actions.get(name, int))
    Path(folder, f"{name}-{rank}").write_text("begun")
    code = "no exit"
    try:
        main(arguments[int(rank)])
    except SystemExit as error:
        code = error.code
    except ZeroDivisionError:
        code = "a traceback"
    Path(folder, f"{name}-{rank}").write_text(str(code))
"""


def command(mix: Path, out: Path, *overrides: str) -> list[str]:
    settings = [word for override in (*TINY, "run.steps=4", *overrides) for word in ("--set", override)]
    return ["train", "--mixture", str(mix), "--recipe", "smoke-cpu", "--out", str(out), *settings]


@pytest.fixture(scope="module")
def two_ranks(mix: Path, once) -> Path:
    """A folder with the exit status of each rank in each case, what it said, and its runs."""

    def train(folder: Path) -> None:
        other = write_mix(folder / "mix", {"train": records(4, "train")})
        same = ("stopped", "failed", "crashed", "hung")
        commands = [
            ["differ", [command(mix, folder / "differ", f"optim.lr=0.00{rank}") for rank in (1, 2)]],
            ["mixes", [command(mixture, folder / "mixes") for mixture in (mix, other)]],
            *([name, [command(mix, folder / name)] * 2] for name in same),
        ]
        environment = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
        environment |= {"LOCAL_WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": ""}
        argument = json.dumps([free_ports(len(commands)), str(folder), commands])
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, argument],
                cwd=ROOT,
                env={**os.environ, **environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]
        for rank, process in enumerate(processes):
            (folder / f"stderr-{rank}").write_text(process.communicate(timeout=300)[1])

    return once("failing-ranks", train)


def statuses(folder: Path, name: str) -> list[str]:
    return [(folder / f"{name}-{rank}").read_text() for rank in range(2)]


def errors(folder: Path, text: str) -> list[str]:
    """Give all lines of both ranks with a text."""
    return [line for rank in range(2) for line in (folder / f"stderr-{rank}").read_text().splitlines() if text in line]


def test_ranks_with_other_recipes_or_mixes_stop_before_the_first_step(two_ranks: Path) -> None:
    assert statuses(two_ranks, "differ") == statuses(two_ranks, "mixes") == ["2", "2"]
    (line,) = errors(two_ranks, "recipe.optim.lr is")
    assert "error: the ranks differ from rank 0: rank 1: recipe.optim.lr is 0.002 and not 0.001; give all" in line
    (line,) = errors(two_ranks, "mix digest is")
    assert line.startswith("medmix: rank ")
    assert not list((two_ranks / "differ").iterdir())


def test_a_termination_signal_that_one_rank_gets_stops_all_with_143(two_ranks: Path) -> None:
    assert statuses(two_ranks, "stopped") == ["143", "143"]
    assert checkpoint.read(find_checkpoint(two_ranks / "stopped"))[1].step == 2


def test_a_rank_that_fails_alone_says_so_and_stops_the_other(two_ranks: Path) -> None:
    assert statuses(two_ranks, "failed") == ["1", "1"]
    told = errors(two_ranks, "the disk of this node is full")
    assert told == ["medmix: rank 1: error: the disk of this node is full"] * 2  # once in each of two cases
    assert "medmix: rank 0: error: stopped, because rank 1 failed" in (two_ranks / "stderr-0").read_text()


def test_a_rank_that_crashes_has_a_traceback_and_stops_the_other(two_ranks: Path) -> None:
    assert statuses(two_ranks, "crashed") == ["1", "a traceback"]
    assert errors(two_ranks, "a bug") == ["medmix: rank 1: error: ZeroDivisionError: a bug"]


def test_a_rank_that_waits_forever_is_ended(two_ranks: Path) -> None:
    assert statuses(two_ranks, "hung") == ["begun", "1"]
    last = (two_ranks / "stderr-0").read_text().splitlines()[-1]
    assert last == "medmix: rank 0: error: stopped, because rank 1 failed"


def test_differences_of_checkpoints_are_named() -> None:
    first = {"step": 4, "checkpoint": "/a/step-00000004", "checkpoint digest": "a" * 64, "recipe": {"seed": 0}}
    other = {"step": 0, "checkpoint": None, "checkpoint digest": None, "recipe": {"seed": 0}}
    assert agreement._differences(first, other) == (
        "step is 0 and not 4, checkpoint is null and not /a/step-00000004, "
        "checkpoint digest is null and not aaaaaaaaaaaa"
    )
