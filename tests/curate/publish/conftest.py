"""A mix of one's own to push, its release prepared, a Hub with a user, and the command."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from medmix.cli import main
from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.publish import planner, release, versions

REPO = "someone/pictures"


SOURCES = ("slake", "pathvqa", "mimic_cxr", "iu_xray", "medqa", "pubmedqa")
"""Free but for a part, unclear, credentialed, research-only; and without images: unclear, free."""


@pytest.fixture(scope="session")
def prepared(root: Path, once) -> Path:
    """A mix of six sources with the release that a push of it prepares; do not write there."""

    def prepare(folder: Path) -> None:
        out = folder / "mix"
        whole = build(mixtures.load("sample"), root, out, BuildOptions(only=SOURCES))
        shutil.rmtree(out / ".work")
        (out / planner.WORK).mkdir(parents=True)
        release.prepare_release(out, whole, REPO, versions.changelog(None, None, "1.0.0"), out / planner.WORK)

    return once("prepared", prepare) / "mix"


@pytest.fixture
def mine(prepared: Path, tmp_path: Path) -> Path:
    """A mix to push, or to break."""
    return Path(shutil.copytree(prepared, tmp_path / "mix"))


@pytest.fixture
def writer(hub, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token that may write; the Hub lists its files on two pages."""
    hub.page = 40
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    return "hf_writer"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def environment(hub, writer, tmp_path: Path) -> dict[str, str]:
    """What a process of its own needs to find the Hub here."""
    del writer
    return {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": "hf_writer",
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
        "HF_DATASETS_CACHE": str(tmp_path / "home" / "datasets"),
    }


def one_error(err: str) -> str:
    """Give the error line; it is the last one, and there is no traceback."""
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("medmix: error: ")]
    assert errors == lines[-1:], err
    assert "Traceback" not in err
    return errors[0].removeprefix("medmix: error: ")


def release_files(mix: Path) -> dict[str, bytes]:
    """Give every file that is to be on the Hub."""
    (folder,) = (mix / planner.WORK).glob("release-*")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
