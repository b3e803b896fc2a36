"""A push that is killed at any moment goes on where it stopped, and nothing half-done ever looks done."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from .conftest import REPO, release_files

ROOT = Path(__file__).resolve().parents[3]

MOMENTS = (
    ("repos/create", 0),
    ("PUT /lfs/", 4),
    ("/commit/", 0),
    ("/tag/", 0),
)
"""The process is killed when a request of this kind arrives, after so many others; the Hub does what was asked."""


def test_killed_again_and_again_it_sends_no_finished_byte_twice(hub, mine, environment):
    command = [sys.executable, "-m", "medmix", "push", str(mine), "--repo", REPO, "--yes"]
    options = {"cwd": ROOT, "env": {**os.environ, **environment}, "stdout": subprocess.DEVNULL}

    for pattern, skip in MOMENTS:
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
    arrived = Counter(request.line for request in hub.answered("PUT /lfs/") if request.status == 200)
    assert set(arrived.values()) == {1}
    assert len(arrived) == sum(name.endswith(".parquet") for name in there)
