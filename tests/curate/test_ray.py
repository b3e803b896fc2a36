"""Tests on a Ray cluster of two nodes on this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from medmix.curate import engine, mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.errors import InputError, UsageError, WorkError
from medmix.curate.write import manifest
from medmix.curate.write.workplace import WORK

pytest.importorskip("ray", reason="Ray is not installed: pip install 'medmix[ray]'")

import ray
from ray.cluster_utils import Cluster

from medmix.curate import ray_engine

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes with one processor each."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def connected(cluster: Cluster) -> Iterator[ray_engine.RayEngine]:
    os.environ["RAY_ADDRESS"] = cluster.address
    with ray_engine.connected(workers=1) as made:
        yield made
    del os.environ["RAY_ADDRESS"]


@pytest.fixture
def on_ray(connected: ray_engine.RayEngine) -> Iterator[ray_engine.RayEngine]:
    with engine.using(connected):
        yield connected


def content(out: Path) -> dict[str, bytes]:
    """Give all bytes of a mix but the timings."""
    paths = [path for path in out.rglob("*") if path.is_file() and WORK not in path.parts]
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}
    document = json.loads(files[manifest.NAME])
    del document["timings"]
    return {**files, manifest.NAME: json.dumps(document).encode()}


def test_a_mix_has_the_same_bytes_as_one_process(connected, root, tmp_path):
    mixture, options = mixtures.load("sample"), BuildOptions(only=("slake", "vqa_rad"), limit=20)
    build(mixture, root, tmp_path / "one", options)
    with engine.using(connected):
        build(mixture, root, tmp_path / "ray", options)
    assert content(tmp_path / "ray") == content(tmp_path / "one")
    assert any(name.endswith(".parquet") for name in content(tmp_path / "one"))


def started(task: tuple[Path, int]) -> int:
    folder, size = task
    with (folder / "started").open("a") as file:
        file.write(f"{size}\n")
    return size


def test_larger_tasks_start_first_and_results_keep_the_order_of_the_tasks(on_ray, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "_most_in_flight", lambda: 1)
    sizes = [3, 1, 4, 15, 9, 2]
    assert list(engine.run(started, [(tmp_path, size) for size in sizes], 1, sizes)) == sizes
    assert [int(line) for line in (tmp_path / "started").read_text().split()] == sorted(sizes, reverse=True)


def thread_count_and_folder(number: int) -> tuple[int, str]:
    return cv2.getNumThreads(), os.getcwd()


def test_a_worker_has_one_opencv_thread_and_the_folder_of_the_command(on_ray, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(engine.run(thread_count_and_folder, range(3), 1)) == [(1, str(tmp_path))] * 3


def fail_on_three(number: int) -> int:
    if number == 3:
        raise InputError("sources/slake/test.json", "is cut short", "get it again", row=3)
    return number


def test_an_error_comes_back_as_it_was_raised(on_ray):
    with pytest.raises(InputError) as caught:
        list(engine.run(fail_on_three, range(20), 1))
    assert type(caught.value) is InputError
    assert caught.value.exit_code == 2
    assert str(caught.value) == "sources/slake/test.json, row 3: is cut short; get it again"


def die_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def test_a_task_whose_worker_was_killed_is_repeated(on_ray, tmp_path):
    assert list(engine.run(die_once, [tmp_path / "a", tmp_path / "b"], 1)) == ["a", "b"]


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_task_whose_workers_always_die_stops_the_run_in_one_line(on_ray, monkeypatch):
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    with pytest.raises(WorkError, match=r"workers died 2 times.*finished work is kept"):
        list(engine.run(die, [1], 1))


def test_a_node_that_does_not_see_the_folder_is_named(on_ray, tmp_path, monkeypatch):
    engine.require_shared(tmp_path)
    assert list(tmp_path.iterdir()) == []
    blind = next(node for node in reversed(ray.nodes()) if node["Alive"])
    identifier, name = blind["NodeID"], blind["NodeName"]
    monkeypatch.setattr(ray_engine, "_reads", lambda token: ray.get_runtime_context().get_node_id() != identifier)
    with pytest.raises(UsageError, match=f"node {name} .* does not see {tmp_path}"):
        engine.require_shared(tmp_path)
    assert list(tmp_path.iterdir()) == []


def wait_on_lost_node(task: tuple[Path, int]) -> int:
    """Wait for ever on the node that is doomed, and on others until a task waits there; say which node works."""
    folder, number = task
    node, doomed = ray.get_runtime_context().get_node_id(), (folder / "doomed").read_text()
    (folder / f"{number}.{node}").touch()
    while node == doomed or not list(folder.glob(f"*.{doomed}")):
        time.sleep(0.05)
    return number


def test_tasks_of_a_node_that_is_lost_are_repeated_on_another(cluster, on_ray, tmp_path):
    extra = cluster.add_node(num_cpus=2)
    (tmp_path / "doomed").write_text(extra.node_id)
    results = engine.run(wait_on_lost_node, [(tmp_path, number) for number in range(6)], 1)

    def remove() -> None:
        while not list(tmp_path.glob(f"*.{extra.node_id}")):
            time.sleep(0.05)
        cluster.remove_node(extra, allow_graceful=False)

    remover = threading.Thread(target=remove, daemon=True)
    remover.start()
    assert list(results) == list(range(6))
    remover.join()
    lost = {path.name.split(".")[0] for path in tmp_path.glob(f"*.{extra.node_id}")}
    assert lost and all(len(list(tmp_path.glob(f"{number}.*"))) > 1 for number in lost)


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medmix", "build", "--mixture", "sample", "--engine", "ray", *arguments]
    known = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=known)


def test_without_ray_one_line_says_how_to_install_it(tmp_path):
    (tmp_path / "ray.py").write_text("raise ImportError('no ray')\n")
    done = run_command("--out", str(tmp_path / "mix"), PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'medmix[ray]'" in done.stderr


def test_a_cluster_that_cannot_be_reached_is_one_line(tmp_path):
    done = run_command("--out", str(tmp_path / "mix"), RAY_ADDRESS="127.0.0.1:9")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "RAY_ADDRESS 127.0.0.1:9: cannot connect" in done.stderr
