"""A build in parts: any number of them, in any order, killed and repeated, gives the bytes of one process."""

import errno
import json
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import medmix
from medmix.cli import main
from medmix.curate import build as builds
from medmix.curate import mixtures, parts, sampledata, shards
from medmix.curate.build import BuildOptions, build
from medmix.curate.build_parts import build_part
from medmix.curate.decide import comparisons
from medmix.curate.errors import UsageError
from medmix.curate.measure import scan, scans
from medmix.curate.mixture import EvaluationSet
from medmix.curate.parts import PASSES, Part
from medmix.curate.write import manifest, materialise
from medmix.curate.write.workplace import WORK

from .conftest import SMALL

SAMPLE = mixtures.load("sample")
OPTIONS = SMALL
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _one_pair_per_task(monkeypatch):
    monkeypatch.setattr(comparisons, "PAIRS_PER_TASK", 1)


@pytest.fixture(scope="module")
def whole(small_mix) -> dict[str, bytes]:
    """The content of the mix that one process builds."""
    return content(small_mix)


def content(out: Path) -> dict[str, bytes]:
    """Give all bytes of a mix but the timings, and refuse files that are left over."""
    paths = [path for path in out.rglob("*") if path.is_file()]
    assert [path for path in paths if path.suffix == ".tmp" or path.name == parts.NAME] == []
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in paths if WORK not in path.parts}
    document = json.loads(files[manifest.NAME])
    del document["timings"]
    return {**files, manifest.NAME: json.dumps(document).encode()}


def do(root: Path, out: Path, *passes: parts.Pass, count: int = 1, order: random.Random | None = None) -> None:
    for name in passes:
        numbers = list(range(1, count + 1))
        if order:
            order.shuffle(numbers)
        for number in numbers:
            build_part(SAMPLE, root, out, OPTIONS, Part(number, count, name))


def finish(root: Path, out: Path, monkeypatch) -> dict[str, bytes]:
    """Run the plain build, which must find all tasks done, and give the content of its mix."""
    with monkeypatch.context() as patch:
        for module, name in ((scan, "_rows"), (comparisons, "compare"), (materialise, "write_rows")):
            patch.setattr(module, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
        build(SAMPLE, root, out, OPTIONS)
    return content(out)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_parts_in_any_order_do_all_the_work_and_give_the_same_bytes(root, tmp_path, monkeypatch, whole, count):
    do(root, tmp_path / "mix", *PASSES, count=count, order=random.Random(count))
    assert (tmp_path / "mix" / WORK / parts.NAME).exists()
    assert finish(root, tmp_path / "mix", monkeypatch) == whole
    do(root, tmp_path / "mix", "write")
    assert list((tmp_path / "mix" / WORK).glob("mix-*")) == []


def test_a_part_does_every_nth_task_and_all_parts_do_each_once():
    tasks = list(range(7))
    shares = [Part(number, 3, "scan").share(tasks) for number in (1, 2, 3)]
    assert shares == [[0, 3, 6], [1, 4], [2, 5]]
    assert [Part(number, 3, "scan").share(["a", "b"], first=7) for number in (1, 2, 3)] == [[], ["a"], ["b"]]
    assert Part(9, 9, "scan").share(tasks) == []


COMMAND = """
import os, signal, sys
from pathlib import Path
from medmix.curate.decide import comparisons

comparisons.PAIRS_PER_TASK = 1
left, rename = int(sys.argv.pop(1)), Path.replace

def rename_or_die(self, target):
    global left
    if Path(target).suffix == ".parquet":
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    return rename(self, target)

Path.replace = rename_or_die
from medmix.cli import main
main()
"""


def start(root: Path, out: Path, part: str, name: str, killed_after: int = -1) -> subprocess.Popen:
    """Start a part, which kills itself before it has written more files than `killed_after`."""
    arguments = ["build", "--mixture", "sample", "--root", root, "--out", out, "--only", ",".join(OPTIONS.only)]
    arguments += ["--limit", OPTIONS.limit, "--workers", 1, "--part", part, "--pass", name]
    command = [sys.executable, "-c", COMMAND, killed_after, *arguments]
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_parts_that_are_killed_and_repeated_give_the_same_bytes(root, tmp_path, monkeypatch, whole):
    out = tmp_path / "mix"
    for name, part, written in (("scan", Part(2, 2, "scan"), 2), ("equal", None, 0), ("write", Part(1, 2, "write"), 1)):
        if part:
            process = start(root, out, f"{part.number}/{part.count}", name, written)
            assert process.communicate() and process.returncode == -signal.SIGKILL
            assert len(list(out.rglob(".*.tmp"))) >= 1
        do(root, out, name, count=2)
        if name == "equal":
            do(root, out, "compare", count=2)
    assert finish(root, out, monkeypatch) == whole


def test_two_processes_at_once_on_one_part_give_the_same_bytes(root, tmp_path, monkeypatch, whole):
    out = tmp_path / "mix"
    both = [start(root, out, "1/2", "scan") for _ in range(2)]
    assert [(process.communicate()[1].count("error"), process.returncode) for process in both] == [(0, 0), (0, 0)]
    do(root, out, *PASSES, count=2)
    assert finish(root, out, monkeypatch) == whole


@pytest.mark.parametrize(
    ("name", "module", "function"),
    [("scan", scan, "_rows"), ("compare", comparisons.confirm, "compare"), ("write", materialise, "_rows")],
)
def test_a_part_that_runs_whole_while_another_writes_the_same_file(
    root, tmp_path, monkeypatch, whole, name, module, function
):
    out = tmp_path / "mix"
    do(root, out, *PASSES[: PASSES.index(name)])
    real, inside = getattr(module, function), []

    def with_a_rival(*arguments):
        if not inside:
            inside.append(True)
            do(root, out, name)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, function, with_a_rival)
        do(root, out, name)
    assert inside
    do(root, out, *PASSES[PASSES.index(name) :])
    assert finish(root, out, monkeypatch) == whole


