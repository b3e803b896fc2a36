"""Two or four processes on the CPU train as one does."""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medmix.train.run import loop
from medmix.train.run.metrics_logger import read_held_out, read_log
from medmix.train.run.state import find_checkpoint

from ..conftest import TINY, records, tiny_recipe, write_mix

ROOT = Path(__file__).resolve().parents[3]
STEPS = ("run.steps=null", "run.epochs=1", "run.global_batch_size=7", "run.pack_tokens=256", "run.checkpoint_every=3")
STEPS = (*STEPS, "optim.weight_decay=0.1", "optim.lr_tower=0.001", "optim.lr_projector=0.002")
"""36 records: the last of six steps has one record for two ranks, and some rounds have images on one rank alone."""


SHARED = ("run.steps=4", "run.global_batch_size=7", "run.precision=bf16", "run.gradient_checkpointing=true")
SHARED = (*SHARED, "train=[tower, projector, lora]", "run.pack_tokens=256")
PICTURES = ("run.steps=5", "run.pack_tokens=256", "sources=[colours, pictures]")
"""Every step has images, so that every weight has a gradient."""

RUNS = {
    "ddp": (*STEPS, "run.parallel=ddp"),
    "fsdp": (*STEPS, "run.parallel=fsdp"),
    "bf16": (*SHARED, "run.parallel=fsdp"),
    "pictures": (*PICTURES, "run.parallel=ddp"),
    "refused": ("run.steps=2", "lora.target_modules=[query]"),
}
"""What the two processes train one after the other, since they take longer to start than to train."""

SCRIPT = """
import contextlib, json, os, signal, sys
from pathlib import Path
import torch
from medmix.cli import main
from medmix.train import recipes
from medmix.train.run import loop
from medmix.train.run.metrics_logger import read_held_out, read_log

torch.set_num_threads(1)
del os.environ["TORCHELASTIC_USE_AGENT_STORE"]
commands, ports, mix, out, settings, per_node = json.loads(sys.argv[1])
os.environ["LOCAL_WORLD_SIZE"] = per_node
wrap_parallel = loop.wrap_parallel

def told(*arguments):
    os.write(2, f"finds unused parameters: {arguments[-1]}\\n".encode())  # whole, beside the other ranks
    return wrap_parallel(*arguments)

loop.wrap_parallel = told

def meet_anew():
    os.environ["MASTER_PORT"] = str(ports.pop())  # else the ranks look for each other where they last were

for arguments in commands:
    meet_anew()
    with contextlib.suppress(SystemExit):
        main(arguments)

train_step, done = loop.train_step, []

def interrupted(*arguments):
    done.append(1)
    if len(done) == 2 and os.environ["RANK"] == "1":
        signal.raise_signal(signal.SIGINT)
    return train_step(*arguments)

meet_anew()
loop.train_step = interrupted
try:
    loop.train(Path(mix), recipes.load("smoke-cpu", tuple(settings)), Path(out), False)
except KeyboardInterrupt:
    Path(out, "stopped-" + os.environ["RANK"]).touch()
"""


def free_ports(count: int) -> list[int]:
    """Give ports of this machine that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in sockets]


def torchrun(arguments: list[str | Path]) -> str:
    """Run torchrun and give what all ranks said."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def together(mix: Path, once) -> tuple[Path, str]:
    """A folder with the runs of `RUNS` and an interrupted one by two processes, and what they said."""

    def train(folder: Path) -> None:
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)
        commands = []
        for name, overrides in RUNS.items():
            settings = [word for override in (*TINY, *overrides) for word in ("--set", override)]
            out = str(folder / name)
            commands.append(["train", "--mixture", str(mix), "--recipe", "smoke-cpu", "--out", out, *settings])
        interrupted = [str(mix), str(folder / "interrupted"), [*TINY, "run.steps=6"]]
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", folder / "script.py"]
        argument = json.dumps([commands, free_ports(len(RUNS) + 1), *interrupted, "2"])
        (folder / "stderr").write_text(torchrun([*launch, argument]))

    folder = once("two-ranks", train)
    return folder, (folder / "stderr").read_text()


def log(run: Path) -> list[dict[str, object]]:
    return read_log(run / "train_log.jsonl")


