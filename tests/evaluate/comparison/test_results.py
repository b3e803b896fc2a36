import json
from pathlib import Path
from typing import Any

import pytest

from medmix.curate.errors import UsageError
from medmix.evaluate.comparison import results, sample_scores

from .conftest import answers

RIGHT = ("yes", "no", "spleen", "left kidney")


def test_files_are_found_by_name_and_below_folders_once(tmp_path: Path) -> None:
    one = answers(tmp_path / "in/a", "a", RIGHT)
    other = answers(tmp_path / "in/b/c", "b", RIGHT)
    assert results.find([one, tmp_path / "in"]) == [one, other]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere", "nowhere: does not exist; give a results.json of medmix eval, or a folder that contains some"),
        ("empty", "empty: contains no results.json; make one: medmix eval MODEL --out"),
    ],
)
def test_places_without_results(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=told):
        results.find([tmp_path / name])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (None, "is not JSON, or incomplete; give a results.json of medmix eval"),
        ({"format": 1}, "has format 1, this version reads format 2; score the model again"),
        ({"suite": "speech"}, "is of suite 'speech', known are answers, classification"),
        ({"scores": {}}, "'scores' is {}; score the model again"),
        ({"scores": [{"benchmark": "pathvqa"}]}, "score 1: lacks 'subset'"),
        ({"model": {}}, "has no model name"),
        ({"files": {"predictions": "none.jsonl"}}, "none.jsonl: cannot be read (No such file or directory)"),
    ],
)
def test_files_that_are_none_of_ours(tmp_path: Path, changes: dict[str, Any] | None, told: str) -> None:
    path = answers(tmp_path / "a", "a", RIGHT, **(changes or {}))
    if changes is None:
        path.write_text(path.read_text()[:-20])
    with pytest.raises(UsageError) as refused:
        results.read(path)
    assert told in str(refused.value)


def test_some_other_json_is_no_result(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"accuracy": 1.0}))
    with pytest.raises(UsageError, match="is not a results file; give a"):
        results.read(path)


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        (
            lambda lines: "".join(lines[:3]),
            "has 3 predictions of model on pathvqa all, its scores are of 4",
        ),
        (lambda lines: "".join(lines)[:-9], "its last line is incomplete; resume with the same command"),
        (lambda lines: "".join(["{]\n", *lines]), "line 1: is not a prediction"),
        (lambda lines: "", "has 0 predictions of model on pathvqa all"),
    ],
)
def test_cut_predictions(tmp_path: Path, cut: Any, told: str) -> None:
    path = answers(tmp_path / "a", "a", RIGHT)
    predictions = path.with_name("predictions.jsonl")
    predictions.write_text(cut(predictions.read_text().splitlines(keepends=True)))
    with pytest.raises(UsageError, match=told):
        results.read(path)


def test_predictions_that_do_not_give_the_score(tmp_path: Path) -> None:
    path = answers(tmp_path / "a", "a", RIGHT)
    predictions = path.with_name("predictions.jsonl")
    predictions.write_text(predictions.read_text().replace('"prediction": "spleen"', '"prediction": "liver"'))
    with pytest.raises(UsageError, match=r"its predictions give 0.750000 for pathvqa all exact_match, .* has 1.000000"):
        sample_scores.scores_by_sample(results.read(path))
