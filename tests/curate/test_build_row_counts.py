"""What a build says when it reads other rows than upstream has."""

import json
import shutil
from dataclasses import replace

import pytest

from medmix.cli import main
from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.read import download_record
from medmix.curate.write import manifest

REAL = replace(mixtures.load("sample"), sample_data=False)
ONLY_MEDQA = BuildOptions(only=("medqa",))
NOTE = "samples with fewer rows than upstream: medqa 117 of 12,723"
WARNING = (
    "medqa: is a full copy with another number of rows than upstream: "
    "train 81 instead of 10,178, test 24 instead of 1,273; is a file missing, or has upstream changed?"
)


@pytest.fixture
def sources(root, tmp_path):
    """A root with the sample of MedQA alone."""
    shutil.copytree(root / "medqa", tmp_path / "sources" / "medqa")
    return tmp_path / "sources"


def as_complete_download(folder):
    """Turn the sample into the Hub's layout, with the record of a finished download."""
    for split in ("train", "test"):
        file = next(folder.rglob(f"phrases_no_exclude_{split}.jsonl"))
        file.rename(folder / file.name)
    shutil.rmtree(folder / "data_clean")
    files = {file.name: download_record.DownloadedFile(file.stat().st_size, "00") for file in folder.iterdir()}
    download_record.write_record(folder, download_record.Download("GBaker/MedQA-USMLE-4-options", "0" * 40, files))


def test_a_sample_is_a_note(sources, tmp_path, capsys):
    document = build(REAL, sources, tmp_path / "mix", ONLY_MEDQA)
    assert NOTE in document["notes"]
    assert WARNING not in document["warnings"]
    assert f"note: {NOTE}\n" in capsys.readouterr().err
    assert f"- {NOTE}\n" in (tmp_path / "mix" / "README.md").read_text(encoding="utf-8")


def test_a_full_copy_with_other_rows_is_a_warning_that_a_second_run_and_check_repeat(sources, tmp_path, capsys):
    as_complete_download(sources / "medqa")
    (tmp_path / "real.yaml").write_text("name: real\nversion: 1.0.0\ndescription: d\nsources: {medqa: {}}\n")
    command = [
        "build",
        "--mixture",
        str(tmp_path / "real.yaml"),
        "--root",
        str(sources),
        "--out",
        str(tmp_path / "mix"),
    ]
    for arguments in (command, command, ["check", str(tmp_path / "mix")]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        assert f"warning: {WARNING}" in capsys.readouterr().err.splitlines()[-2:]
    document = manifest.read(tmp_path / "mix")
    assert document["warnings"] == [WARNING]
    assert NOTE not in document["notes"]


def test_equal_input_gives_equal_words_and_a_found_record_other_ones(sources, tmp_path):
    as_complete_download(sources / "medqa")
    record = sources / "medqa" / download_record.RECORD
    kept = record.read_bytes()
    record.unlink()
    assert WARNING not in build(REAL, sources, tmp_path / "mix", ONLY_MEDQA)["warnings"]
    record.write_bytes(kept)
    assert WARNING in build(REAL, sources, tmp_path / "mix", ONLY_MEDQA)["warnings"]
    build(REAL, sources, tmp_path / "other", ONLY_MEDQA)
    texts = [json.loads((tmp_path / name / manifest.NAME).read_text()) for name in ("mix", "other")]
    assert [{**text, "timings": None} for text in texts] == [{**texts[0], "timings": None}] * 2


@pytest.mark.parametrize(
    ("chosen", "options"),
    [(mixtures.load("sample"), ONLY_MEDQA), (REAL, replace(ONLY_MEDQA, limit=5))],
    ids=["sample data", "limit"],
)
def test_nobody_expects_all_of_upstream_of_sample_data_or_with_a_limit(sources, tmp_path, chosen, options):
    as_complete_download(sources / "medqa")
    document = build(chosen, sources, tmp_path / "mix", options)
    assert WARNING not in document["warnings"]
    assert not any("samples with fewer" in note for note in document["notes"])
