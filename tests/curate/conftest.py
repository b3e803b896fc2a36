"""The sample sources and a mix built from them, made once for all tests that only look at them."""

from pathlib import Path

import pytest

from medmix.curate import mixture, sampledata
from medmix.curate.build import BuildOptions, build


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample upstream trees of all sources; do not write there."""
    path = tmp_path_factory.mktemp("sources") / "sample"
    sampledata.write(path, seed=0)
    return path


@pytest.fixture(scope="session")
def mix(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample mix, built by one worker; do not write there."""
    out = tmp_path_factory.mktemp("mixes") / "sample"
    build(mixture.load("sample"), root, out, BuildOptions())
    return out
