"""What the tests of scores share: a small mix and a model that has learned it, and miniature benchmarks."""

import json
from pathlib import Path
from typing import Any

import pytest

from medmix.curate import sampledata
from medmix.curate.build import BuildOptions, build
from medmix.curate.mixtures import load as load_mixture
from medmix.train.recipes import load as load_recipe
from medmix.train.run import loop
from medmix.train.run.checkpoint import Checkpoint, load

from ..train.conftest import _one_thread, folder_of, mix, run_of, tiny, tiny_recipe

__all__ = ["_one_thread", "folder_of", "mix", "run_of", "tiny"]


@pytest.fixture(scope="session")
def run(mix: Path, once) -> Path:
    """A run of the smoke recipe that has learned the small mix."""
    recipe = load_recipe("smoke-cpu", ("run.steps=40", "generation.batch_size=5"))
    return once("learned", lambda folder: loop.train(mix, recipe, folder, False))


@pytest.fixture(scope="session")
def loaded(run: Path) -> Checkpoint:
    """The model of `run`."""
    return load(run)


@pytest.fixture(scope="session")
def sources(once) -> Path:
    """The miniature upstream trees of all sources."""
    return once("sources", lambda folder: sampledata.write(folder, 0))


@pytest.fixture(scope="session")
def sample_mix(sources: Path, once) -> Path:
    """A mix of five of the miniature sources, one of which it trains on by its test split."""
    options = BuildOptions(only=("vqa_rad", "slake", "pathvqa", "omnimedvqa", "pubmedqa"), workers=1)
    return once("mix-of-five", lambda folder: build(load_mixture("sample"), sources, folder, options))


@pytest.fixture(scope="session")
def sample_run(sample_mix: Path, once) -> Path:
    """A run on `sample_mix` that has learned next to nothing."""
    recipe = tiny_recipe("run.steps=2", "language.vocab_size=600")
    return once("sample-run", lambda folder: loop.train(sample_mix, recipe, folder, False))


def lines(folder: Path) -> list[dict[str, Any]]:
    """The predictions in a folder of results."""
    text = (folder / "predictions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def value(results: dict[str, Any], benchmark: str, subset: str, metric: str, system: str = "model") -> float:
    """One score out of results; there must be just one."""
    wanted = (benchmark, subset, metric, system)
    (row,) = [r for r in results["scores"] if (r["benchmark"], r["subset"], r["metric"], r["system"]) == wanted]
    found: float = row["value"]
    return found
