import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medmix.curate.errors import UsageError
from medmix.evaluate import intervals
from medmix.evaluate.comparison import rendering

from ..test_intervals import mean
from .conftest import answers, classes

RIGHT = ("yes", "no", "spleen", "left kidney")
HALF = ("yes", "yes", "liver", "kidney")


def row(table: dict[str, Any], *key: str) -> dict[str, Any]:
    """The one row of a benchmark, subset and metric."""
    (found,) = [row for row in table["rows"] if (row["benchmark"], row["subset"], row["metric"]) == key]
    result: dict[str, Any] = found
    return result


def test_models_stand_beside_each_other_their_controls_and_what_was_published(tmp_path: Path) -> None:
    answers(tmp_path / "in/a", "a", RIGHT)
    answers(tmp_path / "in/deep/b", "b", HALF)
    document = rendering.write_report([tmp_path / "in"], tmp_path / "out")
    (table,) = document["tables"]
    assert table["models"] == ["tiny (a)", "tiny (b)"]
    exact = row(table, "pathvqa", "all", "exact_match")
    assert (exact["n"], exact["groups"]) == (4, 3)
    assert {name: cell["value"] for name, cell in exact["cells"].items()} == {"tiny (a)": 1.0, "tiny (b)": 0.25}
    assert exact["cells"]["tiny (b)"]["controls"] == {"always_yes": 0.25}
    assert exact["cells"]["tiny (b)"]["leaks"]["text"] == (
        "kept clean of other items (1 of 3); 3 image, 2 panel (leaks: 1), 5 group"
    )
    assert row(table, "pathvqa", "closed", "closed_accuracy")["cells"]["tiny (b)"]["value"] == 0.5

    (test,) = [t for t in table["tests"] if (t["subset"], t["metric"]) == ("all", "exact_match")]
    expected = intervals.paired_difference([1, 1, 1, 1], [1, 0, 0, 0], ["1", "1", "2", "3"])
    assert (test["first"], test["second"]) == ("tiny (a)", "tiny (b)")
    assert (test["value"], test["low"], test["high"], test["p"]) == (0.75, expected.low, expected.high, expected.p)
    assert test["q"] >= test["p"]

    comparable = [n for paper in document["published"] for n in paper["numbers"] if n["scores"]]
    assert [(n["model"], n["value"], n["fraction"]) for n in comparable] == [
        ("OpenMedQ 7B", 75.9, 0.759),
        ("prefix tuning", 70.3, pytest.approx(0.703)),
        ("Med-PaLM M 562B", 72.27, pytest.approx(0.7227)),
    ]
    assert "ours is on 4 samples, the test has 6,719" in comparable[0]["scores"][0]["differences"]
    assert any("which BLEU-1 is meant is not stated" in line for line in comparable[0]["differences"])


def test_the_files_are_whole_in_themselves(tmp_path: Path) -> None:
    answers(tmp_path / "a", "a", RIGHT)
    document = rendering.write_report([tmp_path / "a"], tmp_path / "out")
    assert json.loads((tmp_path / "out/report.json").read_text()) == document
    page = (tmp_path / "out/report.html").read_text()
    assert "<svg" in page
    assert not re.search(r"<script|<link|<img|\bsrc=|\bhref=|url\(|@import", page)
    text = (tmp_path / "out/report.md").read_text()
    assert "| pathvqa | all | exact_match | 4 | 3 | 1.000 [1.000, 1.000] |" in text
    assert "**protocol differs**: which BLEU-1 is meant is not stated" in text
    assert "| roco | pathvqa test | 3 | 0 | 2 | 0 | 0 | 0 | 0 | 5 | 0 | 0 |" in text


def test_what_upstream_or_a_name_says_is_text_on_the_page(tmp_path: Path) -> None:
    model = {"name": "<b>x</b>", "path": None, "digest": None, "kind": "encoder"}
    answers(tmp_path / "a", "a", RIGHT, model=model, notes=["a <script> here"])
    rendering.write_report([tmp_path / "a"], tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert "<b>x" not in page
    assert "<script" not in page
    assert "&lt;b&gt;x" in page


def test_another_protocol_is_another_table_and_is_said(tmp_path: Path) -> None:
    answers(tmp_path / "a", "a", RIGHT)
    other = {"dataset": "elsewhere", "split": "test", "limit": 4, "batch_size": 8}
    answers(tmp_path / "b", "b", HALF, protocol=other)
    document = rendering.write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    first, second = document["tables"]
    assert (first["name"], second["name"]) == ("Answers, protocol A", "Answers, protocol B")
    assert first["differences"] == []
    assert second["differences"] == ["limit is 4, not null", 'split is "test", not "each benchmark\'s own"']
    assert first["tests"] == second["tests"] == []
    assert document["warnings"][0].startswith(
        "Answers, protocol B: its protocol differs from the first table's: limit is 4"
    )


def test_other_samples_are_another_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from . import conftest

    answers(tmp_path / "a", "a", RIGHT)
    monkeypatch.setitem(conftest.GOLDS, "pathvqa/test/1", ("no", "closed", "slide-1"))
    answers(tmp_path / "b", "b", RIGHT)
    (table,) = (document := rendering.write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "out"))["tables"]
    exact = [row["cells"].keys() for row in table["rows"] if (row["subset"], row["metric"]) == ("all", "exact_match")]
    assert exact == [{"tiny (a)"}, {"tiny (b)"}]
    assert "Answers: models have different samples of pathvqa; a row for each" in document["warnings"]
    assert (
        "pathvqa: tiny (a) and tiny (b) are not compared: no common samples, or different references"
        in (document["warnings"])
    )


