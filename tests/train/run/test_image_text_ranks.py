"""Two processes on the CPU train such a model as one does, with a copy each or a shard each."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from medmix.train.recipe import as_dict
from medmix.train.run import loop

from ..family_runs import recipe_of
from .test_loop import losses, weights
from .test_ranks import free_ports

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = {
    "ddp": ("run.parallel=ddp", "run.pack_tokens=300", "run.micro_batch_size=null"),
    "fsdp": ("run.parallel=fsdp", "run.micro_batch_size=2"),
}
STEPS = ("run.steps=null", "run.epochs=1", "run.global_batch_size=7", "train=[lora, projector]")
"""36 records: the last of six steps has one record for two ranks, and some rounds have images on one rank alone."""

SCRIPT = """
import json, os, sys
import torch
from medmix.cli import main
torch.set_num_threads(1)
for arguments, port in json.loads(sys.argv[1]):
    os.environ["MASTER_PORT"] = str(port)
    try:
        main(arguments)
    except SystemExit as stop:
        assert stop.code == 0, stop.code
"""


@pytest.fixture(scope="module")
def runs(mix: Path, folder_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks for each of `SETTINGS`, in folders of these names."""
    out = tmp_path_factory.mktemp("ranks")
    commands = []
    for (name, settings), port in zip(SETTINGS.items(), free_ports(2), strict=True):
        file = out / f"{name}.yaml"
        file.write_text(yaml.safe_dump(as_dict(recipe_of(folder_of("qwen2.5-vl"), *STEPS, *settings)) | {"name": name}))
        arguments = ["train", "--mixture", str(mix), "--recipe", str(file), "--out", str(out / name)]
        commands.append((arguments, port))
    processes = []
    for rank in ("0", "1"):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        command = [sys.executable, "-c", SCRIPT, json.dumps(commands)]
        processes.append(subprocess.Popen(command, cwd=ROOT, env=os.environ | place, stderr=subprocess.PIPE, text=True))
    ends = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(ends)
    return out


@pytest.mark.parametrize("name", SETTINGS)
def test_two_ranks_train_as_one(name: str, runs: Path, mix: Path, folder_of: Any, tmp_path: Path) -> None:
    loop.train(mix, recipe_of(folder_of("qwen2.5-vl"), *STEPS), tmp_path / "one", False)
    assert losses(runs / name) == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    assert len(losses(runs / name)) == 6
    assert weights(runs / name).keys() == weights(tmp_path / "one").keys()
