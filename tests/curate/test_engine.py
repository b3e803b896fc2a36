import multiprocessing
import os
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import cv2
import pytest

from medmix.curate import engine
from medmix.curate.errors import InputError, WorkError

ROOT = Path(__file__).resolve().parents[2]


def square(number: int) -> int:
    return number * number


def fail_on_three(number: int) -> int:
    if number == 3:
        raise InputError("sources/slake/test.json", "is cut short", "get it again", row=3)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert list(engine.run(square, range(20), workers)) == [number * number for number in range(20)]


def named(task: tuple[Path, int]) -> int:
    folder, size = task
    with (folder / str(os.getpid())).open("a") as file:
        file.write(f"{size}\n")
    return size


def test_larger_tasks_start_first_and_results_keep_the_order_of_the_tasks(tmp_path):
    sizes = [3, 1, 4, 15, 9, 2, 6, 5, 35]
    assert list(engine.run(named, [(tmp_path, size) for size in sizes], 2, sizes)) == sizes
    of_workers = [[int(line) for line in path.read_text().split()] for path in tmp_path.iterdir()]
    assert sorted(chain.from_iterable(of_workers)) == sorted(sizes)
    assert all(started == sorted(started, reverse=True) for started in of_workers)


def opencv_threads(number: int) -> int:
    return cv2.getNumThreads()


@pytest.mark.parametrize("workers", [1, 2])
def test_each_process_has_one_opencv_thread_while_it_works_and_the_others_after_it(workers):
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        assert list(engine.run(opencv_threads, range(4), workers)) == [1, 1, 1, 1]
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_importing_the_image_code_leaves_opencv_threads_alone():
    code = "import cv2; cv2.setNumThreads(2); import medmix.curate.build; assert cv2.getNumThreads() == 2"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_back_as_it_was_raised(workers):
    with pytest.raises(InputError) as caught:
        list(engine.run(fail_on_three, range(20), workers))
    assert str(caught.value) == "sources/slake/test.json, row 3: is cut short; get it again"
    assert multiprocessing.active_children() == []


def test_a_worker_that_is_killed_stops_the_run_in_one_line():
    with pytest.raises(WorkError, match="a worker process died"):
        list(engine.run(die, range(4), 2))


PARENT = """
import time
from medmix.curate import engine

if __name__ == "__main__":
    list(engine.run(time.sleep, [600, 600], 2))
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)})
    children = wait_for(lambda: two_workers_of(parent.pid))
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(is_alive(child) for child in children))


def two_workers_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid), "-f", "spawn_main"], capture_output=True, text=True, check=False)
    children = [int(line) for line in found.stdout.split()]
    time.sleep(1)  # a child watches its parent from when its first task arrives
    return children if len(children) >= 2 else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.2)
    raise AssertionError("did not come about within a minute")
