from typing import Any

import pytest

from medmix.evaluate.answers import results_table, scores

from ..test_intervals import mean


def line(number: int, prediction: str, *references: str, **fields: Any) -> dict[str, Any]:
    base = {
        "id": f"slake/{number}",
        "benchmark": "slake",
        "subsets": ["en", "en/closed"],
        "group": f"image-{number % 2}",
        "system": "model",
        "seed": None,
        "language": "en",
        "prediction": prediction,
        "references": list(references),
        "choices": [],
        "options": [],
        "correct": None,
    }
    return {**base, **fields}


def choice(number: int, prediction: str, correct: int, loglik: list[float] | None, **fields: Any) -> dict[str, Any]:
    known = {} if loglik is None else {"loglik": loglik, "option_tokens": [1, 4]}
    options = {"choices": ["heart", "left lung"], "options": ["A. heart", "B. left lung"], "correct": correct}
    gold = options["choices"][correct]
    return line(number, prediction, gold, subsets=["all"], benchmark="medqa", **{**options, **known, **fields})


def rows(lines: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
    found = scores.score_predictions(lines)
    keyed = {(row["benchmark"], row["subset"], row["system"], row["metric"]): row for row in found}
    assert len(keyed) == len(found)
    return keyed


def test_every_row_has_the_shared_form() -> None:
    found = rows([line(0, "yes", "yes"), line(1, "no", "yes"), line(2, "ct", "mri", "CT")])
    row = found["slake", "en", "model", "exact_match"]
    expected = mean([1.0, 0.0, 1.0], ["image-0", "image-1", "image-0"])
    assert row == {
        "benchmark": "slake",
        "subset": "en",
        "system": "model",
        "metric": "exact_match",
        "value": 2 / 3,  # one of several right answers is enough
        "low": expected.low,
        "high": expected.high,
        "n": 3,
        "groups": 2,
        "seed": None,
    }


def test_closed_questions_are_scored_apart_and_the_unparseable_counted() -> None:
    lines = [
        line(0, "Yes, it is", "yes"),
        line(1, "normal", "no"),
        line(2, "left", "left"),
        line(3, "a mass", "mass", subsets=["en", "en/open"]),
    ]
    found = rows(lines)
    assert found["slake", "en/closed", "model", "closed_accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["slake", "en/closed", "model", "closed_unparseable"]["value"] == pytest.approx(1 / 3)
    assert found["slake", "en/open", "model", "token_recall"]["value"] == 1.0
    assert found["slake", "en", "model", "bleu1_sentence_word"]["n"] == 4
    assert {key[1] for key in found if key[3] == "closed_accuracy"} == {"en/closed"}


def test_corpus_scores_are_those_of_the_libraries_and_chinese_ones_are_by_character() -> None:
    lines = [
        line(0, "left lung", "left lung", "lung"),
        line(1, "左肺", "右肺", language="zh", subsets=["zh"]),
        line(3, "right", "right lung"),
    ]
    found = rows(lines)
    assert found["slake", "en", "model", "bleu1_corpus_word"]["value"] == pytest.approx(0.7165313105737893)
    assert found["slake", "en", "model", "bleu1_nltk_corpus"]["value"] == pytest.approx(0.7165313105737893)
    assert found["slake", "zh", "model", "bleu1_sacrebleu_zh"]["value"] == pytest.approx(0.5)
    assert ("slake", "en", "model", "bleu1_sacrebleu_zh") not in found
    assert found["slake", "en", "model", "bleu1_torchmetrics"]["low"] is not None


def test_choices_are_scored_by_likelihood_and_in_words() -> None:
    lines = [
        choice(0, "A. heart", 0, [-1.0, -2.0]),
        choice(1, "left lung", 1, [-1.0, -2.0]),  # the likelier option a token is the right one
        choice(2, "spleen", 1, [-3.0, -2.0]),
        choice(3, "B. left lung", 1, None, system="majority_answer"),
    ]
    found = {key[2:]: row["value"] for key, row in rows(lines).items()}
    assert found["model", "choice_accuracy_loglik"] == pytest.approx(2 / 3)
    assert found["model", "choice_accuracy_loglik_per_token"] == pytest.approx(2 / 3)
    assert found["model", "choice_accuracy_generated"] == pytest.approx(2 / 3)
    assert found["model", "choice_unparseable"] == pytest.approx(1 / 3)
    assert found["majority_answer", "choice_accuracy_generated"] == 1.0
    assert ("majority_answer", "choice_accuracy_loglik") not in found
    assert not {metric for _, metric in found if metric.startswith(("exact", "bleu"))}


def test_questions_with_and_without_options_are_scored_apart() -> None:
    free = line(9, "ct", "ct", benchmark="medqa", subsets=["all"])
    found = {
        key[3]: row["n"] for key, row in rows([choice(0, "A", 0, [-1.0, -2.0]), choice(1, "A", 1, None), free]).items()
    }
    assert (found["exact_match"], found["choice_accuracy_generated"]) == (1, 2)
    assert "choice_accuracy_loglik" not in found  # one of the two has no likelihoods


def test_the_table_shows_the_model_beside_its_controls() -> None:
    lines = [line(0, "yes", "yes"), line(1, "no", "yes"), line(0, "yes", "yes", system="always_yes")]
    results = {
        "model": {"name": "tiny", "path": "run/step-1", "step": 1},
        "protocol": {"dataset": "the benchmarks in sources"},
        "scores": scores.score_predictions([*lines, choice(0, "A", 0, [-1.0, -2.0])]),
        "notes": ["no majority_answer for slake: its train split is missing"],
    }
    text = results_table.render_markdown(results)
    assert "run/step-1 (step 1) on the benchmarks in sources." in text
    assert "| slake | en | 2 | 2 | exact_match | 0.500 [0.000, 1.000] |  |  |  | 1.000 |" in text
    assert "| slake | en/closed | 2 | 2 | closed_accuracy | 0.500 [0.000, 1.000] |  |  |  | 1.000 |" in text
    assert "| medqa | all | 1 | 1 | choice_accuracy_loglik | 1.000 |  |  |  |  |" in text
    assert text.endswith("## Notes\n\n- no majority_answer for slake: its train split is missing\n")
