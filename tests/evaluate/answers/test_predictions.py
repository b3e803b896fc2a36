import json
from pathlib import Path

import pytest

from medmix.curate.errors import UsageError
from medmix.evaluate.answers.predictions import Journal

IDENTITY = {"checkpoint": "a" * 64, "protocol": {"batch": 8}}
LINES = [{"system": "model", "id": f"slake/{number}", "prediction": "是的\n"} for number in range(3)]
ORDER = [("model", f"slake/{number}") for number in range(5)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three predictions."""
    Journal(tmp_path, IDENTITY, False).append(LINES)
    return tmp_path


def test_it_goes_on_after_the_last_line(folder: Path) -> None:
    journal = Journal(folder, IDENTITY, False)
    assert journal.done == LINES
    journal.check(ORDER)
    journal.append([{"system": "model", "id": "slake/3"}])
    assert len(Journal(folder, IDENTITY, False).done) == 4


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_cut_line_is_made_again(folder: Path, cut: int) -> None:
    path = folder / "predictions.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert Journal(folder, IDENTITY, False).done == LINES[:2]
    assert path.read_bytes().endswith(b"\n")


def test_an_empty_file_is_a_beginning(folder: Path) -> None:
    (folder / "predictions.jsonl").write_bytes(b'{"system": ')
    assert Journal(folder, IDENTITY, False).done == []


def test_another_run_is_refused_by_its_differences(folder: Path) -> None:
    other = {"checkpoint": "b" * 64, "protocol": {"batch": 4}}
    with pytest.raises(UsageError) as refused:
        Journal(folder, other, False)
    assert str(refused.value) == (
        f"{folder}/predictions.jsonl is of another run: checkpoint was aaaaaaaaaaaa, is bbbbbbbbbbbb; "
        "protocol.batch was 8, is 4; give another --out, or begin again with --fresh"
    )
    assert Journal(folder, other, True).done == []
    assert not (folder / "predictions.jsonl").exists()
    assert json.loads((folder / "run.json").read_text()) == other


def test_what_cannot_be_trusted_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="line 2: model on slake/1 does not belong here"):
        Journal(folder, IDENTITY, False).check([ORDER[0], ORDER[2]])
    path = folder / "predictions.jsonl"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace('"slake/1"', '"slake'), encoding="utf-8")
    with pytest.raises(UsageError, match=r"predictions.jsonl, line 2: damaged; give another --out"):
        Journal(folder, IDENTITY, False)
    path.write_text("[]\n")
    with pytest.raises(UsageError, match="line 1: no prediction"):
        Journal(folder, IDENTITY, False)
    (folder / "run.json").unlink()
    with pytest.raises(UsageError, match=r"it is not known what made it \(run.json is gone\)"):
        Journal(folder, IDENTITY, False)
