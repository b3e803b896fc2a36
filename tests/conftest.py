"""What all tests share: no network, no home of the user's, and the real samples where there are some."""

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

HOME = tempfile.TemporaryDirectory(prefix="medmix-tests-")
os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=HOME.name, HF_DATASETS_CACHE=f"{HOME.name}/datasets", TQDM_DISABLE="1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the suite itself takes all cores; more threads only wait for each other
os.environ["HF_HUB_DISABLE_XET"] = "1"  # tests/curate/publish/test_xet.py turns it on
os.environ.setdefault("MEDMIX_TEST_TOKEN", os.environ.get("HF_TOKEN", ""))  # for the one test of the real Hub
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and not str(address).startswith(("('127.", "('::1")):
            raise AssertionError(f"a test wants to connect to {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with small samples of the real datasets, kept beside the checkout."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no sample of real data beside the checkout")
    return path


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder once for all processes of the test run: `once(name, make)` gives it after `make(folder)`."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / "once" / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                folder.parent.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder

    return made
