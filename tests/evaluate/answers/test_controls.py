from hypothesis import given
from hypothesis import strategies as st

from medmix.evaluate.answers.controls import always_yes, count_answers, majority_answer, shuffle_images
from medmix.evaluate.answers.questions import Question


def question(number: int, *images: str, gold: str = "yes", benchmark: str = "slake", language: str = "en") -> Question:
    return Question(
        id=f"{benchmark}/{number}",
        benchmark=benchmark,
        subsets=("all",),
        group=str(number),
        language=language,
        user_content=(),
        images=images,
        references=(gold,),
    )


def choice(number: int, correct: int, benchmark: str = "medqa") -> Question:
    options = ("A. heart", "B. lung", "C. liver")
    return Question(
        id=f"{benchmark}/{number}",
        benchmark=benchmark,
        subsets=("all",),
        group=str(number),
        language="en",
        user_content=(),
        images=(),
        references=(options[correct][3:],),
        choices=("heart", "lung", "liver"),
        options=options,
        correct=correct,
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 5))
def test_no_image_stays_and_each_is_used_once(images: list[int], seed: int) -> None:
    questions = [question(place, str(image)) for place, image in enumerate(images)]
    exchanged = shuffle_images(questions, seed)
    assert exchanged == shuffle_images(questions[::-1], seed)
    if len(set(images)) == 1:
        assert exchanged == {}
    else:
        assert exchanged.keys() == set(exchanged.values()) == {(str(image),) for image in images}
        assert all(before != after for before, after in exchanged.items())


def test_seeds_and_benchmarks_give_other_orders() -> None:
    many = [question(number, str(number)) for number in range(20)]
    assert shuffle_images(many, 0) != shuffle_images(many, 1)
    others = [question(number, str(number), benchmark="pathvqa") for number in range(20)]
    assert shuffle_images(many, 0) != shuffle_images(others, 0)


def test_lists_of_images_go_to_lists_of_as_many() -> None:
    questions = [question(0, "a"), question(1, "b"), question(2, "a", "b"), question(3, "c", "d"), question(4)]
    assert shuffle_images(questions, 0) == {
        ("a",): ("b",),
        ("b",): ("a",),
        ("a", "b"): ("c", "d"),
        ("c", "d"): ("a", "b"),
    }
    assert shuffle_images([question(4)], 0) == {}


def test_the_majority_is_counted_by_benchmark_and_language() -> None:
    counts = count_answers(
        [
            *(question(number, gold=gold) for number, gold in enumerate(["no", "no", "yes", "ct", "ct"])),
            question(9, gold="左", language="zh"),
            choice(0, 1),
            choice(1, 1),
            choice(2, 0),
        ]
    )
    assert majority_answer(question(7, gold="mri"), counts) == "ct"  # the first in the alphabet of equals
    assert majority_answer(question(7, language="zh"), counts) == "左"
    assert majority_answer(choice(7, 2), counts) == "B. lung"
    assert majority_answer(question(7, benchmark="pathvqa"), counts) is None


def test_always_yes() -> None:
    assert always_yes(question(0, gold="ct")) == "yes"
    assert always_yes(question(0, language="zh")) == "是"
    assert always_yes(choice(0, 1)) is None
    assert always_yes(choice(0, 1, benchmark="pubmedqa")) == "yes"
