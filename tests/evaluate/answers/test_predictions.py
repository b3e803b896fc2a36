import json
from pathlib import Path

import pytest

from medmix.curate.errors import UsageError
from medmix.evaluate.answers.predictions import PredictionWriter

IDENTITY = {"checkpoint": "a" * 64, "protocol": {"batch": 8}}
LINES = [{"system": "model", "id": f"slake/{number}", "prediction": "是的\n"} for number in range(3)]
ORDER = [("model", f"slake/{number}") for number in range(5)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three predictions."""
    PredictionWriter(tmp_path, IDENTITY, False).append(LINES)
    return tmp_path


def test_it_goes_on_after_the_last_line(folder: Path) -> None:
    writer = PredictionWriter(folder, IDENTITY, False)
    assert writer.done == LINES
    writer.validate_order(ORDER)
    writer.append([{"system": "model", "id": "slake/3"}])
    assert len(PredictionWriter(folder, IDENTITY, False).done) == 4


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_cut_line_is_made_again(folder: Path, cut: int) -> None:
    path = folder / "predictions.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert PredictionWriter(folder, IDENTITY, False).done == LINES[:2]
    assert path.read_bytes().endswith(b"\n")


def test_an_empty_file_is_a_beginning(folder: Path) -> None:
    (folder / "predictions.jsonl").write_bytes(b'{"system": ')
    assert PredictionWriter(folder, IDENTITY, False).done == []


def test_another_run_is_refused_by_its_differences(folder: Path) -> None:
    other = {"checkpoint": "b" * 64, "protocol": {"batch": 4}}
    with pytest.raises(UsageError) as refused:
        PredictionWriter(folder, other, False)
    assert str(refused.value) == (
        f"{folder}/predictions.jsonl is of another run: checkpoint was aaaaaaaaaaaa, is bbbbbbbbbbbb; "
        "protocol.batch was 8, is 4; choose another --out, or start again with --overwrite"
    )
    assert PredictionWriter(folder, other, True).done == []
    assert not (folder / "predictions.jsonl").exists()
    assert json.loads((folder / "run.json").read_text()) == other


def test_what_cannot_be_trusted_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="line 2: unexpected model on slake/1"):
        PredictionWriter(folder, IDENTITY, False).validate_order([ORDER[0], ORDER[2]])
    path = folder / "predictions.jsonl"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace('"slake/1"', '"slake'), encoding="utf-8")
    with pytest.raises(UsageError, match=r"predictions.jsonl, line 2: damaged; choose another --out"):
        PredictionWriter(folder, IDENTITY, False)
    path.write_text("[]\n")
    with pytest.raises(UsageError, match="line 1: not a prediction"):
        PredictionWriter(folder, IDENTITY, False)
    (folder / "run.json").unlink()
    with pytest.raises(UsageError, match=r"its model and protocol are unknown \(run.json is missing\)"):
        PredictionWriter(folder, IDENTITY, False)
