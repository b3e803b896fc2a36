"""A folder has one writer at a time, and a killed process blocks nobody."""

import errno
import fcntl
import subprocess
import sys
import threading

import pytest

from medmix.curate import locks
from medmix.curate.errors import UsageError

HOLD = """
import sys, time
from pathlib import Path
from medmix.curate import locks
with locks.acquire(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def hold(path, code=HOLD):
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_process_stops_with_the_line_until_the_first_is_killed(tmp_path):
    path = tmp_path / "work" / "lock"
    with hold(path) as process:
        with pytest.raises(UsageError, match=r"^mix: another build is running$"):
            locks.acquire(path, "mix: another build is running")
        process.kill()
    assert path.exists()
    with locks.acquire(path, "mix: another build is running"):
        pass


def test_without_a_line_a_second_process_waits(tmp_path):
    path = tmp_path / "lock"
    with hold(path) as process:
        threading.Timer(0.3, process.kill).start()
        with locks.acquire(path):
            assert process.wait() < 0


def test_the_lock_ends_with_the_block(tmp_path):
    with pytest.raises(ValueError, match="inside"), locks.acquire(tmp_path / "lock", "busy"):
        raise ValueError("inside")
    with locks.acquire(tmp_path / "lock", "busy"):
        pass


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        locks.acquire(tmp_path / "file" / "work" / "lock", "busy")


def test_those_who_share_a_file_keep_out_one_who_wants_it_alone_and_the_reverse(tmp_path):
    path = tmp_path / "work" / "lock"
    sharing = HOLD.replace("acquire(Path(sys.argv[1]))", "share(Path(sys.argv[1]), '')")
    with hold(path, sharing) as process:
        with locks.share(path, "mix: a build is running"), pytest.raises(UsageError, match=r"^mix: parts are running$"):
            locks.acquire(path, "mix: parts are running")
        process.kill()
    with hold(path) as process:
        with pytest.raises(UsageError, match=r"^mix: a build is running$"):
            locks.share(path, "mix: a build is running")
        process.kill()
    with locks.share(path, "mix: a build is running"):
        pass


def test_a_file_system_without_locks_can_be_shared(tmp_path, monkeypatch):
    def refuse(handle, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locks.share(tmp_path / "lock", "busy"):
        pass