def test_a_file_that_another_machine_left_half_written_does_not_get_into_the_mix(root, tmp_path, monkeypatch, whole):
    out = tmp_path / "mix"
    do(root, out, *PASSES)
    (shard, *_) = sorted((out / WORK).glob("mix-*/data/slake/*.parquet"))
    with monkeypatch.context() as patch:
        patch.setattr(shards.platform, "node", lambda: "another")
        shard.with_name(f".{shard.name}.{shards.unique_name()}.tmp").write_text("half")
    assert finish(root, out, monkeypatch) == whole


def test_a_pass_says_what_must_run_before_it(root, tmp_path):
    out = tmp_path / "mix"
    line = "pass {} needs pass {}, of which {} of {} files are missing; run all its parts first: --pass {} --part I/N"
    for number in range(3):
        for later in PASSES[number + 1 :]:
            with pytest.raises(UsageError) as caught:
                do(root, out, later)
            total = {"scan": 7, "equal": 2, "compare": 2}[PASSES[number]]
            expected = line.format(later, PASSES[number], total, total, PASSES[number])
            assert str(caught.value) == expected
        do(root, out, PASSES[number])
    do(root, out, "write")


def test_evaluation_sets_are_tasks_of_the_pass_scan(root, tmp_path):
    sources, out = tmp_path / "sources", tmp_path / "mix"
    shutil.copytree(root / "slake", sources / "slake")
    for name in ("wards", "clinics"):
        (sources / name).mkdir()
        shutil.copy(next((sources / "slake").rglob("source.jpg")), sources / name / "a.jpg")
    mixture = replace(SAMPLE, evaluation=(EvaluationSet(images="wards"), EvaluationSet(images="clinics")))
    options = BuildOptions(only=("slake",), limit=3)
    for number, cached in ((1, 1), (2, 2)):
        with pytest.raises(UsageError, match=r"of which . of [0-9]+ files are missing"):
            build_part(mixture, sources, out, options, Part(1, 1, "equal"))
        build_part(mixture, sources, out, options, Part(number, 2, "scan"))
        assert len(list((out / WORK / "evaluation").glob("*.parquet"))) == cached
    build_part(mixture, sources, out, options, Part(1, 1, "equal"))


