"""Sets of a few small pictures, and a recipe that learns them in a moment."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from medmix.evaluate.classification import recipe as recipes
from medmix.evaluate.classification.recipe import TransferRecipe

from . import upstream

TINY = (
    "size=32",
    "epochs=8",
    "batch_size=8",
    "seeds=[0, 1]",
    "optim.lr=0.002",
    "optim.warmup_epochs=1",
    "augment={hflip: 0.0, crop: 0.95, rotate: 2.0, color_jitter: 0.05}",
    "scratch.kwargs={patch_size: 8, embed_dim: 32, depth: 1, num_heads: 2}",
    "n_bootstrap=50",
    "probe={c: [0.01, 1.0], max_iter: 100}",
)
"""Overrides that make the smoke recipe train in a moment."""


def tiny(*overrides: str) -> TransferRecipe:
    return recipes.load("smoke", (*TINY, *overrides))


@pytest.fixture(scope="session")
def sets_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sets without real samples, in the layouts of upstream."""
    root = tmp_path_factory.mktemp("sets")
    for write in (
        upstream.cxr8,
        upstream.medfmc_chest,
        upstream.medfmc_endo,
        upstream.medfmc_colon,
        upstream.medfmc_neojaundice,
    ):
        write(root)
    return root


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Sums have one order then, and tiny tensors are faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
