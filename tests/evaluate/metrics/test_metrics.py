import math
import random
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import corpus_bleu, sentence_bleu
from torchmetrics.functional.text import bleu_score, squad

from medmix.evaluate import metrics
from medmix.evaluate.metrics import best_over_references, bleu1_corpus_word_counts, bleu1_of_counts, parse_choice
from medmix.evaluate.metrics.bleu import bleu1_sentence_word
from medmix.evaluate.metrics.bleu_libraries import CORPUS
from medmix.evaluate.metrics.bleu_scripts import (
    bleu1_prefix_tuning_char,
    bleu4_vqamed2019_nltk33,
    bleu4_vqamed2019_nltk325,
)
from medmix.evaluate.metrics.closed import closed_accuracy, closed_unparseable, parse_closed
from medmix.evaluate.metrics.exact import exact_match
from medmix.evaluate.metrics.normalization import normalise, words
from medmix.evaluate.metrics.token_overlap import token_f1, token_precision, token_recall

VOCABULARY = ["no", "yes", "the", "nodule", "T2-weighted", "x-ray", "+", "left", "Lung", "lobe.", "ct"]
texts = st.lists(st.sampled_from(VOCABULARY), max_size=8).map(" ".join)
UNIGRAMS = sacrebleu.BLEU(max_ngram_order=1, tokenize="none")
sheets = st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=6)


def random_sheet(seed: int, size: int = 200) -> tuple[list[str], list[list[str]]]:
    """Predictions and their right answers, one to three of each, of one to nine words."""
    draw = random.Random(seed)

    def text() -> str:
        return " ".join(draw.choices(VOCABULARY, k=draw.randint(1, 9)))

    return [text() for _ in range(size)], [[text() for _ in range(draw.randint(1, 3))] for _ in range(size)]


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
def test_bleu1_sentence_word(prediction: str, gold: str, expected: float) -> None:
    assert bleu1_sentence_word(prediction, gold) == pytest.approx(expected, abs=1e-12)


def test_the_best_of_several_right_answers_counts() -> None:
    assert best_over_references(exact_match, "cta", ["ct angiogram", "CTA"]) == 1.0
    assert best_over_references(bleu1_sentence_word, "left lung", ["left lung lobe", "lung"]) == pytest.approx(
        math.exp(-0.5)
    )


@pytest.mark.parametrize("seed", range(5))
def test_bleu1_sentence_word_is_that_of_nltk(seed: int) -> None:
    for prediction, references in zip(*random_sheet(seed), strict=True):
        said, wanted = words(prediction), words(references[0])
        theirs = sentence_bleu([wanted], said, weights=(1.0,))
        assert bleu1_sentence_word(prediction, references[0]) == pytest.approx(theirs, abs=1e-9)


def corpus(rows: Sequence[tuple[str, Sequence[str]]]) -> float:
    sums = np.sum([bleu1_corpus_word_counts(prediction, references) for prediction, references in rows], axis=0)
    return float(bleu1_of_counts(sums))


@pytest.mark.parametrize("seed", range(5))
def test_bleu1_corpus_word_is_that_of_nltk(seed: int) -> None:
    said, references = random_sheet(seed)
    theirs = corpus_bleu(
        [[words(gold) for gold in some] for some in references], [words(text) for text in said], (1.0,)
    )
    assert corpus(list(zip(said, references, strict=True))) == pytest.approx(theirs, abs=1e-9)
    assert theirs > 0.2


@given(sheets)
def test_bleu1_corpus_word_is_that_of_sacrebleu_on_any_sheet(rows: list[tuple[str, list[str]]]) -> None:
    rows = [(normalise(text), [normalise(gold or "ct") for gold in references]) for text, references in rows]
    width = max(len(references) for _, references in rows)
    references = [
        [references[place] if place < len(references) else None for _, references in rows] for place in range(width)
    ]
    theirs = UNIGRAMS.corpus_score([text for text, _ in rows], references).score / 100
    assert corpus(rows) == pytest.approx(theirs, abs=1e-9)


def test_library_scores_are_those_of_the_libraries() -> None:
    said, references = random_sheet(11)
    lower = [text.lower() for text in said]
    lower_golds = [[gold.lower() for gold in some] for some in references]
    found = {name: entry[1](said, references) for name, entry in CORPUS.items()}
    assert found["bleu1_torchmetrics"] == float(bleu_score(lower, lower_golds, n_gram=1))
    split = [text.split() for text in lower]
    assert found["bleu1_nltk_corpus"] == corpus_bleu([[g.split() for g in some] for some in lower_golds], split, (1.0,))
    one = [some[0] for some in references]
    theirs = sacrebleu.BLEU(max_ngram_order=1, lowercase=True).corpus_score(said, [one]).score / 100
    assert CORPUS["bleu1_sacrebleu"][1](said, [[gold] for gold in one]) == pytest.approx(theirs, abs=1e-9)


