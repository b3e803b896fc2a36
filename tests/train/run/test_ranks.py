"""Two processes on the CPU train as one does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medmix.train.run import loop
from medmix.train.run.state import find_checkpoint

from ..conftest import TINY, tiny_recipe

ROOT = Path(__file__).resolve().parents[3]
STEPS = ("run.steps=null", "run.epochs=1", "run.global_batch_size=7", "run.pack_tokens=256", "run.checkpoint_every=3")
"""36 records: the last of six steps has one record for two ranks, and some rounds have images on one rank alone."""


def torchrun(mix: Path, out: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    settings = [word for override in (*TINY, *overrides) for word in ("--set", override)]
    command = ["train", "--mixture", str(mix), "--recipe", "smoke-cpu", "--out", str(out), *settings]
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "medmix", *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )


def log(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "train_log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "alone"
    loop.train(mix, tiny_recipe(*STEPS), run, False)
    return run


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_ranks_train_as_one(mix: Path, alone: Path, tmp_path: Path, parallel: str) -> None:
    run = tmp_path / "run"
    done = torchrun(mix, run, *STEPS, f"run.parallel={parallel}")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trained 6 steps") == 1
    for key in ("loss", "loss_by_source", "grad_norm", "tokens", "images"):
        for mine, theirs in zip(log(run), log(alone), strict=True):
            assert mine[key] == pytest.approx(theirs[key], rel=1e-4), key
    for file in ("tower.safetensors", "projector.safetensors", "adapter/adapter_model.safetensors"):
        one, other = (load_file(find_checkpoint(folder) / file) for folder in (run, alone))
        assert one.keys() == other.keys()
        assert all((one[key] - other[key]).abs().max() < 1e-3 for key in one)

    # one process resumes the run of two
    shutil.rmtree(find_checkpoint(run))
    loop.train(mix, tiny_recipe(*STEPS), run, False)
    assert [entry["loss"] for entry in log(run)] == pytest.approx([entry["loss"] for entry in log(alone)], rel=1e-4)


def test_two_ranks_share_weights_in_bf16(mix: Path, tmp_path: Path) -> None:
    """Frozen weights of the language model are in bf16, LoRA and tower in fp32."""
    settings = ("run.steps=4", "run.global_batch_size=7", "run.precision=bf16", "run.gradient_checkpointing=true")
    settings = (*settings, "train=[tower, projector, lora]", "run.pack_tokens=256")
    loop.train(mix, tiny_recipe(*settings), tmp_path / "alone", False)
    done = torchrun(mix, tmp_path / "run", *settings, "run.parallel=fsdp")
    assert done.returncode == 0, done.stderr
    for key in ("loss", "grad_norm"):
        for mine, theirs in zip(log(tmp_path / "run"), log(tmp_path / "alone"), strict=True):
            assert mine[key] == pytest.approx(theirs[key], rel=5e-3), key
    file = find_checkpoint(tmp_path / "run") / "language" / "weights.safetensors"
    assert {tensor.dtype for tensor in load_file(file).values()} == {torch.bfloat16}


INTERRUPTED = """
import json, os, signal, sys
from pathlib import Path
import torch
from medmix.train import recipes
from medmix.train.run import loop

train_step, done = loop.train_step, []

def interrupted(*arguments):
    done.append(1)
    if len(done) == 2 and os.environ["RANK"] == "1":
        signal.raise_signal(signal.SIGINT)
    return train_step(*arguments)

loop.train_step = interrupted
torch.set_num_threads(1)
mix, out, settings = sys.argv[1:]
try:
    loop.train(Path(mix), recipes.load("smoke-cpu", tuple(json.loads(settings))), Path(out), False)
except KeyboardInterrupt:
    Path(out, "stopped-" + os.environ["RANK"]).touch()
"""


def test_ctrl_c_that_one_rank_sees_stops_all_at_the_same_step(mix: Path, tmp_path: Path) -> None:
    script, run = tmp_path / "interrupted.py", tmp_path / "run"
    script.write_text(INTERRUPTED)
    settings = json.dumps([*TINY, "run.steps=6"])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            script,
            mix,
            run,
            settings,
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in run.iterdir()) == [
        "step-00000002", "stopped-0", "stopped-1", "train_log.jsonl",
    ]  # fmt: skip


def test_all_ranks_raise_and_rank_0_reports(mix: Path, tmp_path: Path) -> None:
    done = torchrun(mix, tmp_path / "run", "run.steps=2", "lora.target_modules=[query]")
    assert done.stderr.count("lora.target_modules: the language model has no linear layer query") == 1
