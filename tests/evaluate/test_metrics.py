import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.evaluate.metrics import METRICS, bleu1_sentence_word, exact_match, normalise, score

words = st.lists(st.sampled_from(["no", "yes", "the", "nodule", "T2-weighted", "x-ray", "+"]), max_size=8).map(" ".join)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  The T2-weighted\tMRI. ", "the t2weighted mri"),
        ("Crohn’s disease", "crohns disease"),
        ("是的。", "是的"),
        ("+", "+"),
        ("", ""),
    ],
)
def test_normalise(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("in the canals of Hering.", "In the canals of hering", 1.0),
        ("no", "nodule", 0.0),  # characters would give 1
        ("yes", "no", 0.0),
        ("the the the", "the cat", 1 / 3),  # clipped: one `the` counts
        ("left lung", "left upper lung lobe", math.exp(1 - 4 / 2)),  # all words right, but too short
        ("left lung upper lobe of it", "left lung", 2 / 6),  # longer than the reference: no penalty
        ("", "no", 0.0),
        ("no", "", 0.0),
        ("", "", 1.0),
    ],
)
def test_bleu1(prediction: str, gold: str, expected: float) -> None:
    assert bleu1_sentence_word(prediction, gold) == pytest.approx(expected, abs=1e-12)


def test_exact_match() -> None:
    assert exact_match("Yes.", "yes") == 1.0
    assert exact_match("no", "normal") == 0.0
    assert exact_match("+", "-") == 0.0


@given(words, words)
def test_scores_lie_between_0_and_1(prediction: str, gold: str) -> None:
    for metric in METRICS.values():
        assert 0.0 <= metric(prediction, gold) <= 1.0


@given(st.text())
def test_a_perfect_answer_scores_1(text: str) -> None:
    for metric in METRICS.values():
        assert metric(text, text) == 1.0


def test_score_is_the_mean_over_sentences() -> None:
    assert score(["yes", "left lung"], ["yes", "right lung"]) == {
        "n": 2,
        "exact_match": 0.5,
        "bleu1_sentence_word": 0.75,
    }


def test_an_empty_set_says_so() -> None:
    with pytest.raises(ValueError, match="no answers to score"):
        score([], [])