def test_five_scores_called_bleu_1_on_one_sheet() -> None:
    said = ["yes", "left lung.", "ct", "right upper lobe", "axial"]
    references = [["yes"], ["left lung"], ["ct with contrast"], ["upper lobe of the right lung"], ["axial plane"]]
    found = {name: round(entry[1](said, references), 4) for name, entry in CORPUS.items()}
    assert found == {
        "bleu1_nltk_corpus": 0.4133,  # `lung.` is another word than `lung`
        "bleu1_torchmetrics": 0.4133,
        "bleu1_sacrebleu": 0.51,  # the full stop is a word
        "bleu1_sacrebleu_zh": 0.51,
    }
    rows = list(zip(said, references, strict=True))
    assert round(corpus(rows), 4) == 0.4724
    assert round(sum(bleu1_sentence_word(text, some[0]) for text, some in rows) / 5, 4) == 0.5742
    assert round(sum(bleu1_prefix_tuning_char(text, some[0]) for text, some in rows) / 5, 4) == 0.87


@pytest.mark.parametrize("name", sorted(CORPUS))
@given(rows=sheets)
def test_draws_of_samples_are_scored_as_the_library_scores_them(name: str, rows: list[tuple[str, list[str]]]) -> None:
    _, score, counted = CORPUS[name]
    said, references = [text for text, _ in rows], [some for _, some in rows]
    if name.startswith("bleu1_sacrebleu"):  # it knows no empty reference
        references = [[gold or "ct" for gold in some] for some in references]
    sums = np.sum([counted(text, some) for text, some in zip(said, references, strict=True)], axis=0)
    assert float(bleu1_of_counts(sums)) == pytest.approx(score(said, references), abs=1e-6 if "torch" in name else 1e-9)


def test_chinese_is_scored_by_characters_where_the_name_says_so() -> None:
    assert CORPUS["bleu1_sacrebleu_zh"][1](["左肺"], [["右肺"]]) == pytest.approx(0.5)
    assert CORPUS["bleu1_sacrebleu"][1](["左肺"], [["右肺"]]) == 0.0
    assert "bleu1_sacrebleu_zh" in metrics.corpus_metrics(chinese=True)
    assert "bleu1_sacrebleu_zh" not in metrics.corpus_metrics(chinese=False)


@pytest.mark.parametrize(
    ("gold", "prediction", "expected"),
    [  # what NLTK 3.2.5 itself gives
        ("ct", "ct", 1.0),
        ("axial view", "axial view", 1.0),
        ("left upper lobe", "left lobe", 0.6065306597126334),
        ("mri t2 weight scan", "mri t1 weight scan", 0.7071067811865475),
        ("x1 x2 x3 x4 x5", "x1 x2 x3 x4 x6", 0.668740304976422),
        ("x1", "x2", 0.0),
        ("x1 x2 x3 x4 x5 x6", "x1 x2 x3", 0.36787944117144233),
        ("one two", "one two three", 0.7598356856515925),
    ],
)
def test_the_evaluator_of_2019_with_nltk_of_then(gold: str, prediction: str, expected: float) -> None:
    assert bleu4_vqamed2019_nltk325(prediction, gold) == pytest.approx(expected, abs=1e-12)


def test_the_evaluator_of_2019_with_nltk_of_now() -> None:
    assert bleu4_vqamed2019_nltk33("axial view", "axial view") < 1e-50  # a perfect answer, too short for four orders
    assert bleu4_vqamed2019_nltk325("axial view", "axial view") == 1.0
    assert bleu4_vqamed2019_nltk33("a mass in the left upper lung", "mass, left upper lung") == 1.0
    for score in (bleu4_vqamed2019_nltk33, bleu4_vqamed2019_nltk325):
        assert score("no", "not") == 1.0  # stop words both
        assert score("no", "yes") == score("yes", "no") == 0.0
        assert score("Nodules", "nodule") == pytest.approx(score("ct", "ct"))  # stems


