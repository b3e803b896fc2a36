"""The sample sources and a mix built from them, made once for all tests that only look at them; a Hub."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from medmix.curate import mixtures, sampledata
from medmix.curate.build import BuildOptions, build
from medmix.curate.file_state import CLOCK_NS

from ..hub import Hub


@pytest.fixture(scope="session")
def root(once) -> Path:
    """Sample upstream trees of all sources, older than the file system's clock can tell; do not write there."""

    def write(folder: Path) -> None:
        sampledata.write(folder, seed=0)
        time.sleep(1.1 * CLOCK_NS / 1e9)

    return once("sources", write)


@pytest.fixture(scope="session")
def mix(root: Path, once) -> Path:
    """The sample mix, built by one worker; do not write there."""
    return once("sample-mix", lambda folder: build(mixtures.load("sample"), root, folder, BuildOptions()))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub on this machine, empty; waits of its client, and of medmix, take no time and stand in `hub.waits`."""
    double = Hub(tmp_path_factory.mktemp("hub"))
    monkeypatch.setattr(constants, "ENDPOINT", double.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", double.waits.append)
    with double.running():
        yield double
    close_session()
