"""Which changes of images a later run notices, and when it reads their bytes again."""

import os
import shutil
import time
from pathlib import Path

import pytest

from medmix.curate.file_state import CLOCK_NS, FileState
from medmix.curate.measure import scanned_files
from medmix.curate.measure.scan import ScanTask, scan
from medmix.curate.measure.text import find_model
from medmix.curate.read.image_store import ImageStore
from medmix.curate.sources import Shard


@pytest.fixture
def task(root: Path, tmp_path: Path) -> ScanTask:
    shutil.copytree(root / "slake", tmp_path / "slake")
    shard = Shard(("Slake1.0/test.json",), "test")
    return ScanTask("slake", tmp_path / "slake", "original", shard, tmp_path / "scans", 10**8, "en", find_model(None))


def an_image(task: ScanTask) -> Path:
    return next(path for path in sorted(task.folder.rglob("source.jpg")) if scan_names(task, path))


def scan_names(task: ScanTask, path: Path) -> bool:
    return path.relative_to(task.folder / "Slake1.0/imgs").as_posix() in (task.folder / task.shard.files[0]).read_text()


def replaced(file: Path) -> None:
    """Change a byte behind the image's end; size and time stay."""
    data, state = file.read_bytes(), file.stat()
    file.unlink()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def later(monkeypatch: pytest.MonkeyPatch, nanoseconds: int) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + nanoseconds)


def test_an_image_replaced_by_one_of_equal_size_and_time_is_scanned_again(task: ScanTask) -> None:
    before = scan(task).read_bytes()
    assert scan(task).read_bytes() == before
    replaced(an_image(task))
    assert scan(task).read_bytes() != before


def test_unchanged_images_are_read_again_once_while_the_clock_cannot_tell(
    task: ScanTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scan(task)
    count = []
    read = ImageStore.read
    monkeypatch.setattr(ImageStore, "read", lambda self, ref: count.append(ref) or read(self, ref))
    later(monkeypatch, 60 * CLOCK_NS)
    assert scanned_files.are_unchanged(made, task.folder, verify=False, now_ns=time.time_ns())
    assert count
    count.clear()
    assert scanned_files.are_unchanged(made, task.folder, verify=False, now_ns=time.time_ns())
    assert not count
    assert scanned_files.are_unchanged(made, task.folder, verify=True, now_ns=time.time_ns())
    assert count


def test_a_moved_tree_is_read_again_and_not_decoded_again(task: ScanTask, tmp_path: Path) -> None:
    """Copies that keep times, as of rsync, have other change times; the scan holds nothing of the machine."""
    made = scan(task)
    content = made.read_bytes()
    task.folder.rename(tmp_path / "old")
    shutil.copytree(tmp_path / "old", task.folder)
    assert scanned_files.are_unchanged(made, task.folder, verify=False, now_ns=time.time_ns())
    os.utime(an_image(task), ns=(1, 1))
    assert not scanned_files.are_unchanged(made, task.folder, verify=False, now_ns=time.time_ns())
    assert scan(task).read_bytes() == content


def test_a_missing_image_that_arrives_and_one_that_goes_are_noticed(task: ScanTask, tmp_path: Path) -> None:
    file = an_image(task)
    file.rename(tmp_path / "away")
    without = scan(task).read_bytes()
    (tmp_path / "away").rename(file)
    assert scan(task).read_bytes() != without
    file.unlink()
    assert scan(task).read_bytes() == without


def test_a_file_is_settled_one_tick_after_its_last_change() -> None:
    state = FileState(1, 1_000, 5_000)
    assert not state.is_settled(5_000 + CLOCK_NS)
    assert state.is_settled(5_001 + CLOCK_NS)
