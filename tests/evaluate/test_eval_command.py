"""`medmix eval` as its user meets it."""

import json
import shutil
from pathlib import Path

import pytest

from medmix.cli import main

from .classification import upstream
from .classification.conftest import TINY


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command in this process; give exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main(["eval", *map(str, arguments)])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def test_a_table_or_one_json_document(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys, run, "--out", tmp_path / "eval", "--limit", "4", "--no-controls")
    assert status == 0
    assert out == (tmp_path / "eval/table.md").read_text()
    assert err.endswith(f"the scores are in {tmp_path}/eval\n")
    again = call(capsys, run, "--out", tmp_path / "eval", "--limit", "4", "--no-controls", "--json")
    assert again[0] == 0
    assert json.loads(again[1]) == json.loads((tmp_path / "eval/results.json").read_text())


def test_several_models_get_a_folder_each(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    common = ("--out", tmp_path / "eval", "--benchmarks", "colours", "--no-controls", "--json")
    status, out, _ = call(capsys, run, other, *common)
    assert status == 0
    assert [result["model"]["path"].split("/")[-2] for result in json.loads(out)] == ["learned", "other"]
    assert (tmp_path / "eval/learned/predictions.jsonl").exists()
    assert (tmp_path / "eval/other/table.md").exists()


def test_refusals_are_one_line_and_2(
    run: Path, sample_run: Path, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaking = (sample_run, "--root", sources, "--benchmarks", "omnimedvqa", "--out", tmp_path)
    status, out, err = call(capsys, *leaking)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith("medmix: error: omnimedvqa: the mix trains on its test split")
    call(capsys, run, "--out", tmp_path / "eval", "--limit", "4", "--no-controls")
    status, _, err = call(capsys, run, "--out", tmp_path / "eval", "--limit", "5", "--no-controls")
    assert status == 2
    assert "protocol.limit was 4, is 5" in err.splitlines()[-1]


def test_both_suites_of_a_checkpoint(
    run: Path, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(sources / "vqa_rad", root / "vqa_rad")
    upstream.class_folders(root / "colours", ("red", "blue"), 12)
    (tmp_path / "colours.yaml").write_text(
        "id: colours\ntitle: Colours\nlabels: single\nclasses: [red, blue]\nreader:\n  folders: {path: '{class}'}\n"
        "splits: {group_by: copies, copies: exact, test_fraction: 0.4, validation_fraction: 0.2}\n"
    )
    asked = ("--limit", "3", "--no-controls", "--datasets", tmp_path / "colours.yaml", "--recipe", "smoke")
    settings = [part for setting in (*TINY, "epochs=2", "seeds=[0]") for part in ("--set", setting)]
    status, out, _ = call(capsys, run, "--suite", "all", "--root", root, *asked, *settings, "--out", tmp_path, "--json")
    assert status == 0
    assert [result["suite"] for result in json.loads(out)] == ["answers", "classification"]
    assert json.loads((tmp_path / "answers/results.json").read_text())["protocol"]["limit"] == 3
    assert json.loads((tmp_path / "classification/results.json").read_text())["model"]["kind"] == "checkpoint"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sets", "busi"), "--sets is now called --datasets"),
        (("--fresh",), "--fresh is now called --overwrite"),
        (("--batch", "4"), "--batch is now called --batch-size"),
        (("--leave-out-broken",), "--leave-out-broken is now called --skip-broken"),
        (("--trained-on", "mix"), "--trained-on is now called --train-dataset"),
        (("--suite", "vqa"), "'vqa' is now called 'answers'"),
    ],
)
def test_a_renamed_option_or_choice_is_an_error_that_names_the_new_one(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(capsys, "run", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
