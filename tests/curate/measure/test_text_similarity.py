"""What says the same and what does not, on sentences as captions, reports and questions have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.measure.text_similarity import Text, jaccard, similarity

REPORT = (
    "The cardiomediastinal silhouette is within the usual limits. The lungs are clear of focal airspace disease, "
    "pneumothorax, or effusion. There are no bony findings. The visualized soft tissues are unremarkable."
)

WORDS = ["no", "left", "effusion", "lung", "the", "seen", "5", "mg", "of", "t2", "with", "cyst"]
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)


def same(one: str, other: str) -> bool:
    return similarity([Text(one)], [Text(other)], 0.8) is not None


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("no bony", "bony"),  # a negation
        ("no bony", "two bony"),
        ("clear", "not clear"),
        ("focal", "left focal"),  # a side
        ("focal", "right focal"),
        ("effusion", "effusion of 5 mm"),  # a number
        ("usual limits", "usual T2 limits"),
        ("lungs", "hypoinflated lungs"),
        ("clear", "grossly clear"),  # a degree
        ("clear of", "clear or"),  # a word in place of another
        ("pneumothorax", "pneumoperitoneum"),
        ("bony findings", "bony or other findings"),
    ],
)
def test_one_word_turns_a_similar_text_round(word: str, other: str) -> None:
    changed = REPORT.replace(word, other)
    assert jaccard(Text(REPORT), Text(changed)) >= 0.7
    assert changed != REPORT
    assert not same(REPORT, changed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 mg", "50 mg"),
        ("0.5 mg", "5 mg"),
        ("T1", "T2"),
        ("left", "right"),
        ("HER2+", "HER2-"),
        (">", "<"),
        ("-5", "5"),
    ],
)
def test_values_that_differ(one: str, other: str) -> None:
    frame = REPORT + " The value {} was read twice by the same physician, who found nothing else to say about it."
    assert not same(frame.format(one), frame.format(other))


@pytest.mark.parametrize(
    "other",
    [
        REPORT.upper(),
        REPORT.replace(". ", ".  "),
        REPORT.replace(",", ""),
        REPORT.replace("The visualized", "Visualized"),
        REPORT.replace("cardiomediastinal", "cardio mediastinal"),
        REPORT + " Clips project over the abdomen.",
        "XXXX. " + REPORT,
    ],
)
def test_the_same_in_other_dress_or_with_something_added(other: str) -> None:
    assert same(REPORT, other)


def test_a_negation_that_moves_is_another_finding() -> None:
    rest = " The heart, the mediastinum, the bony thorax and the soft tissues appear as they should at this age."
    assert not same(
        "There is no effusion. There is pneumothorax." + rest, "There is effusion. There is no pneumothorax." + rest
    )


def test_numbers_that_change_places_are_another_dose() -> None:
    rest = " were given to the patient every day for a week, which was then followed by the usual course of drugs."
    assert not same("5 mg of atropine and 50 mg of codeine" + rest, "50 mg of atropine and 5 mg of codeine" + rest)


def test_short_texts_are_the_same_only_when_equal() -> None:
    assert not same("CT scan of the chest with a nodule", "A CT scan of the chest with a nodule")
    assert same("What is shown?", "what is shown")


def test_every_part_must_say_the_same() -> None:
    """A question that is nearly the same and an answer that is not: the yes and the no of one trial."""
    near = REPORT + " Clips project over the abdomen."
    assert similarity([Text(REPORT), Text("yes")], [Text(near), Text("Yes.")], 0.8) == jaccard(Text(REPORT), Text(near))
    assert similarity([Text(REPORT), Text("yes")], [Text(near), Text("no")], 0.8) is None


@given(SENTENCES, SENTENCES)
def test_likeness_is_symmetric_and_never_below_the_threshold(one: str, other: str) -> None:
    pair = Text(one), Text(other)
    assert jaccard(*pair) == jaccard(*reversed(pair))
    score = similarity([pair[0]], [pair[1]], 0.8)
    assert score == similarity([pair[1]], [pair[0]], 0.8)
    if score is not None:
        assert pair[0].form == pair[1].form or jaccard(*pair) == score >= 0.8


@given(SENTENCES, st.integers(0, 30), st.sampled_from(["no", "left", "5", "t2"]))
def test_a_critical_word_more_is_never_the_same(text: str, place: int, word: str) -> None:
    words = text.split()
    assert not same(text, " ".join([*words[:place], word, *words[place:]]))
