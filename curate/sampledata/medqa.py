"""MedQA (US): JSON lines with the options as an object; four options in two places, or five."""

from dataclasses import replace
from itertools import islice

from .exams import Exam, another_option, vignettes
from .files import Tree, json_lines
from .seeds import stream

_FOLDER = "data_clean/questions/US"
_FOUR = "phrases_no_exclude_{}.jsonl"
_COUNTS = {"train": 80, "dev": 12, "test": 24}

_FOUR_OPTIONS = 4

LEAKED_TO_MEDMCQA = 1
"""Place of the test question that MedMCQA's train split contains too."""

_LEAKED_TO_TRAIN = 0


def tree(seed: int) -> Tree:
    """Make the folder: 81 train, 12 dev and 24 test questions; one of train is a test question in capitals."""
    return _tree(f"{_FOLDER}/4_options/{_FOUR}", _with_leak(seed))


def hub_tree(seed: int) -> Tree:
    """Make the Hub's folder: the rows of `tree` without those of dev."""
    splits = _with_leak(seed)
    del splits["dev"]
    return _tree(_FOUR, splits)


def five_tree(seed: int) -> Tree:
    """Make the folder with five options: the questions of `tree` with one more wrong option, without the phrases."""
    splits = {split: [another_option(exam) for exam in exams] for split, exams in _with_leak(seed).items()}
    return _tree(f"{_FOLDER}/{{}}.jsonl", splits)


def _tree(pattern: str, splits: dict[str, list[Exam]]) -> Tree:
    files = {
        pattern.format(split): json_lines(_row(exam, place) for place, exam in enumerate(exams))
        for split, exams in splits.items()
    }
    return Tree(sum(map(len, splits.values())), files)


def _with_leak(seed: int) -> dict[str, list[Exam]]:
    splits = _exams(seed)
    leaked = splits["test"][_LEAKED_TO_TRAIN]
    splits["train"].append(replace(leaked, question=f" {leaked.question.upper()} "))
    return splits


def test_question(seed: int, place: int) -> Exam:
    """Give a question of the test split."""
    return _exams(seed)["test"][place]


def _exams(seed: int) -> dict[str, list[Exam]]:
    source = vignettes(stream(seed, "medqa"))
    return {split: list(islice(source, count)) for split, count in _COUNTS.items()}


def _row(exam: Exam, place: int) -> dict[str, object]:
    row: dict[str, object] = {
        "question": exam.question,
        "answer": exam.options[exam.correct],
        "options": dict(zip("ABCDE", exam.options, strict=False)),
        "meta_info": "step2&3" if place % 2 else "step1",
        "answer_idx": "ABCDE"[exam.correct],
    }
    if len(exam.options) == _FOUR_OPTIONS:
        row["metamap_phrases"] = [exam.condition.complaint, exam.condition.sign]
    return row
