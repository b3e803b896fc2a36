"""`medmix fetch --mixture` knows the evaluation sets of a mixture as it knows sources."""

import json
from pathlib import Path

import pytest
from PIL import Image

from medmix.cli import main
from medmix.curate import mixtures
from medmix.evaluate.classification import datasets


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["fetch", *arguments])
    return int(stop.value.code or 0), *capsys.readouterr()


@pytest.fixture
def mixture(tmp_path: Path) -> str:
    (tmp_path / "m.yaml").write_text(
        "name: m\nversion: 1.0.0\ndescription: d\nsources: {mimic_cxr: {}}\nevaluation:\n"
        "- {images: kvasir}\n- {images: busi, file_filter: {files: 'Dataset_BUSI_with_GT/*/*).png'}}\n"
        "- {images: ours}\n"
    )
    return str(tmp_path / "m.yaml")


def test_what_is_missing_of_a_mixture_is_listed_with_the_way_to_get_it(mixture, tmp_path, capsys):
    status, out, err = run(capsys, "--mixture", mixture, "--root", str(tmp_path / "root"))
    lines = out.splitlines()
    at = lines.index("kvasir: manual steps to get it:")
    assert lines[at + 1 : at + 3] == [
        "  1. get kvasir-dataset-v2.zip from datasets.simula.no/kvasir and unpack it, the class folders directly below "
        "(8,000 images; size of the download not known)",
        f"  2. put them in {tmp_path / 'root/kvasir'}",
    ]
    assert lines[-1] == f"  1. put them in {tmp_path / 'root/ours'}"
    assert err.splitlines()[-1] == "incomplete: mimic_cxr, kvasir, busi, ours"
    assert status == 0


def test_sets_that_are_there_are_checked(mixture, tmp_path, capsys):
    (tmp_path / "root/ours").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "root/ours/1.png")
    (tmp_path / "root/busi").mkdir()
    status, out, _ = run(capsys, "--check", "--mixture", mixture, "--root", str(tmp_path / "root"), "--json")
    found = {row["source"]: (row["state"], row["layout"]) for row in json.loads(out)}
    assert found == {
        "mimic_cxr": ("absent", ""),
        "kvasir": ("absent", ""),
        "busi": ("incomplete", "images"),
        "ours": ("present, version unknown", "images"),
    }
    assert status == 1


def test_the_sets_of_v1_have_facts():
    """Every evaluation set of images that v1 names has a way to get it and the number of its images."""
    for item in mixtures.load("v1").evaluation:
        if item.images:
            info = datasets.load(item.images)
            assert info.download and info.images, item.images


def test_sources_and_a_mixture_are_not_both_named(mixture, capsys):
    status, _, err = run(capsys, "slake", "--mixture", mixture)
    assert (status, err.splitlines()[-1]) == (2, "medmix: error: give SOURCE or --mixture, not both")