@pytest.fixture(scope="module")
def alone(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "alone"
    loop.train(mix, tiny_recipe(*STEPS), run, False)
    return run


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_ranks_train_as_one(mix: Path, alone: Path, together: tuple[Path, str], parallel: str) -> None:
    run = together[0] / parallel
    assert together[1].count("trained 6 steps") == 2  # one line a run, not one a rank
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


def test_four_ranks_on_two_nodes_train_as_one(tmp_path: Path) -> None:
    """Each of the two nodes has a copy of the model, each of its two ranks a shard of every weight."""
    (tmp_path / "script.py").write_text(SCRIPT)
    mix = write_mix(tmp_path / "mix", {"train": records(12, "train"), "validation": records(4, "validation")})
    overrides, alone = (*STEPS, "run.parallel=hsdp", "run.evaluate_every=2"), tmp_path / "alone"
    settings = [word for override in (*TINY, *overrides) for word in ("--set", override)]
    commands = [["train", "--mixture", str(mix), "--recipe", "smoke-cpu", "--out", str(tmp_path / "hsdp"), *settings]]
    interrupted = [str(mix), str(tmp_path / "interrupted"), [*TINY, "run.steps=4", "run.parallel=hsdp"]]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4", tmp_path / "script.py"]
    torchrun([*launch, json.dumps([commands, free_ports(2), *interrupted, "2"])])
    loop.train(mix, tiny_recipe(*overrides), alone, False)
    runs = tmp_path / "hsdp", alone
    for mine, theirs in zip(*(read_held_out(run / "train_log.jsonl") for run in runs), strict=True):
        assert mine["held_out_loss_by_source"] == pytest.approx(theirs["held_out_loss_by_source"], rel=1e-4)
    assert len(read_held_out(alone / "train_log.jsonl")) == 3
    for key in ("loss", "loss_by_source", "grad_norm", "tokens"):
        for mine, theirs in zip(log(tmp_path / "hsdp"), log(alone), strict=True):
            assert mine[key] == pytest.approx(theirs[key], rel=1e-4), key
    for file in ("tower.safetensors", "projector.safetensors", "adapter/adapter_model.safetensors"):
        one, other = (load_file(find_checkpoint(folder) / file) for folder in (tmp_path / "hsdp", alone))
        assert all((one[key] - other[key]).abs().max() < 1e-3 for key in other)
    assert find_checkpoint(tmp_path / "interrupted").name == "step-00000002"


def test_unused_weights_are_looked_for_only_where_a_step_may_have_no_image(
    mix: Path, together: tuple[Path, str], tmp_path: Path
) -> None:
    loop.train(mix, tiny_recipe(*PICTURES), tmp_path / "alone", False)
    for mine, theirs in zip(log(together[0] / "pictures"), log(tmp_path / "alone"), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    told = together[1].count("finds unused parameters: True"), together[1].count("finds unused parameters: False")
    assert told == (2 * 4, 2)  # in each of two ranks: `ddp`, `fsdp`, `bf16` and the interrupted run; `pictures`


def test_two_ranks_share_weights_in_bf16(mix: Path, together: tuple[Path, str], tmp_path: Path) -> None:
    """Frozen weights of the language model are in bf16, LoRA and tower in fp32."""
    run = together[0] / "bf16"
    loop.train(mix, tiny_recipe(*SHARED), tmp_path / "alone", False)
    assert together[1].count("trained 4 steps") == 1
    for key in ("loss", "grad_norm"):
        for mine, theirs in zip(log(run), log(tmp_path / "alone"), strict=True):
            assert mine[key] == pytest.approx(theirs[key], rel=5e-3), key
    file = find_checkpoint(run) / "language" / "weights.safetensors"
    assert {tensor.dtype for tensor in load_file(file).values()} == {torch.bfloat16}


def test_ctrl_c_that_one_rank_sees_stops_all_at_the_same_step(together: tuple[Path, str]) -> None:
    assert sorted(path.name for path in (together[0] / "interrupted").iterdir()) == [
        "step-00000002", "stopped-0", "stopped-1", "train_log.jsonl",
    ]  # fmt: skip


def test_all_ranks_raise_and_rank_0_reports(together: tuple[Path, str]) -> None:
    assert together[1].count("lora.target_modules: the language model has no linear layer query") == 1
