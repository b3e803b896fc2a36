"""A push that is killed at any moment goes on where it stopped, and nothing half-done ever looks done."""

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest

from .conftest import REPO, release_files

ROOT = Path(__file__).resolve().parents[3]

XET = {"HF_HUB_DISABLE_XET": "0", "HF_XET_XORB_COMPRESSION_POLICY": "none"}

MOMENTS = {
    "lfs": [("repos/create", 0), ("PUT /lfs/", 4), ("/commit/", 0), ("/tag/", 0)],
    "xet": [("xet-write-token", 0), ("PUT /xet/store/", 4), ("/v2/shards", 5), ("/commit/", 0), ("/tag/", 0)],
}
"""The process is killed when a request of this kind arrives, after so many others; the Hub does what was asked."""


@pytest.mark.parametrize("storage", MOMENTS)
def test_killed_again_and_again_it_sends_no_finished_byte_twice(hub, mine, environment, storage):
    if storage == "xet":
        environment = {**environment, **XET}
    command = [sys.executable, "-m", "medmix", "push", str(mine), "--repo", REPO, "--yes"]
    options = {"cwd": ROOT, "env": {**os.environ, **environment}, "stdout": subprocess.DEVNULL}

    for pattern, skip in MOMENTS[storage]:
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **options)
        hub.fail(pattern, lambda process=process: (process.kill(), process.wait()), skip=skip)
        assert process.wait() == -signal.SIGKILL, pattern
        hub.wait_until_idle()
        repository = hub.repositories[REPO]
        tagged = repository.tags.get("v1.0.0")
        assert tagged is None or release_files(mine).keys() <= repository.commits[tagged].keys()
        finished = {"README.md", "manifest.json"} & repository.commits[repository.main].keys()
        assert not finished or release_files(mine).keys() <= repository.commits[repository.main].keys()

    done = subprocess.run(command, capture_output=True, text=True, check=False, **{**options, "stdout": None})
    assert done.returncode == 0, done.stderr
    assert "v1.0.0 is already published with the same content; nothing to do" in done.stderr
    there = hub.content(REPO, "v1.0.0")
    there.pop(".gitattributes")
    assert there == release_files(mine)
    assert hub.repositories[REPO].messages == ["initial commit", "sample v1.0.0"]
    arrived = Counter(
        request.line for request in hub.answered("PUT /lfs/|PUT /xet/store|POST /xet/v1/xorbs") if request.status == 200
    )
    assert set(arrived.values()) == {1}
    assert len(arrived) == sum(name.endswith(".parquet") for name in there)


@pytest.mark.parametrize("pattern", ["xet-write-token", "PUT /xet/store/", "/v2/shards", "/commit/"])
def test_ctrl_c_ends_a_push_through_xet_at_once(hub, mine, environment, pattern):
    command = [sys.executable, "-m", "medmix", "push", str(mine), "--repo", REPO, "--yes"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment, **XET}, stderr=subprocess.PIPE, text=True
    )

    over: Future[int] = Future()

    def interrupt() -> None:  # the Hub does not answer before the process has ended
        process.send_signal(signal.SIGINT)
        try:
            over.set_result(process.wait(timeout=60))
        except subprocess.TimeoutExpired as error:
            over.set_exception(error)

    hub.fail(pattern, interrupt)
    _, err = process.communicate()
    assert over.result(timeout=60) == 130
    assert err.splitlines()[-1].startswith("medmix: error: interrupted")
    assert "Traceback" not in err
    assert hub.repositories[REPO].tags == {}
