"""The sample sources and a mix built from them, made once for all tests that only look at them; a Hub."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from medmix.curate import mixtures, sampledata
from medmix.curate.build import BuildOptions, build
from medmix.curate.file_state import CLOCK_NS
from medmix.curate.write.workplace import WORK

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


@pytest.fixture(scope="session")
def scanned(mix: Path) -> Callable[[Path], None]:
    """Give a folder the scans of the sample mix, for a build whose reading is not what the test is about."""

    def scanned(out: Path) -> None:
        for name in ("scans", "comparisons"):
            shutil.copytree(mix / WORK / name, out / WORK / name)

    return scanned


SMALL = BuildOptions(only=("slake", "vqa_rad", "vqa_med_2019"), limit=20)
"""What `small_mix` is built with."""


@pytest.fixture(scope="session")
def small_mix(root: Path, once) -> Path:
    """The first rows of three sources, built by one worker; do not write there."""
    return once("small-mix", lambda folder: build(mixtures.load("sample"), root, folder, SMALL))


EVERY_KIND = BuildOptions(only=("slake", "medqa", "roco"))
"""What `mix_of_every_kind` is built with."""


@pytest.fixture(scope="session")
def mix_of_every_kind(root: Path, once) -> Path:
    """Three sources, of which each kind of file results; do not write there."""
    return once("every-kind", lambda folder: build(mixtures.load("sample"), root, folder, EVERY_KIND))


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
