"""Which texts say nothing, by where they stand."""

import polars as pl
import pytest

from medmix.curate.measure import empty_text
from medmix.curate.measure.empty_text import EMPTY, PLACEHOLDER, PUNCTUATION


def answer_gap(answer: str, task: str) -> str:
    rows = pl.DataFrame({"answer": [answer, "A nodule."], "task": [task, "vqa"]})
    gap, of_the_other = rows.select(empty_text.answer_gap()).to_series()
    assert of_the_other == ""
    return str(gap)


def question_gap(question: str) -> str:
    gap, of_the_other = pl.DataFrame({"question": [question, "What?"]}).select(empty_text.question_gap()).to_series()
    assert of_the_other == ""
    return str(gap)


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("", EMPTY),
        (". . .", PUNCTUATION),
        ("?!", PUNCTUATION),
        ("-", PUNCTUATION),
        ("+", PUNCTUATION),
        ("XXXX", PUNCTUATION),
        ("XXXX XXXX. xxxx", PUNCTUATION),
        ("___", PUNCTUATION),
        ("[**Name 12**], ___", PUNCTUATION),
        ("\ufffd\ufffd", PUNCTUATION),
        ("None.", PLACEHOLDER),
        ("nan", PLACEHOLDER),
        ("NULL", PLACEHOLDER),
        ("(N/A)", PLACEHOLDER),
        ("Not applicable.", PLACEHOLDER),
        ("Clear.", ""),
        ("None seen.", ""),
        ("No XXXX effusion.", ""),
        ("XXX syndrome", ""),
        ("左肺", ""),
        ("5", ""),
    ],
)
def test_a_text_of_its_own_says_nothing_without_words(text: str, gap: str) -> None:
    assert question_gap(text) == gap
    assert {answer_gap(text, task) for task in ("caption", "report")} == {gap}


@pytest.mark.parametrize(
    ("report", "gap"),
    [
        ("Findings: XXXX.\nImpression: ___", PUNCTUATION),
        ("Findings: None.", PLACEHOLDER),
        ("Findings: XXXX.\nImpression: None.", PLACEHOLDER),
        ("Findings: None.\nImpression: None.", PLACEHOLDER),
        ("Impression: .", PUNCTUATION),
        ("Findings: None.\nImpression: Clear lungs.", ""),
    ],
)
def test_titles_of_sections_say_nothing(report: str, gap: str) -> None:
    assert answer_gap(report, "report") == gap


@pytest.mark.parametrize("answer", ["None", "no", "No.", "0", "-", "–", "+", "↓ ↑ ↓", "null", "Na", "nil", "%", "无"])
def test_answers_to_questions_say_what_they_say(answer: str) -> None:
    assert {answer_gap(answer, task) for task in ("vqa", "mcqa", "qa")} == {""}


@pytest.mark.parametrize(
    ("answer", "gap"),
    [("nan", PLACEHOLDER), ("N/A", PLACEHOLDER), ("n.a.", PLACEHOLDER), ("?", PUNCTUATION), ("...", PUNCTUATION)],
)
def test_answers_that_are_none(answer: str, gap: str) -> None:
    assert {answer_gap(answer, task) for task in ("vqa", "mcqa", "qa")} == {gap}


def test_an_option_is_no_mark() -> None:
    assert answer_gap("XXXX", "mcqa") == ""
    assert answer_gap("XXXX", "vqa") == PUNCTUATION
