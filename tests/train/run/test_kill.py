"""A process that is killed while it writes a checkpoint: with packs, several rounds a step, workers and dropout."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from medmix.train.run import checkpoint, loop
from medmix.train.run.state import find_checkpoint

from ..conftest import TINY, tiny_recipe

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = (
    "run.steps=7", "run.checkpoint_every=2", "run.pack_tokens=160", "run.workers=2", "lora.dropout=0.2",
)  # fmt: skip
KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
from medmix.train import recipes
from medmix.train.run import loop

save, written = torch.save, []

def dies(state, path):
    save(state, path)
    written.append(path)
    if len(written) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = dies
torch.set_num_threads(1)
mix, out, settings = sys.argv[1:]
loop.train(Path(mix), recipes.load("smoke-cpu", tuple(json.loads(settings))), Path(out), False)
"""


def test_it_resumes_bit_for_bit(mix: Path, tmp_path: Path) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(mix), str(run), json.dumps([*TINY, *SETTINGS])],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in checkpoint.list_checkpoints(run)] == ["step-00000002"]
    assert len((run / "train_log.jsonl").read_text().splitlines()) == 4

    loop.train(mix, tiny_recipe(*SETTINGS, "run.workers=1"), run, False)
    loop.train(mix, tiny_recipe(*SETTINGS, "run.workers=0"), whole, False)
    logs = [[json.loads(line) for line in (path / "train_log.jsonl").read_text().splitlines()] for path in (run, whole)]
    for key in ("step", "epoch", "loss", "loss_by_source", "grad_norm", "learning_rate", "tokens"):
        assert [entry[key] for entry in logs[0]] == [entry[key] for entry in logs[1]], key
    assert min(entry["tokens"] for entry in logs[0]) > 160  # more than one pack, so more than one round
    one, other = (find_checkpoint(path) for path in (run, whole))
    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert len(files) == 4
    for file in files:
        a, b = load_file(one / file), load_file(other / file)
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), file
    assert not list(run.glob(".*"))