@given(texts, texts)
def test_the_two_evaluators_agree_where_all_orders_match(prediction: str, gold: str) -> None:
    old, new = bleu4_vqamed2019_nltk325(prediction, gold), bleu4_vqamed2019_nltk33(prediction, gold)
    assert new <= old + 1e-12
    assert new == pytest.approx(old, abs=1e-9) or new < 1e-50


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("no", "nodule", 1.0),
        ("in the canals of hering", "in the canals of hering", 14 / 23),
        ("yes", "no", 0.0),
        ("Yes", "yes", 2 / 3),
        ("", "no", 0.0),
    ],
)
def test_characters_are_no_words(prediction: str, gold: str, expected: float) -> None:
    assert bleu1_prefix_tuning_char(prediction, gold) == pytest.approx(expected, abs=1e-12)


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_character_form_is_nltk_on_strings(prediction: str, gold: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sentence_bleu(gold, prediction, weights=(1, 0, 0, 0)) if gold and prediction else 0.0
    assert bleu1_prefix_tuning_char(prediction, gold) == pytest.approx(theirs, abs=1e-9)


def test_token_scores() -> None:
    assert token_recall("left lung lower lobe", "left lung") == 1.0
    assert token_precision("left lung lower lobe", "left lung") == 0.5
    assert token_f1("left lung lower lobe", "left lung") == pytest.approx(2 / 3)
    assert token_f1("right", "left") == 0.0
    assert (token_f1("", ""), token_f1("", "no"), token_recall("no", "")) == (1.0, 0.0, 0.0)


@given(texts, st.lists(texts.filter(bool), min_size=1, max_size=3))
def test_token_f1_and_exact_match_are_those_of_squad(prediction: str, references: list[str]) -> None:
    said, references = (
        prediction.replace("the", "one"),
        [gold.replace("the", "one") for gold in references],
    )  # it drops articles
    said, references = (
        said.replace("+", "ct"),
        [gold.replace("+", "ct") for gold in references],
    )  # and signs that stand alone
    answers = {"answer_start": [0] * len(references), "text": references}
    theirs = squad([{"prediction_text": said, "id": "1"}], [{"answers": answers, "id": "1"}])
    assert best_over_references(token_f1, said, references) == pytest.approx(
        float(theirs["f1"]) / 100, abs=1e-6
    )  # it is in single precision
    assert best_over_references(exact_match, said, references) == float(theirs["exact_match"]) / 100


@pytest.mark.parametrize(
    ("prediction", "label"),
    [
        ("Yes.", "yes"),
        ("no", "no"),
        ("No, it is normal", "no"),
        ("yes, there is no fracture", "yes"),  # what it begins with decides
        ("the answer is no", "no"),
        ("normal", None),
        ("nodule", None),
        ("non-contrast CT", None),
        ("no-contrast", None),
        ("either yes or no, it is open", None),
        ("", None),
        ("maybe", "maybe"),
        ("是的", "yes"),
        ("不是", "no"),
        ("不包含", "no"),
        ("图像中不存在肿块", "no"),
        ("没有", "no"),
        ("有", "yes"),
        ("不正常", None),
    ],
)
def test_a_closed_answer_is_parsed_by_whole_words(prediction: str, label: str | None) -> None:
    assert parse_closed(prediction) == label


def test_closed_accuracy() -> None:
    assert closed_accuracy("Yes, it is.", "yes") == 1.0
    assert closed_accuracy("normal", "no") == 0.0
    assert closed_unparseable("normal", "no") == 1.0
    assert closed_unparseable("yes", "no") == 0.0
    assert closed_accuracy("Left.", "left") == 1.0
    assert closed_accuracy("left and right", "left") == 0.0
    assert closed_unparseable("left and right", "left") == 0.0
    assert closed_accuracy("包含", "是") == 1.0


@pytest.mark.parametrize(
    ("prediction", "place"),
    [
        ("B. Lung", 1),
        ("(b) heart", 1),
        ("C", 2),
        ("A fracture of the lung", 1),  # an article is no letter
        ("lung", 1),
        ("right lung", 2),  # `lung` stands within it
        ("lung or heart", None),
        ("E. spleen", None),
        ("spleen", None),
        ("", None),
    ],
)
def test_an_option_is_found_in_words(prediction: str, place: int | None) -> None:
    assert parse_choice(prediction, ["Heart", "Lung", "Right lung", "No finding"]) == place


def test_an_option_is_chosen_by_likelihood() -> None:
    options = ["yes", "certainly not"]
    logliks, tokens = [-3.0, -4.0], [1, 2]
    assert metrics.choice_by_loglik(logliks) == 0
    assert metrics.choice_by_loglik_per_token(logliks, tokens) == 1
    assert metrics.choice_by_loglik_per_char(logliks, options) == 1
    assert metrics.choice_by_loglik([-1.0, -1.0]) == 0


@given(texts, st.lists(texts, min_size=1, max_size=3))
def test_scores_lie_between_0_and_1(prediction: str, references: list[str]) -> None:
    for metric in metrics.answer_metrics().values():
        assert 0.0 <= metric(prediction, references) <= 1.0
    for closed in metrics.CLOSED.values():
        assert 0.0 <= best_over_references(closed, prediction, references) <= 1.0


@given(st.text())
def test_a_perfect_answer_scores_1(text: str) -> None:
    for metric in (exact_match, bleu1_sentence_word, token_f1, token_recall, token_precision, closed_accuracy):
        assert metric(text, text) == 1.0


def test_metrics_without_their_library_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert metrics.unavailable_metrics() == []
    monkeypatch.setattr(metrics, "missing_libraries", lambda: ("nltk", "sacrebleu"))
    assert metrics.unavailable_metrics() == [
        "bleu1_nltk_corpus",
        "bleu1_nltk_sentence",
        "bleu1_sacrebleu",
        "bleu1_sacrebleu_zh",
        "bleu4_vqamed2019_nltk325",
        "bleu4_vqamed2019_nltk33",
    ]
    assert metrics.corpus_metrics(True).keys() == {"bleu1_torchmetrics"}
    assert "bleu1_nltk_sentence" not in metrics.answer_metrics()