def test_parts_of_different_builds_are_kept_apart(root, tmp_path, monkeypatch):
    out = tmp_path / "mix"
    options = BuildOptions(only=("medqa",), limit=2)
    build_part(SAMPLE, root, out, options, Part(1, 2, "scan"))
    with pytest.raises(UsageError, match=r"are of mixture sample \(settings .*\); this is mixture sample \("):
        build_part(SAMPLE, root, out, replace(options, limit=3), Part(1, 2, "scan"))
    with monkeypatch.context() as patch:
        patch.setattr(medmix, "__version__", "99.0")
        with pytest.raises(UsageError, match=r"by medmix .* \(code .*; this is .* by medmix 99.0 \(code "):
            build_part(SAMPLE, root, out, options, Part(2, 2, "scan"))
    build(SAMPLE, root, out, replace(options, limit=3))
    build_part(SAMPLE, root, out, options, Part(1, 2, "scan"))
    (out / WORK / parts.NAME).write_text("{")
    with pytest.raises(UsageError, match=r"parts\.json: cannot be read; remove it when no part runs"):
        build_part(SAMPLE, root, out, options, Part(2, 2, "scan"))


def test_a_folder_belongs_to_the_first_part(tmp_path, monkeypatch):
    """Also when two start at the same time, and neither sees the file of the other at first."""
    monkeypatch.setattr(Path, "exists", lambda path: False)
    parts.claim(tmp_path, parts.identity("first", "1"))
    with pytest.raises(UsageError, match=r"are of mixture first .* this is mixture second"):
        parts.claim(tmp_path, parts.identity("second", "2"))
    assert [path.name for path in tmp_path.iterdir()] == [parts.NAME]


def test_a_build_and_a_part_do_not_run_at_the_same_time(root, tmp_path, monkeypatch):
    out, real = tmp_path / "mix", scans.scan
    options = BuildOptions(only=("medqa",), limit=2)

    def build_meanwhile(task):
        with pytest.raises(UsageError, match="another build is writing to this folder; wait until it ends"):
            build(SAMPLE, root, out, options)
        return real(task)

    def part_meanwhile(task):
        with pytest.raises(UsageError, match="mix: a build is writing to this folder; wait until it ends"):
            build_part(SAMPLE, root, out, options, Part(1, 1, "scan"))
        return real(task)

    monkeypatch.setattr(scans, "scan", build_meanwhile)
    build_part(SAMPLE, root, out, options, Part(1, 1, "scan"))
    monkeypatch.setattr(scans, "scan", part_meanwhile)
    build(SAMPLE, root, out, options)


def test_generated_sources_that_two_parts_make_at_once_are_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sampledata, "TREES", {"medqa": sampledata.TREES["medqa"]})
    real, inside = sampledata._set_times, []

    def with_a_rival(draft):
        if not inside:
            inside.append(True)
            builds.sample_root(SAMPLE, tmp_path)
        real(draft)

    monkeypatch.setattr(sampledata, "_set_times", with_a_rival)
    root = builds.sample_root(SAMPLE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [root.name] == ["sample-data"]
    assert [path.name for path in root.iterdir()] == ["medqa"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        *((["--part", text], f"--part {text}: write I/N with I from 1 to N, such as 2/5") for text in ("0/3", "4/3")),
        *((["--part", text], f"--part {text}: write I/N with I from 1 to N, such as 2/5") for text in ("a/b", "1")),
        (["--pass", "write"], "--pass write needs --part I/N; --part 1/1 is all of the pass"),
        (["--part", "1/2", "--pass", "decide"], "Invalid value for '--pass': 'decide' is not one of 'scan', 'equal', "),
        (["--part", "1/2", "--fresh"], "--fresh would discard the results of the other parts"),
        (["--part", "1/2", "--json"], "--json prints the manifest, which a part does not make; leave it out"),
        (["--part", "1/2", "--root", "nowhere"], "nowhere is not a folder; give the folder that holds one folder per"),
        (
            ["--part", "1/2", "--out", "file/mix"],
            "file/mix: cannot write there (Not a directory); choose",
        ),
        (["--part", "1/2", "--out", "."], ". is not empty and is not a mix; choose another --out"),
    ],
)
def test_misuse_is_one_line_and_2(tmp_path, monkeypatch, capsys, arguments, line):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["build", "--mixture", "sample", *arguments])
    assert stop.value.code == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"medmix: error: {line}")


def test_a_full_disk_is_one_line_and_1(root, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "scan")

    monkeypatch.setattr(scan, "_rows", full)
    arguments = ["--mixture", "sample", "--root", root, "--out", tmp_path / "mix", "--only", "medqa", "--part", "1/1"]
    with pytest.raises(SystemExit) as stop:
        main(["build", *map(str, arguments), "--workers", "1"])
    assert stop.value.code == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("medmix: error: scan: the disk is full; free some space and run the same command again")
