from medmix.curate.decide import screen
from medmix.curate.measure.empty_text import EMPTY, PLACEHOLDER, PUNCTUATION
from medmix.curate.mixture import ImageRule

from .rows import fates, table


def test_an_empty_answer_or_question_teaches_nothing():
    rows = table(
        {"answer_gap": EMPTY},
        {"question_gap": EMPTY},
        {"question_gap": EMPTY, "task": "caption"},
        {"answer_gap": PLACEHOLDER},
        {"question_gap": PUNCTUATION},
        {"answer_gap": PUNCTUATION, "task": "report", "section": "impression"},
        {},
    )
    assert fates(screen.empty_text(rows)) == {
        0: ("empty-text", "the answer is empty"),
        1: ("empty-text", "the question is empty"),
        3: ("empty-text", "the answer is a placeholder for no value"),
        4: ("empty-text", "the question is only punctuation or de-identification marks"),
        5: ("empty-text", "the impression is only punctuation or de-identification marks"),
    }


def test_the_shorter_side_decides():
    rows = table({"min_side": 31}, {"min_side": 32}, {"min_side": None})
    drops = screen.small_images(rows, ImageRule(min_side=32))
    assert fates(drops) == {0: ("too-small", "a side of 31 pixels, the mixture asks for 32")}
    assert drops["score"].to_list() == [31.0]


def test_languages_that_are_not_named_go_and_no_names_keep_all():
    rows = table({"language": "de"}, {"language": "zh"})
    assert fates(screen.other_languages(rows, ("en", "zh"))) == {0: ("language", "de")}
    assert fates(screen.other_languages(rows, ())) == {}


def test_an_image_of_one_brightness_goes_unless_the_mixture_keeps_it():
    rows = table({"uniform": "black"}, {"uniform": ""}, {"uniform": "white"})
    assert fates(screen.uniform_images(rows, ImageRule())) == {
        0: ("uniform-image", "an image that is all black"),
        2: ("uniform-image", "an image that is all white"),
    }
    assert fates(screen.uniform_images(rows, ImageRule(uniform="keep"))) == {}
