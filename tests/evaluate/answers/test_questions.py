from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medmix.curate.record import ImageRef, Record
from medmix.evaluate.answers import benchmarks, mix_split
from medmix.evaluate.answers.batching import Prompts, subsample
from medmix.evaluate.answers.images import QuestionImages
from medmix.evaluate.answers.questions import Question, first_line, from_record
from medmix.train.data.render import Renderer
from medmix.train.run.checkpoint import Checkpoint


def record(**fields: Any) -> Record:
    base = {
        "source": "slake",
        "key": "7",
        "split": "test",
        "task": "vqa",
        "file": "test.json",
        "row": 0,
        "group": "slake/1",
        "question": "Is there\ta mass?",
        "answer": "Yes",
        "answer_type": "closed",
        "images": (ImageRef("a.png"),),
    }
    return Record(**{**base, **fields})


def mcqa(**fields: Any) -> Record:
    choice = {"source": "medqa", "task": "mcqa", "choices": ("heart", "lung"), "correct": 1, "answer": "lung"}
    return record(**{**choice, "images": (), **fields})


def test_the_question_of_a_record() -> None:
    made = from_record(record(alternatives=("y", "Yes.")), "en", ["k1"])
    assert (made.id, made.group, made.images) == ("slake/7", "slake/1", ("k1",))
    assert made.user_content == ({"type": "image", "text": None}, {"type": "text", "text": "Is there a mass?"})
    assert made.references == ("Yes", "y", "Yes.")
    assert (made.options, made.correct) == ((), None)


@pytest.mark.parametrize(
    ("made", "subsets"),
    [
        (record(), ("en", "en/closed")),  # SLAKE's languages are never put together
        (record(language="zh", answer_type="open"), ("zh", "zh/open")),
        (record(source="vqa_rad"), ("all", "closed")),
        (record(source="vqa_rad", answer_type=""), ("all",)),
        (mcqa(answer_type="closed"), ("all",)),
        (mcqa(source="pmc_vqa", file="test_clean.csv"), ("test_clean",)),
        (mcqa(source="omnimedvqa", modality="mri"), ("all", "modality/mri")),
        (record(source="pubmedqa", task="qa", answer="maybe"), ("all",)),
    ],
)
def test_the_parts_that_a_question_is_scored_in(made: Record, subsets: tuple[str, ...]) -> None:
    assert from_record(made, "en", []).subsets == subsets


def test_options_are_what_the_assistant_says() -> None:
    made = from_record(mcqa(), "en", [])
    assert (made.options, made.correct) == (("A. heart", "B. lung"), 1)
    labelled = from_record(record(source="pubmedqa", task="qa", answer="no", explanation="It is."), "en", [])
    assert (labelled.options, labelled.correct, labelled.references) == (("yes", "no", "maybe"), 1, ("no",))


CHANGES: list[tuple[Record, dict[str, Any]]] = [
    (record(), {"answer": "No", "answer_type": "open", "alternatives": ("none",)}),
    (record(answer_type="open", answer="left lung"), {"answer": "Yes", "answer_type": "closed"}),
    (mcqa(), {"correct": 0, "answer": "heart"}),
    (mcqa(explanation=""), {"explanation": "It is the lung."}),
    (
        record(source="pubmedqa", task="qa", answer="no", context="An abstract."),
        {"answer": "maybe", "explanation": "x"},
    ),
]


@pytest.mark.parametrize(("asked", "changed"), CHANGES)
def test_a_prompt_does_not_depend_on_what_is_right(loaded: Checkpoint, asked: Record, changed: dict[str, Any]) -> None:
    renderer = Renderer(loaded.tokenizer, loaded.recipe.text, loaded.model.image_tokens, 4)
    images = ["k"] * len(asked.images)
    one = from_record(asked, "en", images)
    other = from_record(replace(asked, **changed), "en", images)
    assert one.user_content == other.user_content
    assert Prompts(renderer).ids(one) == Prompts(renderer).ids(other)
    assert Prompts(renderer).option_ids(one) == Prompts(renderer).option_ids(other)


def test_a_benchmark_and_a_mix_of_it_ask_the_same(
    loaded: Checkpoint, sources: Path, sample_mix: Path, tmp_path: Path
) -> None:
    names = ("pathvqa", "vqa_rad", "pubmedqa", "slake")
    image_store = QuestionImages(tmp_path, loaded.recipe.vision)
    found = benchmarks.find_benchmarks(sources, names)
    upstream = {q.id: q for q in benchmarks.read(found, image_store, skip_broken=True).questions}
    held = mix_split.read_questions(sample_mix, "test", names, image_store)
    assert {question.benchmark for question in held} == set(names)
    for question in held:
        same = upstream[question.id]
        assert (question.user_content, question.images, question.references) == (
            same.user_content,
            same.images,
            same.references,
        )
        assert (question.options, question.correct, question.group) == (same.options, same.correct, same.group)
        assert question.subsets == same.subsets


def test_a_limit_takes_evenly_and_keeps_the_order() -> None:
    def question(name: str, number: int) -> Question:
        return replace(from_record(record(), "en", []), id=f"{name}/{number}", benchmark=name)

    questions = [question(name, number) for name in ("b", "a") for number in range(10)]
    taken = subsample(questions, 5)
    assert [q.benchmark for q in taken] == ["b", "b", "a", "a", "a"]
    assert taken == [q for q in questions if q in taken]
    assert subsample(questions, 7) != questions[:7]
    assert {q.id for q in taken} <= {q.id for q in subsample(questions, 7)}
    assert subsample(questions, None) == subsample(questions, 99) == questions


def test_first_line() -> None:
    assert first_line("\n\n  yes \nbecause") == "yes"
    assert first_line(" \n") == ""