def test_encoders_by_the_mean_over_their_seeds(tmp_path: Path) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truth = [0, 0, 1, 1]
    said = {0: [0, 0, 1, 0], 1: [0, 1, 1, 1]}
    names = ["benign", "malignant"]
    mean = sum(sklearn.f1_score(truth, mine, average="macro") for mine in said.values()) / 2
    classes(tmp_path / "one", "one", {seed: [names[k] for k in mine] for seed, mine in said.items()}, mean)
    classes(tmp_path / "two", "two", {0: ["benign"] * 4, 1: ["benign"] * 4}, 1 / 3)
    document = rendering.write_report([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    (table,) = document["tables"]
    cell = row(table, "busi", "all", "macro_f1")["cells"]["one"]
    assert (cell["value"], cell["seeds"]) == (pytest.approx(mean, abs=1e-12), [0, 1])
    assert cell["leaks"]["text"] == "not checked: not trained on a mix of medmix"
    (test,) = table["tests"]
    assert test["value"] == pytest.approx(mean - 1 / 3, abs=1e-12)
    assert {n["value"] for p in document["published"] for n in p["numbers"] if n["scores"]} == {0.876, 0.915}


def test_seeds_of_one_training_are_one_model(tmp_path: Path) -> None:
    trained = {"name": "tiny", "kind": "checkpoint", "recipe": "r", "mix_digest": "d", "step": 2}
    for seed, said in enumerate((RIGHT, HALF)):
        model = {**trained, "path": f"runs/all/seed-{seed}/step-2", "digest": f"{seed}" * 64, "seed": seed}
        answers(tmp_path / f"all-{seed}", "a", said, model=model)
    answers(tmp_path / "other", "b", HALF)
    document = rendering.write_report([tmp_path], tmp_path / "out")
    (table,) = document["tables"]
    assert table["models"] == ["tiny (all)", "tiny (b)"]
    cell = row(table, "pathvqa", "all", "exact_match")["cells"]["tiny (all)"]
    expected = mean([1, 0.5, 0.5, 0.5], ["1", "1", "2", "3"])
    assert (cell["value"], cell["low"], cell["high"], cell["seeds"]) == (0.625, expected.low, expected.high, [0, 1])
    assert cell["sd_over_seeds"] == pytest.approx(0.75 / 2**0.5)
    (test,) = [t for t in table["tests"] if (t["subset"], t["metric"]) == ("all", "exact_match")]
    assert test["value"] == pytest.approx(0.375)
    again = {**trained, "path": "runs/x", "digest": "2" * 64, "seed": 1}
    answers(tmp_path / "again", "a", RIGHT, model=again)  # a seed that comes twice is no mean
    assert len(rendering.write_report([tmp_path], tmp_path / "out")["tables"][0]["models"]) == 4


def test_a_model_may_have_a_file_for_each_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from . import conftest

    for name, said in (("a", RIGHT), ("b", HALF)):
        answers(tmp_path / name / "one", name, said)
    renamed = {key.replace("pathvqa", "vqa_rad"): value for key, value in conftest.GOLDS.items()}
    monkeypatch.setattr(conftest, "GOLDS", renamed)
    for name, said in (("a", RIGHT), ("b", HALF)):
        answers(tmp_path / name / "two", name, said)
    (table,) = rendering.write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")["tables"]
    assert table["models"] == ["tiny (a)", "tiny (b)"]
    tested = [test["benchmark"] for test in table["tests"] if (test["subset"], test["metric"]) == ("all", "token_f1")]
    assert tested == ["pathvqa", "vqa_rad"]


def test_the_same_result_twice_is_one_and_another_claim_is_refused(tmp_path: Path) -> None:
    answers(tmp_path / "a", "a", RIGHT)
    answers(tmp_path / "copy", "a", RIGHT)
    (table,) = rendering.write_report([tmp_path / "a", tmp_path / "copy", tmp_path], tmp_path / "out")["tables"]
    assert table["models"] == ["tiny"]
    answers(tmp_path / "claim", "a", HALF)
    with pytest.raises(UsageError, match=r"claim/results.json and .* are both of tiny on pathvqa all"):
        rendering.write_report([tmp_path / "a", tmp_path / "claim"], tmp_path / "out")


def test_torch_is_not_imported(tmp_path: Path) -> None:
    answers(tmp_path / "a", "a", RIGHT)
    code = (
        "import sys\n"
        "from medmix.cli import main\n"
        "try:\n"
        f"    main(['report', {str(tmp_path / 'a')!r}, '--out', {str(tmp_path / 'out')!r}])\n"
        "except SystemExit as stop:\n"
        "    sys.exit(stop.code or ('torch was imported' if 'torch' in sys.modules else 0))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/report.html").exists()
