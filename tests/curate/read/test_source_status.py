"""What `medmix fetch --check` sees under a root."""

import hashlib
import json
import shutil

import pytest

from medmix.cli import main
from medmix.curate import facts, sampledata
from medmix.curate.errors import UsageError
from medmix.curate.read import download_record, source_status
from medmix.curate.read.download_record import Download, DownloadedFile
from medmix.curate.read.source_status import SourceStatus

PIN = facts.load("slake").upstream["hub"].revision


@pytest.fixture
def slake(tmp_path):
    """The Hub's layout of SLAKE under a root, with the record of its download."""
    folder = tmp_path / "slake"
    folder.mkdir()
    for name, data in sampledata.TREES["slake"]["hub"](0).files.items():
        (folder / name).write_bytes(data)
    record(folder)
    return folder


def record(folder, dataset="BoKelvin/SLAKE", commit=PIN) -> None:
    files = {
        path.name: DownloadedFile(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
        if not path.name.startswith(".")
    }
    download_record.write_record(folder, Download(dataset, commit, files))


def check(*arguments) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["fetch", "--check", *map(str, arguments)])
    return int(stop.value.code or 0)


@pytest.mark.parametrize("source", facts.source_ids())
def test_a_tree_without_a_record_is_present_of_unknown_version(root, source):
    found = source_status.check_source(source, root)
    assert (found.state, found.revision, found.problems) == ("present, version unknown", "", ())
    assert found.layout == next(iter(sampledata.TREES[source]))


def test_a_recorded_download_is_present_at_its_commit(slake):
    assert source_status.check_source("slake", slake.parent) == SourceStatus("slake", "present", "hub", PIN)


def test_nothing_there_is_absent_and_says_what_belongs_there(tmp_path):
    found = source_status.check_source("slake", tmp_path)
    assert (found.state, found.layout) == ("absent", "")
    assert found.problems == (
        "expected Slake1.0/{train,validate,test}.json and imgs/ or {train,validation,test}.json and imgs.zip",
    )


def test_files_that_went_or_changed_are_named(slake):
    (slake / "train.json").unlink()
    with (slake / "imgs.zip").open("ab") as handle:
        handle.write(b"more")
    size = (slake / "imgs.zip").stat().st_size
    found = source_status.check_source("slake", slake.parent)
    assert found.state == "incomplete"
    assert found.problems == (
        f"imgs.zip has {size} bytes instead of {size - 4}",
        "train.json is missing",
        "no files of split train",
    )


def test_another_commit_or_dataset_is_a_wrong_version(slake):
    record(slake, commit="0" * 40)
    found = source_status.check_source("slake", slake.parent)
    assert (found.state, found.revision) == ("wrong version", "0" * 40)
    assert found.problems == (f"is BoKelvin/SLAKE at {'0' * 40}, and not BoKelvin/SLAKE at {PIN}",)
    record(slake, dataset="OctoMed/SLAKE")
    assert source_status.check_source("slake", slake.parent).state == "wrong version"


def test_a_stopped_download_is_partly_there(slake):
    (slake / ".fetching").mkdir()
    found = source_status.check_source("slake", slake.parent)
    assert found.state == "incomplete"
    assert found.problems == (f"its download was stopped; resume it with: medmix fetch slake --root {slake.parent}",)


def test_images_that_are_all_missing_are_noticed(tmp_path, root):
    shutil.copytree(root / "vqa_rad", tmp_path / "vqa_rad")
    shutil.rmtree(tmp_path / "vqa_rad" / "VQA_RAD Image Folder")
    found = source_status.check_source("vqa_rad", tmp_path)
    assert found.state == "incomplete"
    (problem,) = found.problems
    assert problem.startswith("no images of the rows found, as VQA_RAD Image Folder/synpic")


def test_a_broken_archive_is_a_problem_and_no_crash(tmp_path):
    (tmp_path / "omnimedvqa").mkdir()
    (tmp_path / "omnimedvqa" / "OmniMedVQA.zip").write_bytes(b"half a zip")
    found = source_status.check_source("omnimedvqa", tmp_path)
    assert found.state == "incomplete"
    assert f"{tmp_path / 'omnimedvqa' / 'OmniMedVQA.zip'}: " in found.problems[0]


@pytest.mark.parametrize("text", ["{", "[]", '{"dataset": "BoKelvin/SLAKE"}'])
def test_a_damaged_record_is_named(slake, text):
    (slake / ".fetched.json").write_text(text)
    with pytest.raises(UsageError, match=r"\.fetched\.json"):
        source_status.check_source("slake", slake.parent)


def test_check_prints_a_table_with_the_problems_below(slake, capsys):
    (slake / "test.json").unlink()
    assert check("slake", "medqa", "--root", slake.parent) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["source", "state", "layout", "revision"]
    assert lines[1].split() == ["slake", "incomplete", "hub", PIN]
    assert lines[2].split() == ["medqa", "absent"]
    assert lines[3:5] == ["slake: test.json is missing", "slake: no files of split test"]
    assert lines[5].startswith("medqa: expected data_clean/")


def test_check_in_json(slake, capsys):
    assert check("slake", "--root", slake.parent, "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    known = {"state": "present", "layout": "hub", "revision": PIN, "problems": [], "unchecked": []}
    assert entry == {"source": "slake", **known}


def test_what_is_absent_is_no_finding_unless_it_was_asked_for(slake):
    assert check("--root", slake.parent) == 0
    assert check("medqa", "--root", slake.parent) == 1
    record(slake, commit="0" * 40)
    assert check("--root", slake.parent) == 1
