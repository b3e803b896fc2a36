"""MedMCQA.

Original: JSON lines in files named `.json`, the right option counted from 1 and left out where it is not published.
Hub: parquet, counted from 0, -1 where it is not published.
"""

import uuid
from itertools import islice

from datasets import ClassLabel, Features, Value

from . import hub, medqa
from .exams import Exam, one_liners
from .files import Tree, json_lines
from .seeds import stream

_COUNTS = {"train": 90, "dev": 20, "test": 12}
_SUBJECTS = ("Medicine", "Pathology", "Pharmacology", "Surgery", "Dental", "Social & Preventive Medicine")

_TEXTS = ("question", "opa", "opb", "opc", "opd", "choice_type", "exp", "subject_name", "topic_name")
_HUB = Features({**dict.fromkeys(("id", *_TEXTS), Value("string")), "cop": ClassLabel(names=list("abcd"))})


def tree(seed: int) -> Tree:
    """Make the folder: 91 train, 20 dev and 12 test questions; test has no answers, as upstream's."""
    splits = _splits(seed)
    files = {f"data/{split}.json": json_lines(rows) for split, rows in splits.items()}
    return Tree(sum(map(len, splits.values())), files)


def hub_tree(seed: int) -> Tree:
    """Make the Hub's folder: the rows of `tree`."""
    splits = {
        "validation" if split == "dev" else split: [{"exp": None, **row, "cop": _from_0(row)} for row in rows]
        for split, rows in _splits(seed).items()
    }
    return Tree(sum(map(len, splits.values())), hub.shards(splits, _HUB))


def _from_0(row: dict[str, object]) -> int:
    return int(str(row["cop"])) - 1 if "cop" in row else -1


def _splits(seed: int) -> dict[str, list[dict[str, object]]]:
    source = one_liners(stream(seed, "medmcqa"))
    splits = {split: list(islice(source, count)) for split, count in _COUNTS.items()}
    splits["train"].append(medqa.test_question(seed, medqa.LEAKED_TO_MEDMCQA))
    return {split: [_row(split, exam, place) for place, exam in enumerate(exams)] for split, exams in splits.items()}


def _row(split: str, exam: Exam, place: int) -> dict[str, object]:
    row: dict[str, object] = {
        "question": exam.question,
        "exp": None if place % 2 else f"Ans. is '{'abcd'[exam.correct]}'\nThis is typical of {exam.condition.name}.",
        "cop": exam.correct + 1,
        "opa": exam.options[0],
        "opb": exam.options[1],
        "opc": exam.options[2],
        "opd": exam.options[3],
        "subject_name": _SUBJECTS[place % len(_SUBJECTS)],
        "topic_name": exam.condition.name.capitalize() if place % 3 == 0 else None,
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"medmcqa/{split}/{place}")),
        "choice_type": "multi" if place % 3 == 1 else "single",
    }
    if split == "test":
        del row["cop"], row["exp"]
    return row
