"""MedQA (US, four options): JSON lines with the options as an object."""

from itertools import islice

from .exams import Exam, vignettes
from .files import Tree, json_lines
from .seeds import stream

_FOLDER = "data_clean/questions/US/4_options"
_COUNTS = {"train": 80, "dev": 12, "test": 24}

LEAKED_TO_MEDMCQA = 1
"""Place of the test question that stands in MedMCQA's train split too."""

_LEAKED_TO_TRAIN = 0


def tree(seed: int) -> Tree:
    """Make the folder: 81 train, 12 dev and 24 test questions; one of train is a test question in capitals."""
    splits = _exams(seed)
    leaked = splits["test"][_LEAKED_TO_TRAIN]
    shouted = Exam(f" {leaked.question.upper()} ", leaked.options, leaked.correct, leaked.condition)
    splits["train"].append(shouted)
    files = {
        f"{_FOLDER}/phrases_no_exclude_{split}.jsonl": json_lines(_row(exam, place) for place, exam in enumerate(exams))
        for split, exams in splits.items()
    }
    return Tree(sum(map(len, splits.values())), files)


def test_question(seed: int, place: int) -> Exam:
    """Give a question of the test split."""
    return _exams(seed)["test"][place]


def _exams(seed: int) -> dict[str, list[Exam]]:
    source = vignettes(stream(seed, "medqa"))
    return {split: list(islice(source, count)) for split, count in _COUNTS.items()}


def _row(exam: Exam, place: int) -> dict[str, object]:
    return {
        "question": exam.question,
        "answer": exam.options[exam.correct],
        "options": dict(zip("ABCD", exam.options, strict=True)),
        "meta_info": "step2&3" if place % 2 else "step1",
        "answer_idx": "ABCD"[exam.correct],
        "metamap_phrases": [exam.condition.complaint, exam.condition.sign],
    }
