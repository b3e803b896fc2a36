"""Copies of credentialed data that must not be used, wherever they are met."""

import json
import shutil

import pytest

from medmix.cli import main
from medmix.curate.read import refused_copies

COPY = "itsanmolgupta/mimic-cxr-dataset"
REASON = (
    f"{COPY} is a copy of MIMIC-CXR that PhysioNet has not authorised; its data use agreement forbids to share the data"
)


def error(capsys, *arguments) -> str:
    """Run a command that is misuse; gives its error line."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("medmix: error: ")


@pytest.mark.parametrize(
    "name",
    [
        COPY,
        "ItsAnmolGupta/MIMIC-CXR-dataset",
        f"https://huggingface.co/datasets/{COPY}",
        f"datasets/{COPY}/",
    ],
)
def test_a_copy_is_known_by_its_name(name):
    assert refused_copies.reason_by_name(name) == REASON


@pytest.mark.parametrize("name", ["slake", "BoKelvin/SLAKE", "itsanmolgupta/other", f"{COPY}-derived"])
def test_other_names_are_free(name):
    assert refused_copies.reason_by_name(name) is None


def test_fetch_refuses_a_copy_by_name(hub, capsys, tmp_path):
    assert error(capsys, "fetch", "slake", COPY, "--root", tmp_path) == REASON
    assert not hub.log


@pytest.mark.parametrize(
    "place",
    [
        "itsanmolgupta--mimic-cxr-dataset",
        "datasets--itsanmolgupta--mimic-cxr-dataset/snapshots/abc",
        "itsanmolgupta/mimic-cxr-dataset",
        "JiaMao_54375885",
    ],
)
@pytest.mark.parametrize("command", [("fetch", "slake"), ("build", "--mixture", "sample", "--out", "{tmp}/mix")])
def test_a_root_that_is_called_like_a_copy_is_refused(capsys, tmp_path, place, command):
    folder = tmp_path / place
    folder.mkdir(parents=True)
    arguments = [argument.format(tmp=tmp_path) for argument in command]
    line = error(capsys, *arguments, "--root", folder)
    assert line.startswith(f"{folder}: ")
    assert "that PhysioNet has not authorised" in line
    assert line.endswith("; remove it")


MARKS = {
    "dataset_info.json": json.dumps({"download_checksums": {f"hf://datasets/{COPY}@1/a.parquet": {}}}),
    ".git/config": f'[remote "origin"]\n\turl = https://huggingface.co/datasets/{COPY}\n',
    "README.md": f"---\nlicense: mit\n---\n# Dataset Card for {COPY}\n",
    ".fetched.json": json.dumps({"dataset": COPY, "commit": "1", "files": {}}),
}


@pytest.mark.parametrize("name", MARKS)
def test_a_folder_that_bears_the_marks_of_a_copy_is_refused(capsys, tmp_path, name):
    mark = tmp_path / "mimic_cxr" / name
    mark.parent.mkdir(parents=True)
    mark.write_text(MARKS[name])
    refused = f"{tmp_path / 'mimic_cxr'}: names the dataset it came from: {REASON}; remove it"
    assert error(capsys, "fetch", "mimic_cxr", "--root", tmp_path) == refused
    build = ("build", "--mixture", "v1", "--only", "mimic_cxr", "--out", tmp_path / "mix", "--root", tmp_path)
    assert error(capsys, *build) == refused
    assert error(capsys, *build, "--allow-missing", "mimic_cxr") == refused


def test_a_copy_behind_a_link_is_refused(tmp_path):
    copy = tmp_path / "cache" / "datasets--itsanmolgupta--mimic-cxr-dataset"
    copy.mkdir(parents=True)
    (tmp_path / "mimic_cxr").symlink_to(copy)
    assert REASON in refused_copies.reason_by_folder(tmp_path / "mimic_cxr", "mimic_cxr")


def test_of_a_credentialed_source_no_download_from_the_hub_is_read(tmp_path, root):
    for source in ("mimic_cxr", "slake"):
        shutil.copytree(root / source, tmp_path / source)
        (tmp_path / source / ".cache" / "huggingface").mkdir(parents=True)
    assert refused_copies.reason_by_folder(tmp_path / "mimic_cxr", "mimic_cxr") == (
        f"{tmp_path / 'mimic_cxr'}: was downloaded from the Hub, where no copy of mimic_cxr is authorised; remove it"
    )
    assert refused_copies.reason_by_folder(tmp_path / "slake", "slake") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", f"# SLAKE\n\nUnlike {COPY}, this may be shared. See datasets/{COPY}.\n"),
        ("README.md", f"# My copy of {COPY}-notes\n"),
        ("dataset_info.json", json.dumps({"description": f"not to be mixed up with {COPY} or the like"})),
        (".git/config", f"url = https://huggingface.co/datasets/{COPY}-viewer\n"),
    ],
)
def test_who_only_speaks_of_a_copy_is_not_refused(tmp_path, name, text):
    path = tmp_path / "slake" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert refused_copies.reason_by_folder(tmp_path / "slake", "slake") is None


def test_the_sample_trees_are_free(root):
    assert refused_copies.reason_by_folder(root) is None
    assert [refused_copies.reason_by_folder(root / source, source) for source in ("mimic_cxr", "slake")] == [None, None]
